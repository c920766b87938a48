"""How many bytes a snapshot may hold, in one namespace and of all together. Pure but for being changed.

Who may create ServiceAccounts in a namespace creates as many as they like, and every replica of the webhook holds all
of them. So a namespace has its share, and together they have a limit. Up to `GUARANTEED_BYTES` a namespace has room
whatever the others hold: no tenant takes it away. How many namespaces somebody may create is for the cluster to limit;
a thousand that are filled up to there take 64 MiB more.
"""

from typing import Final

NAMESPACE_BYTES: Final = 16 * 1024 * 1024
"""Of one namespace: 30,000 ServiceAccounts with a role, or 130,000 without annotations of ours."""

TOTAL_BYTES: Final = 64 * 1024 * 1024
"""Of all: 100,000 ServiceAccounts, a tenth of them with a role, take 19 MB as it is counted here."""

GUARANTEED_BYTES: Final = 64 * 1024
"""Of each namespace, beyond the total: 80 ServiceAccounts with a role, or one with all that is kept of one."""

ENTRY_BYTES: Final = 104
"""Of an object in a snapshot besides what is kept of it and the characters of its name: the name, and its place."""


class Room:
    """What objects take, by namespace."""

    __slots__ = ("_taken", "_total")

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._total = 0

    def take(self, namespace: str, size: int) -> bool:
        """Take *size* bytes more for an object in *namespace*; return False, and take nothing, where there are none."""
        taken, total = self._taken.get(namespace, 0) + size, self._total + size
        if taken > GUARANTEED_BYTES and (taken > NAMESPACE_BYTES or total > TOTAL_BYTES):
            return False
        self._taken[namespace], self._total = taken, total
        return True

    def give_back(self, namespace: str, size: int) -> None:
        """Give back what `take` took."""
        self._total -= size
        self._taken[namespace] -= size
        if not self._taken[namespace]:
            del self._taken[namespace]

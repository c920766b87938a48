"""Which objects are new or were changed a moment ago. Pure: time is an argument."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Final, TypeVar

RECENT_SECONDS: Final = 60.0

MAX_IN_NAMESPACE: Final = 1_000
"""Keys of one namespace that are remembered. Where more change within a minute, all of the namespace count as recent
until nothing of it has changed for a minute."""

MAX_RECENT: Final = 10_000
"""Keys that are remembered, some 2 MB. Beyond, what changes makes its namespace recent, and no other one."""

MAX_NAMESPACES: Final = 1_000
"""Namespaces that are recent as a whole, some 200 kB. Of more, all objects count as recent for a minute."""

K = TypeVar("K")


class Recent:
    """Namespaces and names of what changed within the last minute, in the order of time."""

    __slots__ = ("_all_until", "_counts", "_namespaces", "_since")

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        self._counts: Counter[str] = Counter()
        self._namespaces: dict[str, float] = {}
        self._all_until = float("-inf")

    def __len__(self) -> int:
        return len(self._since)

    def add(self, namespace: str, name: str, now: float) -> None:
        """Remember that the object changed at *now*, and forget what is older than a minute."""
        self._forget(now)
        key = (namespace, name)
        if key in self._since:
            del self._since[key]  # what is put back goes to the end
        elif self._is_crowded(namespace):
            self._add_namespace(namespace, now)
            return
        else:
            self._counts[namespace] += 1
        self._since[key] = now

    def has(self, namespace: str, name: str, now: float) -> bool:
        """Return whether the object changed within the minute before *now*."""
        never = float("-inf")
        since = max(self._since.get((namespace, name), never), self._namespaces.get(namespace, never))
        return now < self._all_until or now - since < RECENT_SECONDS

    def _is_crowded(self, namespace: str) -> bool:
        is_full = len(self._since) >= MAX_RECENT
        return namespace in self._namespaces or is_full or self._counts[namespace] >= MAX_IN_NAMESPACE

    def _add_namespace(self, namespace: str, now: float) -> None:
        self._namespaces.pop(namespace, None)
        self._namespaces[namespace] = now
        if len(self._namespaces) > MAX_NAMESPACES:
            self._namespaces.clear()
            self._all_until = now + RECENT_SECONDS

    def _forget(self, now: float) -> None:
        for namespace, _ in _expired(self._since, now):
            self._counts[namespace] -= 1
            if not self._counts[namespace]:
                del self._counts[namespace]
        deque(_expired(self._namespaces, now), maxlen=0)


def _expired(since: dict[K, float], now: float) -> Iterator[K]:
    """Remove what is older than a minute from *since*, which is in the order of time, and yield it."""
    while since:
        oldest = next(iter(since))
        if now - since[oldest] < RECENT_SECONDS:
            return
        del since[oldest]
        yield oldest

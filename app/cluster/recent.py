"""Which objects are new or were changed a moment ago. Pure: time is an argument."""

from typing import Final

RECENT_SECONDS: Final = 60.0
MAX_RECENT: Final = 10_000
"""Keys that are remembered, some 2 MB. Where more change within a minute, all objects count as recent for a minute."""


class Recent:
    """Namespaces and names of what changed within the last minute, in the order of time."""

    __slots__ = ("_all_until", "_since")

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        self._all_until = float("-inf")

    def __len__(self) -> int:
        return len(self._since)

    def add(self, namespace: str, name: str, now: float) -> None:
        """Remember that the object changed at *now*, and forget what is older than a minute."""
        key = (namespace, name)
        self._since.pop(key, None)  # what is put back goes to the end
        self._since[key] = now
        self._forget(now)
        if len(self._since) > MAX_RECENT:
            self._since.clear()
            self._all_until = now + RECENT_SECONDS

    def has(self, namespace: str, name: str, now: float) -> bool:
        """Return whether the object changed within the minute before *now*."""
        since = self._since.get((namespace, name), float("-inf"))
        return now < self._all_until or now - since < RECENT_SECONDS

    def _forget(self, now: float) -> None:
        while self._since:
            oldest = next(iter(self._since))
            if now - self._since[oldest] < RECENT_SECONDS:
                return
            del self._since[oldest]

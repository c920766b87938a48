"""How much may be asked of the API on behalf of strangers: so many at once and so many a second, in each namespace.

Pure: time is an argument. A tenant who uses up what a namespace may ask takes nothing from the others.
"""

from dataclasses import dataclass, field
from typing import Final

AT_ONCE: Final = 64
AT_ONCE_IN_NAMESPACE: Final = 16
PER_SECOND: Final = 100.0
BURST: Final = 300.0
"""An API server creates some hundred pods a second, each for more than the read of one object's metadata costs it."""

MAX_NAMESPACES: Final = 1_000
"""Namespaces that are remembered. One is forgotten when its burst is whole again, three seconds at most."""


@dataclass(slots=True)
class _Spent:
    """What a namespace has used: a token bucket, counted in what is missing from it."""

    at: float
    tokens: float = 0.0
    under_way: int = 0

    def at_time(self, now: float) -> float:
        return max(0.0, self.tokens - (now - self.at) * PER_SECOND)

    def is_whole(self, now: float) -> bool:
        return not self.under_way and not self.at_time(now)


@dataclass(slots=True)
class Allowance:
    """Counts requests that are under way and those of the last seconds. Holds no more than it needs for that."""

    _namespaces: dict[str, _Spent] = field(default_factory=dict)
    _under_way: int = 0

    def __len__(self) -> int:
        return len(self._namespaces)

    def take(self, namespace: str, now: float) -> bool:
        """Return whether one more request for *namespace* may begin at *now*; if so, `give_back` when it has ended."""
        if self._under_way >= AT_ONCE:
            return False
        spent = self._namespaces.get(namespace)
        if spent is None:
            if len(self._namespaces) >= MAX_NAMESPACES:
                self._forget(now)
                if len(self._namespaces) >= MAX_NAMESPACES:
                    return False
            spent = self._namespaces[namespace] = _Spent(at=now)
        tokens = spent.at_time(now) + 1
        if spent.under_way >= AT_ONCE_IN_NAMESPACE or tokens > BURST:
            return False
        spent.at, spent.tokens = now, tokens
        spent.under_way += 1
        self._under_way += 1
        return True

    def give_back(self, namespace: str) -> None:
        """Say that a request for *namespace* has ended, however it did."""
        self._namespaces[namespace].under_way -= 1
        self._under_way -= 1

    def _forget(self, now: float) -> None:
        self._namespaces = {name: spent for name, spent in self._namespaces.items() if not spent.is_whole(now)}

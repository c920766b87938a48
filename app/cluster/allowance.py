"""How much may be asked of the API on behalf of strangers: so many at once and so many a second, in a share and in all.

Pure: time is an argument. A share is that of one namespace in which there are ServiceAccounts, or the one of all others
together: whoever reaches the webhook says which namespace a pod is in, so a bound for each would bound nobody. A tenant
who uses up a share takes nothing from the others, and nor do strangers.
"""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A token bucket, and how many requests may be under way."""

    at_once: int
    per_second: float
    burst: float


SHARE: Final = Bounds(at_once=16, per_second=100.0, burst=300.0)
"""A namespace in which so many pods and ServiceAccounts are made a second has most of what an API server can do."""

ALL: Final = Bounds(at_once=64, per_second=400.0, burst=1_200.0)
"""An API server makes some hundred pods a second, each for more than a read of one object's metadata costs: 1.1 ms of
a core, its etcd included, and 1.5 ms where there is no such object (1.36.3, 16 at once). So strangers make a replica of
ours cost it no more than 0.6 cores, and the namespaces that are none have a quarter of that."""

MAX_SHARES: Final = 1_000
"""Shares that are remembered; then those are forgotten of which nothing is used any more, three seconds later at most.
More can be in use only while the burst of all is used up."""


@dataclass(slots=True)
class _Spent:
    """What of *bounds* is used, the bucket counted in what is missing from it."""

    bounds: Bounds
    at: float = float("-inf")
    tokens: float = 0.0
    under_way: int = 0

    def at_time(self, now: float) -> float:
        return max(0.0, self.tokens - (now - self.at) * self.bounds.per_second)

    def has_room(self, now: float) -> bool:
        return self.under_way < self.bounds.at_once and self.at_time(now) + 1 <= self.bounds.burst

    def take(self, now: float) -> None:
        self.at, self.tokens = now, self.at_time(now) + 1
        self.under_way += 1

    def is_in_use(self, now: float) -> bool:
        return self.under_way > 0 or self.at_time(now) > 0


@dataclass(slots=True)
class Allowance:
    """Counts requests that are under way and those of the last seconds. Holds no more than it needs for that."""

    _all: _Spent = field(default_factory=lambda: _Spent(ALL))
    _shares: dict[str, _Spent] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._shares)

    def take(self, share: str, now: float) -> bool:
        """Return whether one more request of *share* may begin at *now*; if so, `give_back` when it has ended."""
        spent = self._shares.get(share) or _Spent(SHARE)
        if not (self._all.has_room(now) and spent.has_room(now)):
            return False
        if len(self._shares) >= MAX_SHARES:
            self._shares = {name: one for name, one in self._shares.items() if one.is_in_use(now)}
        self._shares[share] = spent
        spent.take(now)
        self._all.take(now)
        return True

    def give_back(self, share: str) -> None:
        """Say that a request of *share* has ended, however it did."""
        self._shares[share].under_way -= 1
        self._all.under_way -= 1

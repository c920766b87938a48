"""What was told, and how much may be told: (finding, now) -> tell, tell again, or nothing. Pure: time is an argument.

Whoever may create pods chooses how many bad ones there are. So the same thing is told once and then counted, each
namespace may have so many Events, all together so many a second, and what is remembered of it is bounded.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.controller.events import Finding

MAX_TOLD: Final = 4096
"""Things that are remembered as told, some 1 MB. What is forgotten is told again, which the API answers with 409."""

AGAIN_SECONDS: Final = 600.0
"""Between two updates of one Event's count."""

NAMESPACE_BURST: Final = 10.0
NAMESPACE_PER_SECOND: Final = 1 / 60
"""A person reads no more, and etcd keeps each Event for an hour (kube-apiserver's --event-ttl)."""

ALL_BURST: Final = 20.0
ALL_PER_SECOND: Final = 10.0

MAX_NAMESPACES: Final = 4096
"""Namespaces whose Events are counted. Of more, the one that was quiet for longest begins anew."""


class Outcome(StrEnum):
    """What became of a finding: a closed list, for the metric."""

    WRITTEN = "written"
    DEDUPLICATED = "deduplicated"
    LIMITED = "limited"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Again:
    """It was told before: say how often by now."""

    count: int


class Tell:
    """It is new: create an Event."""


Answer = Tell | Again | Outcome
TELL: Final = Tell()


@dataclass(slots=True)
class Bucket:
    """So many at once, and so many a second: counted in what is missing from it."""

    spent: float = 0.0
    at: float = 0.0

    def has_room(self, now: float, *, burst: float, per_second: float) -> bool:
        """Return whether one more fits at *now*."""
        self.spent = max(0.0, self.spent - (now - self.at) * per_second)
        self.at = now
        return self.spent + 1 <= burst


@dataclass(slots=True)
class _Told:
    at: float
    count: int = 1


@dataclass(slots=True)
class Ledger:
    """Remembers what was told, and counts what is written."""

    _told: OrderedDict[str, _Told] = field(default_factory=OrderedDict)
    _namespaces: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)
    _all: Bucket = field(default_factory=Bucket)

    def offer(self, finding: Finding, now: float) -> Answer:
        """Return what to do about *finding* at *now*, in seconds; it counts as done unless `forget` says otherwise."""
        told = self._told.get(finding.key)
        if told is not None:
            self._told.move_to_end(finding.key)
            told.count += 1
            if now - told.at < AGAIN_SECONDS or not self._takes(finding.regarding.namespace, now):
                return Outcome.DEDUPLICATED
            told.at = now
            return Again(told.count)
        if not self._takes(finding.regarding.namespace, now):
            return Outcome.LIMITED
        self._told[finding.key] = _Told(now)
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        return TELL

    def has_room(self, namespace: str, now: float) -> bool:
        """Return whether something new in *namespace* could be told at *now*."""
        bucket = self._namespaces.get(namespace) or Bucket(at=now)
        return bucket.has_room(now, burst=NAMESPACE_BURST, per_second=NAMESPACE_PER_SECOND) and self._all.has_room(
            now, burst=ALL_BURST, per_second=ALL_PER_SECOND
        )

    def forget(self, finding: Finding) -> None:
        """Say that *finding* could not be told: it is new the next time."""
        self._told.pop(finding.key, None)

    def __contains__(self, finding: Finding) -> bool:
        return finding.key in self._told

    def __len__(self) -> int:
        return len(self._told) + len(self._namespaces)

    def _takes(self, namespace: str, now: float) -> bool:
        bucket = self._namespaces.get(namespace)
        if bucket is None:
            bucket = self._namespaces[namespace] = Bucket(at=now)
            if len(self._namespaces) > MAX_NAMESPACES:
                self._namespaces.popitem(last=False)
        self._namespaces.move_to_end(namespace)
        if not self.has_room(namespace, now):
            return False
        bucket.spent += 1
        self._all.spent += 1
        return True

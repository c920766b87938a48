"""What could not be told yet -> what to try again, and when. Pure: time is an argument.

An Event that the API refused, or that there was no room for, is not lost: where it came from is asked again after a
while. What is over by then, a pod that is gone or an entry that was mended, is told no more. Whoever may create pods
chooses how many bad ones there are, so both the memory and the work are bounded.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from app.controller.events import Finding

RETRY_SECONDS: Final = 30.0

MAX_IN_NAMESPACE: Final = 60
"""At one a minute (`app.controller.ledger`) the last one is told after an hour, which is as long as an Event lives. Of
more, the next pod with the same problem tells."""

MAX_UNTOLD: Final = 4096
"""In all namespaces, some 2 MB."""

Source = Callable[[], Iterable[Finding] | None]
"""Returns what is to be told of one pod or assignment, as things are when it is called; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Untold:
    """One thing to try again.

    Attributes:
        finding: what could not be told.
        source: where it came from.
        due: when it is tried again, in seconds.
    """

    finding: Finding
    source: Source
    due: float

    @property
    def namespace(self) -> str:
        """In which the Event would be."""
        return self.finding.regarding.namespace


@dataclass(slots=True)
class Backlog:
    """Things to try again, each once, in the order of their time."""

    _entries: OrderedDict[str, Untold] = field(default_factory=OrderedDict)
    _in_namespaces: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding, source: Source, *, now: float) -> None:
        """Note that *finding* of *source* could not be told at *now*, unless there is no more room for it."""
        entry = Untold(finding, source, now + RETRY_SECONDS)
        is_full = len(self._entries) >= MAX_UNTOLD or self._in_namespaces[entry.namespace] >= MAX_IN_NAMESPACE
        if finding.key not in self._entries and not is_full:
            self._entries[finding.key] = entry
            self._in_namespaces[entry.namespace] += 1

    def take_due(self, now: float) -> Iterator[Untold]:
        """Yield what is due at *now*, and forget it; what is added meanwhile is due later."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.due > now:
                return
            del self._entries[key]
            self._in_namespaces[entry.namespace] -= 1
            if not self._in_namespaces[entry.namespace]:
                del self._in_namespaces[entry.namespace]
            yield entry

    def __contains__(self, finding: Finding) -> bool:
        return finding.key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

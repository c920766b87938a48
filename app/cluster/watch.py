"""Objects of the Kubernetes API, kept current: list once, then watch. One loop for every kind, in three levels.

`Watched.run` goes on forever; `_list_and_watch` is one list and the watches that follow it; ``events.apply`` is one
event, and pure. The API is behind a Protocol; time and chance are arguments.
"""

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Final, Generic, NoReturn, TypeVar

import structlog

from app.cluster.api import ReadingApi
from app.cluster.backoff import Backoff
from app.cluster.events import Page, Relist, add_page, apply
from app.cluster.kinds import Kind
from app.cluster.pages import PAGE_SIZE, pages
from app.cluster.snapshot import Snapshot
from app.errors import ClusterError, ExpiredError, RefusedError

WATCH_SECONDS: Final = 300
"""A watch lives this long, times a random 1 to 2: client-go's minWatchTimeout. Then the next one goes on from there."""

SHORT_WATCH_SECONDS: Final = 1.0
"""A watch that ends sooner and without an event is a failure, or an API that closes each at once is asked in a loop."""

LONG_WATCH_SECONDS: Final = 30.0
"""A watch that lasted so long was one, also where no event came and it broke off: an API that does not know our version
says so at once."""

STALE_SECONDS: Final = 180.0
"""A snapshot older than this is not trusted. The apiserver sends a bookmark about every minute; this is three."""

TURN_SECONDS: Final = 0.005
"""Of work at a list or a burst of events, after which others have their turn: reviews wait no longer than that. Neither
gives it up by itself, and strangers choose how much work each object is."""

log = structlog.get_logger()

T = TypeVar("T")
R = TypeVar("R")

Changed = Callable[[str, str, T | None, T | None], object]
"""Is told namespace, name, what was kept of an object and what is now; None for nothing. It must not wait."""


class Watched(Generic[T]):
    """Keeps a snapshot of the objects of one kind current. Reading it never waits and never fails.

    *changed* is called for each object that is kept differently now, after the snapshot has it: for events, and for
    what a list finds, the first one included.

    Attributes:
        is_following: whether a watch is under way. Without one nobody tells us what happens, which may go on for
            30 seconds of backoff when the API is back.
    """

    def __init__(
        self,
        api: ReadingApi,
        kind: Kind[T],
        *,
        changed: Changed[T] | None = None,
        page_size: int = PAGE_SIZE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._api = api
        self._kind = kind
        self._listed, self._interrupted = f"{kind.name}_listed", f"{kind.name}_interrupted"
        self._changed = changed
        self._page_size = page_size
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self.is_following = False
        self._snapshot = self._empty()
        self._turn_began = float("-inf")
        self._resource_version = ""  # empty: the next thing to do is a list
        self._heard = self._confirmed = float("-inf")

    def __len__(self) -> int:
        return len(self._snapshot)

    def __iter__(self) -> Iterator[tuple[str, str, T]]:
        """Yield namespace, name and what is kept of each object. Do not wait between two of them: events come in."""
        return iter(self._snapshot)

    def get(self, namespace: str, name: str) -> T | None:
        """Return what the snapshot has of the object, or None. An object in no namespace is in the one named "".

        Where it may have had no room for the object, that is the kind's ``left_out``.
        """
        kept = self._snapshot.get(namespace, name)
        return self._kind.left_out if kept is None and namespace in self._snapshot.crowded else kept

    def has_namespace(self, namespace: str) -> bool:
        """Return whether the snapshot has an object in *namespace*."""
        return self._snapshot.has_namespace(namespace)

    def age(self, now: float) -> float:
        """Return the seconds since the API last told us that the snapshot is current; infinite before the first list.

        It does so with every event (bookmarks, about one a minute, are events), and with every watch that it begins to
        answer, unless that one fails before its first event.
        """
        return now - self._heard

    async def run(self) -> None:
        """Keep the snapshot current until cancelled. Every failure is logged once and tried again with backoff."""
        backoff = Backoff(self._random)
        while True:
            try:
                await self._list_and_watch()
            except ClusterError as error:
                if isinstance(error, ExpiredError):
                    self._resource_version = ""
                # An API may answer 200 and only then say that our version is too old, or break off each time.
                self._heard = self._confirmed
                delay = backoff.after_failure(self._clock())
                if isinstance(error, RefusedError):
                    delay = max(delay, error.retry_after_seconds)
                log.warning(
                    self._interrupted,
                    problem=str(error),
                    next_step="watch" if self._resource_version else "list",
                    retry_in_seconds=round(delay, 1),
                )
            await self._sleep(delay)

    async def _list_and_watch(self) -> NoReturn:
        """List where we have no resource version to go on from, then watch until something fails."""
        if not self._resource_version:
            await self._list()
        while True:
            await self._watch()

    async def _list(self) -> None:
        """Fill a new snapshot page by page, and publish it by one assignment. The old one serves until then."""
        began = self._clock()
        known, snapshot = self._snapshot, self._empty()

        async def read(body: bytes) -> Page:
            return await self._in_turns(add_page(snapshot, body, known=known, kind=self._kind))

        async for page in pages(self._api, self._kind.collection, read=read, page_size=self._page_size):
            version = page.resource_version
        self._snapshot = snapshot
        self._resource_version = version
        for change in snapshot.changes(known) if self._changed else ():
            self._tell(change)
            if self._is_turn_over():
                await self._give_way()
        # All pages of a list show the moment of its first one.
        self._heard = began
        log.info(
            self._listed,
            count=len(snapshot),
            crowded_namespaces=len(snapshot.crowded),
            seconds=round(self._clock() - began, 3),
        )

    async def _watch(self) -> None:
        """Apply one watch's events until the API ends it.

        Raises:
            ExpiredError: an event that only a new list can answer.
            ClusterError: the watch failed, or ended at once.
        """
        began = self._clock()
        timeout = round(WATCH_SECONDS * (1 + self._random()))
        self._confirmed = self._heard
        try:
            events = await self._follow(timeout)
        except ClusterError as error:
            # A proxy may cut a watch that is idle, for less than a minute even, in which no bookmark came.
            if not isinstance(error, ExpiredError) and self._clock() - began >= LONG_WATCH_SECONDS:
                self._confirmed = self._heard
            raise
        lasted = self._clock() - began
        if not events and lasted < SHORT_WATCH_SECONDS:
            raise ClusterError(f"expected a watch of {timeout} seconds, it ended after {lasted:.1f} without an event")

    async def _follow(self, seconds: int) -> int:
        """Apply the events of one watch of so many *seconds*, and return how many they were."""
        events = 0
        watch = self._api.watch(self._kind.collection, self._resource_version, timeout_seconds=seconds)
        async with watch as lines:
            self._heard = self._clock()
            self.is_following = True
            try:
                async for line in lines:
                    self._apply(line)
                    events += 1
                    if self._is_turn_over():
                        await self._give_way()
            finally:
                self.is_following = False
        return events

    async def _in_turns(self, work: Generator[None, None, R]) -> R:
        """Do *work* to its end, step by step, and return its result."""
        while True:
            try:
                next(work)
            except StopIteration as end:
                result: R = end.value
                return result
            if self._is_turn_over():
                await self._give_way()

    def _is_turn_over(self) -> bool:
        return self._clock() - self._turn_began >= TURN_SECONDS

    async def _give_way(self) -> None:
        await asyncio.sleep(0)
        self._turn_began = self._clock()

    def _empty(self) -> Snapshot[T]:
        return Snapshot(size=self._kind.size)

    def _apply(self, line: bytes) -> None:
        outcome = apply(self._snapshot, line, kind=self._kind)
        if isinstance(outcome, Relist):
            raise ExpiredError(outcome.reason)
        self._resource_version = outcome.resource_version
        self._heard = self._confirmed = self._clock()
        if outcome.change is not None:
            self._tell(outcome.change)

    def _tell(self, change: tuple[str, str, T | None, T | None]) -> None:
        if self._changed is not None:
            self._changed(*change)

"""ServiceAccounts of the Kubernetes API, kept current: list once, then watch. A loop in three levels.

`ApiSource.run` goes on forever; `_list_and_watch` is one list and the watches that follow it; ``events.apply`` is one
event, and pure. The API is behind a Protocol; time and chance are arguments.
"""

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import structlog

from app.cluster.api import ServiceAccountApi
from app.cluster.backoff import Backoff
from app.cluster.events import Relist, add_page, apply
from app.cluster.objects import Keep, ServiceAccount
from app.cluster.source import Snapshot
from app.errors import ClusterError, ExpiredError, PageTooLargeError

PAGE_SIZE: Final = 500
"""Objects a page, as client-go's pager: some 300 kB of JSON, decoded in about a millisecond."""

WATCH_SECONDS: Final = 300
"""A watch lives this long, times a random 1 to 2: client-go's minWatchTimeout. Then the next one goes on from there."""

SHORT_WATCH_SECONDS: Final = 1.0
"""A watch that ends sooner and without an event is a failure, or an API that closes each at once is asked in a loop."""

LONG_WATCH_SECONDS: Final = 30.0
"""A watch that lasted so long was one, also where no event came and it broke off: an API that does not know our version
says so at once."""

EVENTS_A_TURN: Final = 64
"""Events of a burst applied before others have their turn: a millisecond. A read from memory never gives it up."""

log = structlog.get_logger()


class ApiSource:
    """A `ServiceAccountSource` that lists and watches the Kubernetes API."""

    def __init__(
        self,
        api: ServiceAccountApi,
        *,
        keep: Keep,
        page_size: int = PAGE_SIZE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._api = api
        self._keep = keep
        self._page_size = page_size
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._snapshot = Snapshot()
        self._resource_version = ""  # empty: the next thing to do is a list
        self._heard = self._confirmed = float("-inf")

    def __len__(self) -> int:
        return len(self._snapshot)

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as the snapshot has it, or None."""
        return self._snapshot.get(namespace, name)

    def age(self, now: float) -> float:
        """Return the seconds since the API last told us that the snapshot is current.

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
                log.warning(
                    "service_accounts_interrupted",
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
        snapshot, limit, continue_token = Snapshot(), self._page_size, ""
        while True:
            try:
                body = await self._api.list_page(limit=limit, continue_token=continue_token)
            except PageTooLargeError:
                if limit == 1:
                    raise
                limit = max(1, limit // 4)
                continue
            # Or one object that is large makes 100,000 requests of the rest, longer than a continue token is good for.
            limit = min(limit * 4, self._page_size)
            page = add_page(snapshot, body, known=self._snapshot, keep=self._keep)
            continue_token = page.continue_token
            if not continue_token:
                break
        self._snapshot = snapshot
        self._resource_version = page.resource_version
        # All pages of a list show the moment of its first one.
        self._heard = began
        log.info("service_accounts_listed", count=len(snapshot), seconds=round(self._clock() - began, 3))

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
        async with self._api.watch(self._resource_version, timeout_seconds=seconds) as lines:
            self._heard = self._clock()
            async for line in lines:
                outcome = apply(self._snapshot, line, keep=self._keep)
                if isinstance(outcome, Relist):
                    raise ExpiredError(outcome.reason)
                self._resource_version = outcome.resource_version
                self._heard = self._confirmed = self._clock()
                events += 1
                if events % EVENTS_A_TURN == 0:
                    await asyncio.sleep(0)
        return events

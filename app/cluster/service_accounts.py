"""ServiceAccounts of the Kubernetes API: all of them watched, and one looked up live where that may be too old."""

import asyncio
import datetime as dt
import math
import random as chance
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from app.cluster.api import ReadingApi
from app.cluster.kinds import AnnotatedMeta, service_accounts
from app.cluster.live import BUDGET_SECONDS, LiveServiceAccounts, Outcome
from app.cluster.objects import LEFT_OUT, Keep, ServiceAccount
from app.cluster.pages import PAGE_SIZE
from app.cluster.recent import RECENT_SECONDS, Recent
from app.cluster.watch import Watched

LATE_SECONDS = 75.0
"""A watch says something each minute: the API server's bookmarks (cacher.go, defaultBookmarkFrequency)."""

THRESHOLD_SECONDS = 1.0
"""How often the time that splits recent from old is written anew, while a list has 100,000 to compare with it."""


class ClusterServiceAccounts:
    """The `ServiceAccountSource` that follows the Kubernetes API."""

    def __init__(
        self,
        api: ReadingApi,
        *,
        keep: Keep,
        budget_seconds: float = BUDGET_SECONDS,
        page_size: int = PAGE_SIZE,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._recent = Recent()
        self._threshold, self._threshold_at = "", float("-inf")
        self._watched = Watched(
            api,
            service_accounts(keep, seen=self._note),
            changed=self._changed,
            page_size=page_size,
            clock=clock,
            sleep=sleep,
            random=random,
        )
        self._live = LiveServiceAccounts(
            api,
            keep=keep,
            cached=self.get,
            is_recent=lambda namespace, name: self._recent.has(namespace, name, clock()),
            has_namespace=self._watched.has_namespace,
            budget_seconds=budget_seconds,
            clock=clock,
        )

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def lookups(self) -> Counter[Outcome]:
        """How live look-ups ended so far; see `LiveServiceAccounts`."""
        return self._live.outcomes

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as the snapshot has it, or None; so too where that had no room for it."""
        kept = self._watched.get(namespace, name)
        return None if kept is LEFT_OUT else kept  # whoever asks then looks it up, as what is new

    async def confirm(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as the API has it now, within the budget, else as the snapshot has it."""
        return await self._live.look(namespace, name)

    def is_recent(self, namespace: str, name: str) -> bool:
        """Return whether the ServiceAccount was created, or its annotations changed, within the last minute.

        While no watch is under way, or the one that is has missed a bookmark, that is unknown, and may be so of each.
        So it is of one that the snapshot had no room for.
        """
        now = self._clock()
        is_late = not self._watched.is_following or self._watched.age(now) > LATE_SECONDS
        is_left_out = self._watched.get(namespace, name) is LEFT_OUT
        return is_late or is_left_out or self._recent.has(namespace, name, now)

    def age(self, now: float) -> float:
        """Return the seconds since the API last told us that the snapshot is current; see `Watched.age`."""
        return self._watched.age(now)

    async def run(self) -> None:
        """Keep the snapshot current until cancelled."""
        await self._watched.run()

    def _changed(self, namespace: str, name: str, old: ServiceAccount | None, new: ServiceAccount | None) -> None:
        del old
        self._live.arrived(namespace, name)
        now = self._clock()
        # In the first list everything is new to us. What is new to the cluster was noted by its creationTimestamp.
        if new is not None and not math.isinf(self._watched.age(now)):
            self._recent.add(namespace, name, now)

    def _note(self, metadata: AnnotatedMeta) -> None:
        now = self._clock()
        if now - self._threshold_at >= THRESHOLD_SECONDS:
            threshold = dt.datetime.fromtimestamp(self._wall_clock() - RECENT_SECONDS, dt.UTC)
            self._threshold, self._threshold_at = f"{threshold:%Y-%m-%dT%H:%M:%SZ}", now
        # Times of this form sort as texts do.
        if metadata.creation_timestamp >= self._threshold:
            self._recent.add(metadata.namespace, metadata.name, now)

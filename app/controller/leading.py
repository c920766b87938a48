"""Holds the Lease, and runs everything that writes while it does."""

import asyncio
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import structlog

from app.controller.certificates import Api
from app.controller.lease import (
    Lease,
    LeaseTimes,
    Observation,
    may_take,
    observe,
    read_lease,
    release_patch,
    take_patch,
)
from app.controller.metrics import ControllerMetrics, Duty
from app.errors import ClusterError, IrsaError, RefusedError

RELEASE_SECONDS: Final = 2.0
"""For letting go at the end; `BackgroundLoops` waits for five. The next one else waits for the Lease to run out."""

Loop = Callable[[], Awaitable[None]]

log = structlog.get_logger()


class Leading:
    """Waits for the Lease at *path*, then runs *duties*, loops that never end, for as long as it is held."""

    def __init__(
        self,
        api: Api,
        path: str,
        *,
        identity: str,
        times: LeaseTimes,
        duties: Mapping[str, Loop],
        metrics: ControllerMetrics,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._path = path
        self._identity = identity
        self._times = times
        self._duties = duties
        self._metrics = metrics
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._observation: Observation | None = None
        self._heard = float("-inf")
        self._problem = ""

    def age(self, now: float) -> float:
        """Return the seconds since the API last answered about the Lease, infinite before the first time."""
        return now - self._heard

    async def run(self) -> None:
        """Take the Lease and lead, lose it and wait, until cancelled.

        Raises:
            IrsaError: a duty ended, which is a bug.
            ExceptionGroup: a duty failed.
        """
        while True:
            held_since = await self._acquire()
            log.info("leading", identity=self._identity)
            self._metrics.is_leading = True
            try:
                await self._lead(held_since)
            finally:
                self._metrics.is_leading = False
                await self._release()
            log.warning("lease_lost", identity=self._identity)

    async def _acquire(self) -> float:
        """Wait until the Lease is ours, and return the moment from which on we can count on it."""
        while True:
            began = self._clock()
            if await self._try(within=self._times.renew_deadline):
                return began
            await self._sleep(self._times.retry_period)

    async def _lead(self, held_since: float) -> None:
        """Run the duties, and renew until that has not worked for too long."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_endless(name, duty), name=name) for name, duty in self._duties.items()]
            while (left := held_since + self._times.renew_deadline - self._clock()) > 0:
                await self._sleep(min(left, self._times.retry_period))
                began = self._clock()
                left = held_since + self._times.renew_deadline - began
                # An API that does not answer must not keep us from noticing that our time is over.
                if left > 0 and await self._try(within=left):
                    held_since = began
            for task in tasks:
                task.cancel()

    async def _try(self, *, within: float) -> bool:
        """Take the Lease or renew it where we may, and return whether it is ours now. Failures are logged.

        *within* is in seconds; half of the deadline is enough for one try, so that there is time for another.
        """
        within = min(within, self._times.renew_deadline / 2)
        try:
            async with asyncio.timeout(within):
                is_ours = await self._take()
        except TimeoutError:
            self._failed(f"expected an answer about the Lease within {within:.1f} seconds, got none")
        except ClusterError as error:
            if not isinstance(error, RefusedError) or not error.is_conflict:
                is_missing = isinstance(error, RefusedError) and error.is_not_found
                hint = "; install the chart or manifests anew, which make it" if is_missing else ""
                self._failed(f"{error}{hint}")
        else:
            self._problem = ""
            return is_ours
        return False

    def _failed(self, problem: str) -> None:
        self._metrics.failed(Duty.LEASE)
        # Every two seconds would be too often to say the same.
        if problem != self._problem:
            self._problem = problem
            log.error("lease_interrupted", problem=problem)

    async def _take(self) -> bool:
        lease = await self._read()
        now = self._clock()
        self._observation = observe(lease, now, before=self._observation)
        if not may_take(self._observation, now, identity=self._identity):
            return False
        await self._write(take_patch(lease, self._wall_clock(), identity=self._identity, times=self._times))
        return True

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                lease = await self._read()
                if lease.holder == self._identity:
                    await self._write(release_patch(lease, self._wall_clock()))
        except (ClusterError, TimeoutError) as error:
            log.info(
                "lease_not_released", problem=str(error) or "no answer", next_one_waits_seconds=self._times.duration
            )

    async def _read(self) -> Lease:
        lease = read_lease(await self._api.get(self._path))
        self._heard = self._clock()
        return lease

    async def _write(self, patch: Mapping[str, object]) -> None:
        await self._api.patch(
            self._path, patch, patch_type="application/merge-patch+json", field_manager="irsa-controller"
        )


def own_identity() -> str:
    """Return a name for this process that no other one ever has: the pod's, which the log of the cluster knows."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


async def _endless(name: str, duty: Loop) -> None:
    await duty()
    raise IrsaError(f"expected the duty {name} to run until the end, it ended")

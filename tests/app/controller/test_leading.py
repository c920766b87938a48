"""Candidates for one Lease, with a clock that moves when they sleep."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.controller.leading import Leading, Loop
from app.controller.lease import LeaseTimes
from app.controller.metrics import ControllerMetrics
from app.errors import ClusterError, IrsaError, RefusedError
from tests.app.cluster.fake_cluster import FakeCluster

pytestmark = pytest.mark.anyio

PATH = "/apis/coordination.k8s.io/v1/namespaces/irsa-system/leases/irsa-controller"
START = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Time:
    """Goes on only by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def clock(self) -> float:
        return self.now

    def wall_clock(self) -> datetime:
        return START + timedelta(seconds=self.now)

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, future))
        await future

    async def pass_by(self, seconds: float) -> None:
        """Wake who sleeps, in their order, and let each do what it does then."""
        end = self.now + seconds
        await turns()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await turns()
        self.now = end


async def turns() -> None:
    """Give everybody a turn until they all wait."""
    for _ in range(30):
        await asyncio.sleep(0)


class Candidate:
    def __init__(self, name: str, api: FakeCluster, time: Time, *, duty: Loop | None = None) -> None:
        self.name = name
        self.is_working = False
        self.metrics = ControllerMetrics()
        self.leading = Leading(
            api,
            PATH,
            identity=name,
            times=LeaseTimes(duration=15),
            duties={"work": duty or self._work},
            metrics=self.metrics,
            clock=time.clock,
            wall_clock=time.wall_clock,
            sleep=time.sleep,
        )
        self._task: asyncio.Task[None] | None = None

    async def _work(self) -> None:
        self.is_working = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_working = False

    def start(self) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self.leading.run())
        return self._task

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@asynccontextmanager
async def candidates(*names: str) -> AsyncIterator[tuple[FakeCluster, Time, list[Candidate]]]:
    """Candidates, started in this order, and the Lease as the chart makes it."""
    api, time = FakeCluster(), Time()
    api.put(PATH, {"kind": "Lease"})
    all_of_them = [Candidate(name, api, time) for name in names]
    for one in all_of_them:
        one.start()
        await turns()
    try:
        yield api, time, all_of_them
    finally:
        api.failures.clear()
        api.answering.set()
        for one in all_of_them:
            await one.stop()


def working(*all_of_them: Candidate) -> list[str]:
    return [one.name for one in all_of_them if one.is_working]


def spec(api: FakeCluster) -> dict[str, Any]:
    found: dict[str, Any] = api.objects[PATH]["spec"]
    return found


async def test_first_one_leads_and_the_other_waits() -> None:
    async with candidates("a", "b") as (api, time, (a, b)):
        await time.pass_by(300)

        assert working(a, b) == ["a"]
        assert (a.metrics.is_leading, b.metrics.is_leading) == (True, False)
        assert spec(api) == {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-11-25T12:00:00.000000Z",
            "renewTime": "2026-11-25T12:05:00.000000Z",
            "leaseTransitions": 1,
        }


async def test_lease_is_renewed_every_two_seconds() -> None:
    async with candidates("a") as (api, time, _):
        api.requests.clear()
        await time.pass_by(20)

        assert [verb for verb, _ in api.requests].count("patch") == 10


async def test_end_of_the_leader_lets_the_other_lead_at_its_next_look() -> None:
    async with candidates("a", "b") as (api, time, (a, b)):
        await time.pass_by(31)
        await a.stop()
        assert working(a) == []
        assert spec(api)["holderIdentity"] == ""
        await time.pass_by(2)

        assert working(b) == ["b"]
        assert (spec(api)["holderIdentity"], spec(api)["leaseTransitions"]) == ("b", 2)


async def test_leader_that_vanished_is_followed_after_the_duration_of_its_lease() -> None:
    async with candidates("a") as (api, time, (a,)):
        await time.pass_by(30)
        await a.stop()
        # As if it had not had the time to let go.
        api.put(PATH, {"kind": "Lease", "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "x"}})
        b = Candidate("b", api, time)
        b.start()
        await time.pass_by(15.9)
        assert working(b) == []
        await time.pass_by(0.2)
        assert working(b) == ["b"]
        await b.stop()


async def test_leader_that_cannot_renew_stops_before_another_may_begin() -> None:
    async with candidates("a", "b") as (api, time, (a, b)):
        await time.pass_by(30)
        api.failures[("patch", PATH)] = ClusterError("away")
        await time.pass_by(10.1)
        assert working(a, b) == []
        await time.pass_by(60)
        assert working(a, b) == []

        api.failures.clear()
        await time.pass_by(10)
        assert len(working(a, b)) == 1


async def test_leader_whom_the_api_does_not_answer_stops_in_time() -> None:
    # Real seconds here, few of them: asyncio's own timeout is what ends the request.
    api = FakeCluster()
    api.put(PATH, {"kind": "Lease"})
    working = asyncio.Event()
    stopped = asyncio.Event()

    async def work() -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    leading = Leading(
        api,
        PATH,
        identity="a",
        times=LeaseTimes(duration=1),
        duties={"work": work},
        metrics=ControllerMetrics(),
    )
    task = asyncio.create_task(leading.run())
    await asyncio.wait_for(working.wait(), 5)
    api.answering.clear()
    silent_since = asyncio.get_running_loop().time()
    await asyncio.wait_for(stopped.wait(), 5)
    waited = asyncio.get_running_loop().time() - silent_since
    api.answering.set()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert waited < 1


async def test_leader_that_was_frozen_finds_the_lease_taken_and_stops() -> None:
    async with candidates("a") as (api, time, (a,)):
        await time.pass_by(30)
        api.put(PATH, {"kind": "Lease", "spec": {"holderIdentity": "b", "leaseDurationSeconds": 15, "renewTime": "y"}})
        await time.pass_by(9)
        assert spec(api)["holderIdentity"] == "b"
        await time.pass_by(1.1)
        assert working(a) == []
        assert spec(api)["holderIdentity"] == "b"


async def test_one_at_a_time_whoever_fails_when() -> None:
    async with candidates("a", "b", "c") as (api, time, all_of_them):
        for second in range(600):
            if second % 97 == 0:
                api.failures[("patch" if second % 2 else "get", PATH)] = ClusterError("away")
            if second % 97 == 41:
                api.failures.clear()
            await time.pass_by(1)
            assert len(working(*all_of_them)) <= 1
        api.failures.clear()
        await time.pass_by(20)
        assert len(working(*all_of_them)) == 1


async def test_missing_lease_is_never_made_and_the_log_says_what_to_do() -> None:
    api, time = FakeCluster(), Time()
    a = Candidate("a", api, time)
    with capture_logs() as logs:
        a.start()
        await time.pass_by(3)
        await a.stop()

    assert working(a) == []
    assert PATH not in api.objects
    assert logs[0]["problem"].endswith('"NotFound"; install the chart or manifests anew, which make it')
    assert [(line["event"], line["log_level"]) for line in logs] == [("lease_interrupted", "error")]


async def test_failures_are_counted_and_conflicts_are_none() -> None:
    async with candidates("a") as (api, time, (a,)):
        api.failures[("patch", PATH)] = RefusedError("changed", status=409, reason="Conflict")
        await time.pass_by(2.1)
        api.failures[("patch", PATH)] = RefusedError("no", status=403, reason="Forbidden")
        await time.pass_by(2)

        samples = [sample for metric in a.metrics.collect() for sample in metric.samples]
        assert [one.value for one in samples if one.labels == {"what": "lease"}] == [1]


async def test_age_is_since_the_api_last_answered() -> None:
    api, time = FakeCluster(), Time()
    a = Candidate("a", api, time)
    assert a.leading.age(time.now) == float("inf")
    api.put(PATH, {"kind": "Lease"})
    a.start()
    await time.pass_by(10)
    api.failures[("get", PATH)] = ClusterError("away")
    await time.pass_by(5)

    assert a.leading.age(time.now) == 5
    api.failures.clear()
    await a.stop()


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "returns"])
async def test_duty_that_ends_ends_the_loop_and_the_lease_is_free(*, fails: bool) -> None:
    async def duty() -> None:
        if fails:
            raise LookupError("the duty's own words")

    api, time = FakeCluster(), Time()
    api.put(PATH, {"kind": "Lease"})
    task = Candidate("a", api, time, duty=duty).start()
    await turns()

    with pytest.raises(ExceptionGroup) as caught:
        await task
    expected: type[Exception] = LookupError if fails else IrsaError
    assert [type(error) for error in caught.value.exceptions] == [expected]
    assert spec(api)["holderIdentity"] == ""

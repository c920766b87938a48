import asyncio
import datetime as dt
import time
from collections import Counter
from typing import Any

import pytest

from app.cluster.objects import ServiceAccount
from app.cluster.room import NAMESPACE_BYTES
from app.cluster.service_accounts import LATE_SECONDS, ClusterServiceAccounts
from app.cluster.source import ServiceAccountSource
from app.errors import ClusterError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_cluster import FakeCluster
from tests.app.cluster.running import running
from tests.app.cluster.scripted_api import ManualClock

pytestmark = pytest.mark.anyio

ROLE_ARN = "eks.amazonaws.com/role-arn"
NOW = dt.datetime(2026, 11, 25, 9, 0, 0, tzinfo=dt.UTC)


def path(name: str, *, namespace: str = "shop") -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"


def account(role: str = "", *, created: dt.timedelta = dt.timedelta(days=1)) -> dict[str, Any]:
    metadata: dict[str, Any] = {"creationTimestamp": f"{NOW - created:%Y-%m-%dT%H:%M:%SZ}"}
    return {"metadata": metadata | ({"annotations": {ROLE_ARN: role}} if role else {})}


def source(cluster: FakeCluster, clock: ManualClock | None = None) -> ClusterServiceAccounts:
    return ClusterServiceAccounts(
        cluster,
        keep=Vocabulary(),
        clock=clock or ManualClock(),
        wall_clock=NOW.timestamp,
        sleep=lambda _: asyncio.sleep(0),
    )


async def test_it_is_a_source() -> None:
    cluster = FakeCluster()
    cluster.put(path("api"), account("one"))
    subject: ServiceAccountSource = ClusterServiceAccounts(cluster, keep=Vocabulary())

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)

    assert subject.get("shop", "api") == await subject.confirm("shop", "api") == ServiceAccount({ROLE_ARN: "one"})
    assert subject.age(time.monotonic()) < 10


async def test_annotation_that_the_watch_has_not_brought_yet_is_confirmed() -> None:
    cluster = FakeCluster()
    cluster.put(path("api"), account())
    subject = source(cluster)
    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)

    cluster.put(path("api"), account("late"))
    cluster.put(path("new"), account("new"))

    assert (subject.get("shop", "api"), subject.get("shop", "new")) == (ServiceAccount({}), None)
    assert await subject.confirm("shop", "api") == ServiceAccount({ROLE_ARN: "late"})
    assert await subject.confirm("shop", "new") == ServiceAccount({ROLE_ARN: "new"})
    assert subject.lookups == Counter(found=2)


async def test_what_was_created_within_the_last_minute_is_recent_in_the_first_list() -> None:
    cluster = FakeCluster()
    cluster.put(path("old"), account("one", created=dt.timedelta(seconds=61)))
    cluster.put(path("new"), account("one", created=dt.timedelta(seconds=59)))
    cluster.put(path("bare"), account(created=dt.timedelta(seconds=1)))
    clock = ManualClock()
    subject = source(cluster, clock)

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)

        assert recent(subject, "old", "new", "bare", "none") == ["new", "bare"]
        clock.now += 60
        assert recent(subject, "old", "new", "bare", "none") == []


async def test_what_is_added_or_changed_later_is_recent_and_what_is_touched_is_not() -> None:
    cluster = FakeCluster()
    for name in ("changed", "touched", "deleted", "same"):
        cluster.put(path(name), account("one"))
    clock = ManualClock()
    subject = source(cluster, clock)

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)
        assert recent(subject, "changed", "touched", "deleted", "same") == []
        # Its creationTimestamp may be that of a clock which is minutes behind ours.
        cluster.put(path("added"), account("one"))
        cluster.put(path("changed"), account("two"))
        touched = account("one")
        touched["metadata"]["labels"] = {"a": "b"}
        cluster.put(path("touched"), touched)
        cluster.remove(path("deleted"))
        await eventually(lambda: subject.get("shop", "deleted") is None)

        assert recent(subject, "added", "changed", "touched", "deleted", "same") == ["added", "changed"]
        clock.now += 60
        assert recent(subject, "added", "changed") == []


async def test_what_a_later_list_finds_changed_is_recent() -> None:
    cluster = FakeCluster()
    cluster.put(path("changed"), account("one"))
    cluster.put(path("same"), account("one"))
    subject = source(cluster)

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)
        cluster.end_watches()
        cluster.objects[path("changed")]["metadata"]["annotations"] = {ROLE_ARN: "two"}
        cluster.put("/api/v1/namespaces/shop/pods/anything")
        cluster.compact()
        await eventually(lambda: ("list", "/api/v1/serviceaccounts") in cluster.requests[2:])
        await eventually(lambda: cluster.watching == 1)

        assert recent(subject, "changed", "same") == ["changed"]


async def test_each_may_be_recent_while_no_watch_is_under_way() -> None:
    cluster = FakeCluster()
    cluster.put(path("api"), account("one"))
    subject = source(cluster)
    assert recent(subject, "api") == ["api"]

    async with running(subject.run()):
        await eventually(lambda: recent(subject, "api") == [])
        cluster.failures["watch", "*"] = ClusterError("expected an answer, got none")
        cluster.end_watches()
        await eventually(lambda: recent(subject, "api") == ["api"])
        del cluster.failures["watch", "*"]
        await eventually(lambda: recent(subject, "api") == [])


async def test_each_may_be_recent_while_a_watch_is_open_and_silent() -> None:
    cluster = FakeCluster()
    cluster.put(path("api"), account("one"))
    clock = ManualClock()
    subject = source(cluster, clock)

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)
        clock.now += LATE_SECONDS
        assert recent(subject, "api") == []
        clock.now += 1
        assert recent(subject, "api") == ["api"]
        cluster.put(path("other"), account("one"))
        await eventually(lambda: recent(subject, "api") == [])


async def test_clock_that_jumps_changes_neither_age_nor_what_is_recent() -> None:
    cluster = FakeCluster()
    cluster.put(path("api"), account("one"))
    wall, clock = ManualClock(), ManualClock()
    subject = ClusterServiceAccounts(
        cluster, keep=Vocabulary(), clock=clock, wall_clock=lambda: NOW.timestamp() + wall.now, sleep=asyncio.sleep
    )

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)
        for number, day in enumerate((86_400, -86_400)):
            wall.now += day
            cluster.put(path(f"new-{number}"), account("two"))
            await eventually(lambda number=number: subject.get("shop", f"new-{number}") is not None)  # type: ignore[misc] # a lambda's default

        assert subject.age(clock.now) == 0
        assert recent(subject, "api", "new-0", "new-1") == ["new-0", "new-1"]


async def test_what_there_was_no_room_for_is_looked_up_and_never_without_a_role() -> None:
    cluster = FakeCluster()
    # A tenant fills the namespace: its accounts come first in the list.
    for number in range(NAMESPACE_BYTES // 2_300):
        cluster.put(path(f"a-{number:05}"), account("x" * 2_000))
    for number in range(10):
        cluster.put(path(f"aa-{number}"), account("one"))
    cluster.put(path("api"), account("one"))
    cluster.put(path("api", namespace="test"), account("two"))
    subject = source(cluster)

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)

        assert subject.get("shop", "api") is None
        assert recent(subject, "api") == ["api"]
        assert await subject.confirm("shop", "api") == ServiceAccount({ROLE_ARN: "one"})
        cluster.failures["get", "*"] = ClusterError("expected an answer, got none")
        assert await subject.confirm("shop", "api") is None
        assert subject.get("test", "api") == ServiceAccount({ROLE_ARN: "two"})
        assert not subject.is_recent("test", "api")


def recent(subject: ServiceAccountSource, *names: str) -> list[str]:
    return [name for name in names if subject.is_recent("shop", name)]


async def test_while_the_api_hangs_one_pod_of_what_is_known_waits_and_each_of_what_is_new() -> None:
    cluster = FakeCluster()
    cluster.put(path("old"), account())
    clock = ManualClock()
    subject = ClusterServiceAccounts(
        cluster,
        keep=Vocabulary(),
        budget_seconds=0.05,
        clock=clock,
        wall_clock=NOW.timestamp,
        sleep=lambda _: asyncio.sleep(0),
    )

    async with running(subject.run()):
        await eventually(lambda: cluster.watching == 1)
        clock.now += LATE_SECONDS + 1
        cluster.answering.clear()
        assert recent(subject, "old") == ["old"]

        for _ in range(20):
            assert await subject.confirm("shop", "old") == ServiceAccount({})
        assert subject.lookups == Counter(timed_out=1, skipped=19)

        for _ in range(2):
            assert await subject.confirm("shop", "new") is None
        assert subject.lookups == Counter(timed_out=3, skipped=19)

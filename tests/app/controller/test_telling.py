"""New pods of a cluster in memory become Events there; time is moved by hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.access.drift import Kind
from app.cluster.watch import STALE_SECONDS
from app.controller.cluster_metrics import ClusterMetrics
from app.controller.drift import DriftCount
from app.controller.following import Following
from app.controller.ledger import AGAIN_SECONDS, NAMESPACE_BURST, Outcome
from app.controller.metrics import ControllerMetrics
from app.controller.telling import NEW_SECONDS, SETTLE_SECONDS, Telling
from app.controller.untold import RETRY_SECONDS
from app.errors import ClusterError
from app.webhook.decision import Policy
from tests.app.access.clusters import owned, put_pod, put_service_account
from tests.app.access.running import CREATED, injected, with_role
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_cluster import FakeCluster
from tests.builders import ROLE_ARN, pod

pytestmark = pytest.mark.anyio

MAPPINGS = "/api/v1/namespaces/irsa-system/configmaps/irsa-mappings"
EVENTS = "/apis/events.k8s.io/v1/namespaces/shop/events/"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Time:
    """Both clocks, the monotonic one and the one on the wall, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return datetime.fromisoformat(CREATED).astimezone(UTC) + timedelta(seconds=self.seconds)


class Controller:
    """All that follows the cluster, and what a test asks of it."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.time = Time()
        self.cluster = cluster
        self.following = Following(
            cluster, policy=Policy(), mappings="irsa-system/irsa-mappings", clock=self.time.monotonic
        )
        self.telling = Telling(
            cluster,
            self.following,
            instance="irsa-controller-0",
            metrics=ControllerMetrics(),
            places={"mappings": "irsa-system/irsa-mappings"},
            clock=self.time.monotonic,
            wall_clock=self.time.wall,
        )

    async def settled(self, seconds: float = SETTLE_SECONDS) -> list[dict[str, Any]]:
        """Let the snapshots catch up and pods settle, have them judged, and return the Events that are there."""
        for _ in range(20):
            await asyncio.sleep(0)
        # A thread reads these.
        stored = self.cluster.objects.get(MAPPINGS, {"data": None})
        assigned = self.following.assigned
        expected = assigned.parse_mappings(stored["data"]).problems
        await eventually(lambda: assigned.problems["mappings"] == expected)
        self.time.seconds += seconds
        await self.telling.look()
        return self.events()

    async def later(self, seconds: float) -> None:
        """Let time pass, at the end of which the API says of everything that it is current."""
        self.time.seconds += seconds
        put_service_account(self.cluster, "app", role_arn=ROLE_ARN)
        self.cluster.put(MAPPINGS, {"data": {"config": "{}", "time": str(self.time.seconds)}})
        put_pod(self.cluster, injected(), "other", account="app", creationTimestamp="2026-11-24T10:00:00Z")
        await eventually(self.following.is_current)

    def events(self) -> list[dict[str, Any]]:
        return [item for path, item in sorted(self.cluster.objects.items()) if "/events/" in path]

    def outcomes(self) -> dict[str, int]:
        return {outcome.value: count for outcome, count in self.telling.outcomes.items() if count}


@asynccontextmanager
async def controller(cluster: FakeCluster, *, is_current: bool = True) -> AsyncIterator[Controller]:
    one = Controller(cluster)
    tasks = [asyncio.ensure_future(loop()) for loop in one.following.loops.values()]
    try:
        await eventually(lambda: one.following.is_current() is is_current)
        yield one
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def cluster() -> FakeCluster:
    found = FakeCluster()
    put_service_account(found, "app", role_arn=ROLE_ARN)
    return found


def put_api_pod(cluster: FakeCluster, name: str, document: dict[str, Any], **metadata: Any) -> None:
    replica_set = owned("ReplicaSet", "api-7d4b", pod_template_hash="7d4b")
    put_pod(cluster, document, name, account="app", **(replica_set | metadata))


async def test_pod_that_the_webhook_missed_becomes_an_event_on_its_owner(cluster: FakeCluster) -> None:
    put_api_pod(cluster, "api-1", pod())
    async with controller(cluster) as one:
        assert await one.settled(SETTLE_SECONDS - 1) == []

        (event,) = await one.settled(1)

    metadata = event.pop("metadata")
    assert metadata["name"].startswith("api-7d4b.")
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "2026-11-25T10:00:05.000000Z",
        "reportingController": "irsa/controller",
        "reportingInstance": "irsa-controller-0",
        "action": "InjectIdentity",
        "reason": "AdmittedUnpatched",
        "type": "Warning",
        "note": f'kubectl rollout restart deployment/api -n shop: it runs without "{ROLE_ARN}", which ServiceAccount '
        '"shop/app" asks for',
        "regarding": {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "namespace": "shop",
            "name": "api-7d4b",
            "uid": "uid-api-7d4b",
        },
    }


async def test_pod_that_is_as_it_should_be_is_not_told_of(cluster: FakeCluster) -> None:
    put_api_pod(cluster, "api-1", injected())
    async with controller(cluster) as one:
        assert await one.settled() == []
        assert one.outcomes() == {}


async def test_old_pod_is_not_told_of(cluster: FakeCluster) -> None:
    old = datetime.fromisoformat(CREATED) - timedelta(seconds=NEW_SECONDS + 1)
    put_api_pod(cluster, "api-1", pod(), creationTimestamp=f"{old:%Y-%m-%dT%H:%M:%SZ}")
    async with controller(cluster) as one:
        assert await one.settled() == []


async def test_replicas_are_one_event_whose_count_rises_every_ten_minutes(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        for number in range(3):
            put_api_pod(cluster, f"api-{number}", pod())
        (event,) = await one.settled()
        assert "series" not in event
        assert one.outcomes() == {"written": 1, "deduplicated": 2}

        await one.later(AGAIN_SECONDS)
        put_api_pod(cluster, "api-9", pod(), creationTimestamp="2026-11-25T10:10:00Z")
        (event,) = await one.settled()

    assert event["series"] == {"count": 4, "lastObservedTime": "2026-11-25T10:10:10.000000Z"}
    assert one.outcomes() == {"written": 2, "deduplicated": 2}


async def test_event_that_the_api_threw_away_is_made_again(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        put_api_pod(cluster, "api-1", pod())
        (event,) = await one.settled()
        cluster.remove(EVENTS + event["metadata"]["name"])
        await one.later(AGAIN_SECONDS)
        put_api_pod(cluster, "api-2", pod(), creationTimestamp="2026-11-25T10:10:00Z")

        (again,) = await one.settled()

    assert again["eventTime"] == "2026-11-25T10:10:10.000000Z"


async def test_pod_that_changes_is_judged_once(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        put_api_pod(cluster, "api-1", pod())
        await one.settled()
        put_api_pod(cluster, "api-1", pod(annotations={"iam.amazonaws.com/role": "x"}))
        await one.settled()

    assert one.outcomes() == {"written": 1}


async def test_pod_that_is_gone_before_it_settled_is_not_told_of(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        put_api_pod(cluster, "api-1", pod())
        await one.settled(0)
        cluster.remove("/api/v1/namespaces/shop/pods/api-1")
        assert await one.settled() == []


async def test_service_account_that_comes_a_second_later_is_no_event(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        put_pod(cluster, pod(), "late-1", account="late")
        await one.settled(1)
        put_service_account(cluster, "late")
        assert await one.settled() == []


async def test_bare_pod_is_told_of_on_its_service_account(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        put_pod(cluster, pod(), "debug", account="app")
        (event,) = await one.settled()

    account = cluster.objects["/api/v1/namespaces/shop/serviceaccounts/app"]["metadata"]
    assert event["regarding"] == {
        "apiVersion": "v1", "kind": "ServiceAccount", "namespace": "shop", "name": "app", "uid": account["uid"],
    }  # fmt: skip


async def test_bare_pod_without_a_service_account_is_told_of_itself(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        put_pod(cluster, pod(), "debug", account="nobody")
        (event,) = await one.settled()

    assert (event["reason"], event["regarding"]["kind"], event["regarding"]["uid"]) == (
        "ServiceAccountNotFound",
        "Pod",
        "uid-debug",
    )


async def test_bad_mappings_are_told_on_the_config_map_and_the_rest_is_in_force(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.put(MAPPINGS, {"data": {"config": '{"no-slash": {"RoleARN": "x"}, "shop/other": null}'}})
        events = await one.settled()
        assert sorted(event["note"] for event in events) == sorted(
            f"{problem}; the rest stays in force" for problem in one.following.assigned.problems["mappings"]
        )
        assert {event["regarding"]["uid"] for event in events} == {cluster.objects[MAPPINGS]["metadata"]["uid"]}
        assert len(events) == 2

        await one.settled()
        assert one.outcomes() == {"written": 2}

        cluster.put(MAPPINGS, {"data": {"config": "{}"}})
        assert len(await one.settled()) == 2


async def test_next_leader_does_not_tell_the_same_again(cluster: FakeCluster) -> None:
    put_api_pod(cluster, "api-1", pod())
    async with controller(cluster) as one:
        await one.settled()
    async with controller(cluster) as other:
        await other.settled()
        assert other.outcomes() == {"deduplicated": 1}

    assert len(one.events()) == 1


async def test_what_could_not_be_written_is_written_for_the_next_pod(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.failures["create", "*"] = ClusterError("no")
        put_api_pod(cluster, "api-1", pod())
        assert await one.settled() == []
        cluster.failures.clear()
        put_api_pod(cluster, "api-2", pod())
        assert len(await one.settled()) == 1

    assert one.outcomes() == {"failed": 1, "written": 1}


async def test_what_could_not_be_written_comes_without_another_pod(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.failures["create", "*"] = ClusterError("no")
        put_pod(cluster, pod(), "debug", account="app")
        assert await one.settled() == []
        cluster.failures.clear()

        assert await one.settled(RETRY_SECONDS - 1) == []
        (event,) = await one.settled(1)
        assert await one.settled(RETRY_SECONDS) == [event]

    assert event["reason"] == "AdmittedUnpatched"
    assert one.outcomes() == {"failed": 1, "written": 1}


async def test_assignment_that_could_not_be_told_of_is_told_of_later(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.failures["create", "*"] = ClusterError("no")
        cluster.put(MAPPINGS, {"data": {"config": '{"no-slash": {"RoleARN": "x"}}'}})
        assert await one.settled() == []
        cluster.failures.clear()

        assert len(await one.settled(RETRY_SECONDS)) == 1
        assert len(await one.settled(RETRY_SECONDS)) == 1

    assert one.outcomes() == {"failed": 1, "written": 1}


async def test_more_problems_than_there_is_room_for_are_told_of_one_by_one(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.put(MAPPINGS, {"data": {"config": json.dumps({f"no-slash-{number}": {} for number in range(15)})}})
        assert len(await one.settled()) == NAMESPACE_BURST
        for _ in range(10):
            await one.settled(RETRY_SECONDS)

        assert len(one.events()) == 15
    assert one.outcomes() == {"written": 15, "limited": 5}


async def test_what_is_over_when_it_is_tried_again_is_not_told(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.failures["create", "*"] = ClusterError("no")
        put_pod(cluster, pod(), "debug", account="app")
        cluster.put(MAPPINGS, {"data": {"config": '{"no-slash": {"RoleARN": "x"}}'}})
        await one.settled()
        cluster.failures.clear()
        cluster.remove("/api/v1/namespaces/shop/pods/debug")
        cluster.put(MAPPINGS, {"data": {"config": "{}"}})

        assert await one.settled(RETRY_SECONDS) == []
        assert await one.settled(RETRY_SECONDS) == []

    assert one.outcomes() == {"failed": 2}


async def test_what_cannot_be_written_for_an_hour_is_tried_once_a_minute_and_then_comes(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.failures["create", "*"] = ClusterError("no")
        for number in range(200):
            put_pod(cluster, pod(), f"bogus-{number}", account=f"nobody-{number}")
        await one.settled()
        for _ in range(60):
            await one.later(30)
            await one.settled(0)
            await one.settled(30)
        assert cluster.requests.count(("create", EVENTS.rstrip("/"))) == NAMESPACE_BURST + 60
        cluster.failures.clear()

        await one.later(60)
        assert len(await one.settled(0)) == 1


async def test_pod_that_was_not_told_of_waits_while_the_snapshots_are_old(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.failures["create", "*"] = ClusterError("no")
        put_pod(cluster, pod(), "debug", account="app")
        await one.settled()
        cluster.failures.clear()

        assert await one.settled(STALE_SECONDS + 1) == []
        await one.later(RETRY_SECONDS)
        assert len(await one.settled(0)) == 1


async def test_mappings_that_cannot_be_read_leave_what_was_before_in_force(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        cluster.put(MAPPINGS, {"data": {"config": "{"}})
        (event,) = await one.settled()

    (problem,) = one.following.assigned.problems["mappings"]
    assert event["note"] == (
        f"{problem}; what was before stays in force, and replicas that start now do not become ready"
    )


async def test_mappings_that_could_never_be_read_are_told_of_and_no_pod_is_judged(cluster: FakeCluster) -> None:
    cluster.put(MAPPINGS, {"data": {"config": "{"}})
    put_pod(cluster, pod(), "debug", account="app")
    async with controller(cluster, is_current=False) as one:
        await eventually(lambda: bool(one.following.assigned.problems["mappings"]))
        cluster.failures["create", "*"] = ClusterError("no")
        assert await one.settled() == []
        cluster.failures.clear()

        (event,) = await one.settled(RETRY_SECONDS)

    assert event["reason"] == "InvalidMappings"


async def test_ten_thousand_bogus_pods_of_one_namespace_are_a_few_events(cluster: FakeCluster) -> None:
    for number in range(10_000):
        put_pod(cluster, pod(), f"bogus-{number}", account=f"nobody-{number}")
    put_pod(cluster, pod(), "debug", namespace="neighbour", account="nobody")
    async with controller(cluster) as one:
        events = await one.settled(SETTLE_SECONDS)

    assert len(events) == 10 + 1
    assert one.outcomes() == {"written": 11, "limited": 9_990}


async def test_nothing_is_told_while_the_snapshots_are_old(cluster: FakeCluster) -> None:
    async with controller(cluster) as one:
        put_api_pod(cluster, "api-1", pod())
        assert await one.settled(10_000) == []


async def test_drifted_pods_are_counted_by_kind(cluster: FakeCluster) -> None:
    put_api_pod(cluster, "api-1", pod())
    put_api_pod(cluster, "api-2", pod())
    put_api_pod(cluster, "api-3", with_role(injected(), f"{ROLE_ARN}-old"))
    put_api_pod(cluster, "api-4", injected())
    put_pod(cluster, injected(), "left", account="nobody")
    async with controller(cluster) as one:
        drift = DriftCount(one.following)
        registry = CollectorRegistry()
        registry.register(ClusterMetrics(one.telling, drift))
        one.telling.outcomes[Outcome.LIMITED] = 3
        assert "drifted_pods{" not in generate_latest(registry).decode()

        await drift.count()

    assert drift.drifted == {Kind.ROLE: 1, Kind.UNPATCHED: 2, Kind.WITHDRAWN: 1, Kind.SETTINGS: 0}
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    assert lines == [
        'irsa_controller_events_total{outcome="written"} 0.0',
        'irsa_controller_events_total{outcome="deduplicated"} 0.0',
        'irsa_controller_events_total{outcome="limited"} 3.0',
        'irsa_controller_events_total{outcome="failed"} 0.0',
        'irsa_controller_drifted_pods{kind="role"} 1.0',
        'irsa_controller_drifted_pods{kind="unpatched"} 2.0',
        'irsa_controller_drifted_pods{kind="withdrawn"} 1.0',
        'irsa_controller_drifted_pods{kind="settings"} 0.0',
    ]


async def test_count_is_gone_when_another_one_leads(cluster: FakeCluster) -> None:
    put_api_pod(cluster, "api-1", pod())
    async with controller(cluster) as one:
        drift = DriftCount(one.following)
        task = asyncio.create_task(drift.run())
        await eventually(lambda: bool(drift.drifted))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert drift.drifted == {}

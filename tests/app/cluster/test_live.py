import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest

from app.cluster.allowance import AT_ONCE_IN_NAMESPACE
from app.cluster.live import MAX_AWAITED, LiveServiceAccounts
from app.cluster.objects import ServiceAccount
from app.cluster.turns import MAX_WAITING_IN_NAMESPACE
from app.errors import ClusterError, RefusedError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_cluster import FakeCluster

pytestmark = pytest.mark.anyio

ROLE_ARN = "eks.amazonaws.com/role-arn"
CACHED = ServiceAccount({ROLE_ARN: "cached"})
IN_LINE = AT_ONCE_IN_NAMESPACE + MAX_WAITING_IN_NAMESPACE
"""Look-ups of one namespace that are under way or have a turn coming."""
LIVE = ServiceAccount({ROLE_ARN: "live"})


def path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"


def cluster() -> FakeCluster:
    made = FakeCluster()
    made.put(path("shop", "api"), {"metadata": {"annotations": {ROLE_ARN: "live", "other": "x"}}})
    return made


def live(api: FakeCluster, *, budget_seconds: float = 10.0) -> LiveServiceAccounts:
    def cached(namespace: str, name: str) -> ServiceAccount | None:
        return CACHED if (namespace, name) == ("shop", "api") else None

    return LiveServiceAccounts(
        api, keep=Vocabulary(), cached=cached, budget_seconds=budget_seconds, clock=lambda: 1_000.0
    )


async def test_service_account_is_what_the_api_says_now() -> None:
    api = cluster()
    subject = live(api)

    assert await subject.look("shop", "api") == LIVE
    assert await subject.look("shop", "web") is None
    assert subject.outcomes == Counter(found=1, absent=1)
    assert api.requests == [("get", path("shop", "api")), ("get", path("shop", "web"))]


async def test_one_that_was_deleted_is_absent_although_it_is_cached() -> None:
    api = cluster()
    api.remove(path("shop", "api"))

    assert await live(api).look("shop", "api") is None


async def test_all_who_wait_share_one_request() -> None:
    api = cluster()
    api.answering.clear()
    subject = live(api)
    waiting = [asyncio.create_task(subject.look("shop", "api")) for _ in range(100)]
    await eventually(lambda: len(api.requests) == 1)
    api.answering.set()

    assert await asyncio.gather(*waiting) == [LIVE] * 100
    assert len(api.requests) == 1
    assert subject.outcomes == Counter(found=1)


async def test_first_one_who_gives_up_takes_nothing_from_the_others() -> None:
    api = cluster()
    api.answering.clear()
    subject = live(api)
    first, second = (asyncio.create_task(subject.look("shop", "api")) for _ in range(2))
    await eventually(lambda: len(api.requests) == 1)
    first.cancel()
    await asyncio.wait([first])
    api.answering.set()

    assert await second == LIVE
    assert first.cancelled()


async def test_api_that_hangs_costs_the_budget_and_no_more() -> None:
    api = cluster()
    api.answering.clear()
    subject = live(api, budget_seconds=0.05)

    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(subject.look("shop", name) for name in ("api", "web", "api")))

    assert answers == [CACHED, None, CACHED]
    assert subject.outcomes == Counter(timed_out=2)
    assert len(subject) == 0


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(ClusterError("expected an answer, got none"), id="no-answer"),
        pytest.param(RefusedError("expected the right, got 403", status=403, reason="Forbidden"), id="no-right"),
        pytest.param(RefusedError("expected an answer, got 404", status=404, reason=""), id="404-of-a-proxy"),
    ],
)
async def test_answer_that_failed_is_the_cached_one(failure: ClusterError) -> None:
    api = cluster()
    api.failures["get", "*"] = failure
    subject = live(api)

    assert await subject.look("shop", "api") == CACHED
    assert subject.outcomes == Counter(failed=1)


async def test_answer_that_cannot_be_read_is_a_failure() -> None:
    api = FakeCluster()
    api.put(path("shop", "api"), {"metadata": {"annotations": 7}})
    subject = live(api)

    assert await subject.look("shop", "api") == CACHED
    assert subject.outcomes == Counter(failed=1)


async def test_namespace_that_asks_too_much_waits_or_gets_what_is_cached_and_others_go_on() -> None:
    api = cluster()
    api.answering.clear()
    subject = live(api, budget_seconds=0.5)

    async def ask(namespace: str, name: str) -> ServiceAccount | None:
        return await subject.look(namespace, name)

    beyond = 72
    noisy = [asyncio.create_task(ask("shop", f"sa-{number}")) for number in range(IN_LINE + beyond)]
    neighbour = asyncio.create_task(ask("test", "api"))
    await eventually(lambda: len(api.requests) == AT_ONCE_IN_NAMESPACE + 1)
    api.answering.set()
    assert await neighbour is None
    assert await asyncio.gather(*noisy) == [None] * (IN_LINE + beyond)

    assert subject.outcomes == Counter(limited=beyond, absent=IN_LINE + 1)
    assert len(subject) == 0


async def test_whose_turn_will_not_come_waits_until_the_snapshot_has_it() -> None:
    snapshot: dict[tuple[str, str], ServiceAccount] = {}
    api = FakeCluster()
    api.answering.clear()
    subject = LiveServiceAccounts(
        api, keep=Vocabulary(), cached=lambda *key: snapshot.get(key), budget_seconds=10.0, clock=lambda: 1_000.0
    )
    before = [asyncio.create_task(subject.look("shop", f"sa-{number}")) for number in range(IN_LINE)]
    await eventually(lambda: len(api.requests) == AT_ONCE_IN_NAMESPACE)
    waiting = [asyncio.create_task(subject.look("shop", "api")) for _ in range(5)]
    await eventually(lambda: len(subject) == IN_LINE + 1)
    await asyncio.sleep(0)

    subject.arrived("shop", "other")
    snapshot["shop", "api"] = CACHED
    subject.arrived("shop", "api")

    assert await asyncio.gather(*waiting) == [CACHED] * 5
    assert ("get", path("shop", "api")) not in api.requests
    api.answering.set()
    await asyncio.gather(*before)
    assert len(subject) == 0


async def test_more_than_may_wait_get_what_is_cached_at_once() -> None:
    api = FakeCluster()
    api.answering.clear()
    subject = live(api)
    before = [asyncio.create_task(subject.look("shop", f"sa-{number}")) for number in range(IN_LINE + MAX_AWAITED)]
    await eventually(lambda: len(subject) == len(before))
    await asyncio.sleep(0)

    assert await subject.look("shop", "api") == CACHED
    assert not any(task.done() for task in before)
    for number in range(len(before)):
        subject.arrived("shop", f"sa-{number}")
    api.answering.set()
    await asyncio.gather(*before)
    assert len(subject) == 0


async def test_who_waits_for_a_turn_in_vain_gets_what_is_cached_when_the_budget_ends() -> None:
    api = cluster()
    api.answering.clear()
    subject = live(api, budget_seconds=0.05)

    async with asyncio.timeout(5):
        answers = await asyncio.gather(
            *(subject.look("shop", f"sa-{number}") for number in range(AT_ONCE_IN_NAMESPACE + 1))
        )

    assert answers == [None] * (AT_ONCE_IN_NAMESPACE + 1)
    assert subject.outcomes == Counter(timed_out=AT_ONCE_IN_NAMESPACE, limited=1)
    assert len(subject) == 0


def test_every_outcome_is_there_before_the_first_look_up() -> None:
    # A series that begins with 1 is one that never rose.
    assert dict(live(cluster()).outcomes) == {"found": 0, "absent": 0, "failed": 0, "timed_out": 0, "limited": 0}


async def test_nothing_is_kept_after_the_answers() -> None:
    api = cluster()
    subject = live(api)

    for number in range(2_000):
        await subject.look(f"team-{number % 100}", f"sa-{number}")

    assert len(subject) == 0


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("shop", "../secrets/ca"), ("shop", ".."), ("..", "api"), ("shop", "a/../b"), ("shop", ""), ("shop", "API")],
)
async def test_name_that_no_object_can_have_is_never_asked_for(namespace: str, name: str) -> None:
    api = cluster()
    subject = live(api)

    assert await subject.look(namespace, name) is None
    assert api.requests == []


async def test_mistake_of_ours_reaches_whoever_asked() -> None:
    class Mistaken(Vocabulary):
        def longest(self) -> Mapping[str, int]:
            raise ZeroDivisionError

    subject = LiveServiceAccounts(cluster(), keep=Mistaken(), cached=lambda *_: None)

    with pytest.raises(ZeroDivisionError):
        await subject.look("shop", "api")
    assert len(subject) == 0

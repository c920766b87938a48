import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest

from app.cluster.allowance import SHARE
from app.cluster.arrivals import MAX_AWAITED_IN_SHARE
from app.cluster.breaker import OPEN_SECONDS
from app.cluster.live import LiveServiceAccounts
from app.cluster.objects import ServiceAccount
from app.cluster.turns import MAX_WAITING_IN_SHARE
from app.errors import ClusterError, RefusedError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_cluster import FakeCluster
from tests.app.cluster.scripted_api import ManualClock

pytestmark = pytest.mark.anyio

ROLE_ARN = "eks.amazonaws.com/role-arn"
CACHED = ServiceAccount({ROLE_ARN: "cached"})
LIVE = ServiceAccount({ROLE_ARN: "live"})
OLD = ServiceAccount({})
IN_LINE = SHARE.at_once + MAX_WAITING_IN_SHARE
"""Look-ups of one share that are under way or have a turn coming."""


def path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"


def cluster() -> FakeCluster:
    made = FakeCluster()
    made.put(path("shop", "api"), {"metadata": {"annotations": {ROLE_ARN: "live", "other": "x"}}})
    return made


def live(
    api: FakeCluster,
    *,
    budget_seconds: float = 10.0,
    clock: ManualClock | None = None,
    snapshot: dict[tuple[str, str], ServiceAccount] | None = None,
    recent: frozenset[tuple[str, str]] = frozenset(),
) -> LiveServiceAccounts:
    kept = {("shop", "api"): CACHED} if snapshot is None else snapshot
    return LiveServiceAccounts(
        api,
        keep=Vocabulary(),
        cached=lambda *key: kept.get(key),
        is_recent=lambda *key: key in recent,
        has_namespace=lambda namespace: any(namespace == known for known, _ in kept),
        budget_seconds=budget_seconds,
        clock=clock or ManualClock(),
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
    await eventually(lambda: len(api.requests) == SHARE.at_once + 1)
    api.answering.set()
    assert await neighbour is None
    assert await asyncio.gather(*noisy) == [None] * (IN_LINE + beyond)

    assert subject.outcomes == Counter(limited=beyond, absent=IN_LINE + 1)
    assert len(subject) == 0


async def test_whose_turn_will_not_come_waits_until_the_snapshot_has_it() -> None:
    snapshot: dict[tuple[str, str], ServiceAccount] = {}
    api = FakeCluster()
    api.answering.clear()
    subject = live(api, snapshot=snapshot)
    before = [asyncio.create_task(subject.look("shop", f"sa-{number}")) for number in range(IN_LINE)]
    await eventually(lambda: len(api.requests) == SHARE.at_once)
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
    before = [
        asyncio.create_task(subject.look("shop", f"sa-{number}")) for number in range(IN_LINE + MAX_AWAITED_IN_SHARE)
    ]
    await eventually(lambda: len(subject) == len(before))
    await asyncio.sleep(0)

    assert await subject.look("shop", "another") is None
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
        answers = await asyncio.gather(*(subject.look("shop", f"sa-{number}") for number in range(SHARE.at_once + 1)))

    assert answers == [None] * (SHARE.at_once + 1)
    assert subject.outcomes == Counter(timed_out=SHARE.at_once, limited=1)
    assert len(subject) == 0


def test_every_outcome_is_there_before_the_first_look_up() -> None:
    # A series that begins with 1 is one that never rose.
    assert dict(live(cluster()).outcomes) == {
        "found": 0,
        "absent": 0,
        "failed": 0,
        "timed_out": 0,
        "limited": 0,
        "skipped": 0,
    }


async def test_nothing_is_kept_after_the_answers() -> None:
    clock = ManualClock()
    subject = live(cluster(), clock=clock)

    for number in range(2_000):
        await subject.look(f"team-{number % 100}", f"sa-{number}")
        clock.now += 0.01

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

    subject = LiveServiceAccounts(
        cluster(), keep=Mistaken(), cached=lambda *_: None, is_recent=lambda *_: False, has_namespace=lambda _: True
    )

    with pytest.raises(ZeroDivisionError):
        await subject.look("shop", "api")
    assert len(subject) == 0


# Namespaces that somebody only says.


async def test_namespaces_in_which_nothing_is_known_share_what_one_namespace_may_ask() -> None:
    api = cluster()
    subject = live(api)

    async def ask(namespace: str) -> None:
        async with asyncio.timeout(5):
            assert await subject.look(namespace, "app") is None

    # Each is over before the next, so it is the rate that ends it, and a clock that stands gives nothing back.
    for number in range(int(SHARE.burst)):
        await ask(f"said-{number}")
    assert len(api.requests) == SHARE.burst

    more = [asyncio.create_task(subject.look(f"more-{number}", "app")) for number in range(1_000)]
    await eventually(lambda: sum(task.done() for task in more) == 1_000 - MAX_WAITING_IN_SHARE - MAX_AWAITED_IN_SHARE)
    assert len(api.requests) == SHARE.burst

    assert await subject.look("shop", "new") is None
    assert await subject.look("shop", "api") == LIVE
    assert api.requests[int(SHARE.burst) :] == [("get", path("shop", "new")), ("get", path("shop", "api"))]
    for task in more:
        task.cancel()


async def test_namespace_has_its_own_share_as_soon_as_something_is_known_of_it() -> None:
    snapshot: dict[tuple[str, str], ServiceAccount] = {}
    api = cluster()
    subject = live(api, snapshot=snapshot, budget_seconds=0.05)
    for number in range(int(SHARE.burst)):
        await subject.look(f"said-{number}", "app")
    assert await subject.look("shop", "api") is None
    assert subject.outcomes["limited"] == 1

    snapshot["shop", "default"] = OLD

    assert await subject.look("shop", "api") == LIVE


async def test_service_accounts_of_so_many_fresh_namespaces_at_once_are_found() -> None:
    api, snapshot = FakeCluster(), dict[tuple[str, str], ServiceAccount]()
    api.answering.clear()
    subject = live(api, snapshot=snapshot)
    keys = [(f"team-{number}", "app") for number in range(300)]
    for key in keys:
        api.put(path(*key), {"metadata": {"annotations": {ROLE_ARN: "live"}}})

    asked = [asyncio.create_task(subject.look(*key)) for key in keys]
    await eventually(lambda: len(api.requests) == SHARE.at_once)
    api.answering.set()
    # Those whose turn will not come are brought by the watch.
    for key in keys:
        snapshot[key] = LIVE
        subject.arrived(*key)

    assert await asyncio.gather(*asked) == [LIVE] * 300


# What is known already, and an API that answers nobody.


async def test_what_is_known_waits_for_no_turn_unless_it_changed_a_moment_ago() -> None:
    api = cluster()
    api.answering.clear()
    subject = live(
        api, snapshot={("shop", "old"): OLD, ("shop", "changed"): OLD}, recent=frozenset({("shop", "changed")})
    )
    before = [asyncio.create_task(subject.look("shop", f"sa-{number}")) for number in range(SHARE.at_once)]
    await eventually(lambda: len(api.requests) == SHARE.at_once)

    changed = asyncio.create_task(subject.look("shop", "changed"))
    assert await subject.look("shop", "old") == OLD
    assert subject.outcomes == Counter(skipped=1)
    assert not changed.done()

    api.answering.set()
    assert await changed is None
    await asyncio.gather(*before)
    assert ("get", path("shop", "changed")) in api.requests
    assert ("get", path("shop", "old")) not in api.requests


@pytest.fixture
async def hanging() -> FakeCluster:
    made = cluster()
    made.answering.clear()
    return made


async def test_api_that_hangs_is_waited_for_once_and_then_what_is_known_is_answered_at_once(
    hanging: FakeCluster,
) -> None:
    clock = ManualClock()
    subject = live(hanging, budget_seconds=0.05, clock=clock)
    assert await subject.look("shop", "api") == CACHED
    assert subject.outcomes == Counter(timed_out=1)

    for _ in range(100):
        clock.now += (OPEN_SECONDS - 0.1) / 100
        assert await subject.look("shop", "api") == CACHED

    assert subject.outcomes == Counter(timed_out=1, skipped=100)
    assert len(hanging.requests) == 1


async def test_after_some_seconds_one_asks_an_api_that_hung_and_the_others_do_not(hanging: FakeCluster) -> None:
    clock = ManualClock()
    subject = live(
        hanging, budget_seconds=0.05, clock=clock, snapshot={("shop", "api"): CACHED, ("shop", "web"): CACHED}
    )
    await subject.look("shop", "api")

    clock.now += OPEN_SECONDS
    asked = await asyncio.gather(subject.look("shop", "api"), subject.look("shop", "web"))
    assert list(asked) == [CACHED, CACHED]
    assert subject.outcomes == Counter(timed_out=2, skipped=1)

    hanging.answering.set()
    clock.now += OPEN_SECONDS
    assert await subject.look("shop", "api") == LIVE
    assert await subject.look("shop", "web") is None
    assert subject.outcomes == Counter(timed_out=2, skipped=1, found=1, absent=1)


async def test_what_is_not_known_is_asked_for_although_the_api_hung_and_its_answer_ends_that(
    hanging: FakeCluster,
) -> None:
    hanging.put(path("shop", "new"), {"metadata": {"annotations": {ROLE_ARN: "live"}}})
    subject = live(hanging, budget_seconds=0.05)
    await subject.look("shop", "api")

    hanging.answering.set()

    assert await subject.look("shop", "new") == LIVE
    assert await subject.look("shop", "api") == LIVE
    assert subject.outcomes == Counter(timed_out=1, found=2)


async def test_api_that_cannot_be_reached_is_as_one_that_hangs_and_one_that_refuses_is_not() -> None:
    api = cluster()
    subject = live(api)
    api.failures["get", "*"] = RefusedError("expected the right, got 403", status=403, reason="Forbidden")
    for _ in range(2):
        assert await subject.look("shop", "api") == CACHED
    assert subject.outcomes == Counter(failed=2)

    api.failures["get", "*"] = ClusterError("expected an answer, got none")
    for _ in range(3):
        assert await subject.look("shop", "api") == CACHED
    assert subject.outcomes == Counter(failed=3, skipped=2)


async def test_look_up_that_spent_its_budget_waiting_says_nothing_of_the_api() -> None:
    api = cluster()
    api.answering.clear()
    subject = live(api, budget_seconds=0.2)
    before = [asyncio.create_task(subject.look("shop", f"sa-{number}")) for number in range(SHARE.at_once)]
    await eventually(lambda: len(api.requests) == SHARE.at_once)
    late = asyncio.create_task(subject.look("shop", "late"))
    await eventually(lambda: len(subject) == SHARE.at_once + 1)
    before[0].cancel()
    api.answering.set()
    await asyncio.gather(*before, return_exceptions=True)
    await late

    assert await subject.look("shop", "api") == LIVE

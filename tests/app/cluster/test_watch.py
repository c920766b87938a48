import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.cluster.api import Collection, ReadingApi
from app.cluster.kinds import service_accounts
from app.cluster.objects import LEFT_OUT, UNANNOTATED, ServiceAccount
from app.cluster.room import NAMESPACE_BYTES
from app.cluster.watch import TURN_SECONDS, Changed, Watched
from app.errors import ClusterError, ExpiredError, PageTooLargeError, RefusedError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.running import running
from tests.app.cluster.scripted_api import ManualClock, ScriptedApi, Step, event, page

pytestmark = pytest.mark.anyio

ROLE_ARN = "eks.amazonaws.com/role-arn"
EXPIRED_EVENT = b'{"type": "ERROR", "object": {"metadata": {}, "code": 410, "message": "too old"}}'


def source(
    api: ReadingApi,
    clock: ManualClock | None = None,
    *,
    sleep: Callable[[float], Awaitable[None]] | None = None,
    random: Callable[[], float] = lambda: 1.0,
    page_size: int = 2,
    changed: Changed[ServiceAccount] | None = None,
) -> Watched[ServiceAccount]:
    clock = clock or ManualClock()
    return Watched(
        api,
        service_accounts(Vocabulary()),
        changed=changed,
        page_size=page_size,
        clock=clock,
        sleep=sleep or clock.sleep,
        random=random,
    )


async def play(subject: Watched[ServiceAccount], api: ScriptedApi) -> list[EventDict]:
    """Run until the script is at its end, and return what was logged."""
    with capture_logs() as logs:
        async with running(subject.run()), asyncio.timeout(10):
            await api.at_end.wait()
    return logs


def names(subject: Watched[ServiceAccount]) -> list[str]:
    return [name for name in ("api", "web", "job", "old") if subject.get("shop", name) is not None]


async def test_pages_make_one_snapshot_and_the_watch_goes_on_from_its_version() -> None:
    api = ScriptedApi(lists=[page("5", "api", "web", continue_token="more"), page("5", "job")])
    subject = source(api)

    await play(subject, api)

    assert names(subject) == ["api", "web", "job"]
    assert api.asked == [("list", 2, ""), ("list", 2, "more"), ("watch", "5")]


async def test_nothing_of_a_list_is_seen_before_its_last_page() -> None:
    seen: list[list[str]] = []
    api = ScriptedApi(
        lists=[page("5", "old"), page("9", "api", continue_token="more"), lambda: seen.append(names(subject)),
               page("9", "web")],
        watches=[[EXPIRED_EVENT]],
    )  # fmt: skip
    subject = source(api)

    await play(subject, api)

    assert seen == [["old"]]
    assert names(subject) == ["api", "web"]


async def test_changes_arrive() -> None:
    api = ScriptedApi(
        lists=[page("5", "api", "old")],
        watches=[[event("ADDED", "6", "web"), event("DELETED", "7", "old"),
                  event("MODIFIED", "8", "api", annotations={ROLE_ARN: "arn", "other": "x"})]],
    )  # fmt: skip
    subject = source(api)

    await play(subject, api)

    assert names(subject) == ["api", "web"]
    changed = subject.get("shop", "api")
    assert changed is not None
    assert changed.annotations == {ROLE_ARN: "arn"}


async def test_watch_that_ends_is_followed_by_one_from_the_last_version_without_a_list() -> None:
    api = ScriptedApi(lists=[page("5")], watches=[[event("ADDED", "6", "api")], [event("BOOKMARK", "60")]])
    clock = ManualClock()

    await play(source(api, clock), api)

    assert api.asked == [("list", 2, ""), ("watch", "5"), ("watch", "6"), ("watch", "60")]
    assert clock.sleeps == []


@pytest.mark.parametrize(
    "watch",
    [
        pytest.param([ExpiredError("HTTP 410")], id="refused"),
        pytest.param([EXPIRED_EVENT], id="in-the-stream"),
        pytest.param([event("BOOKMARK", "6"), EXPIRED_EVENT], id="later-in-the-stream"),
        pytest.param([b"<html>"], id="no-event"),
        pytest.param([event("SWAPPED", "6", "api")], id="event-of-tomorrow"),
    ],
)
async def test_what_cannot_go_on_lists_anew(watch: list[bytes | ClusterError]) -> None:
    api = ScriptedApi(lists=[page("5", "old"), page("9", "api")], watches=[watch])
    subject = source(api)

    await play(subject, api)

    assert names(subject) == ["api"]
    assert [asked[0] for asked in api.asked] == ["list", "watch", "list", "watch"]
    assert api.asked[-1] == ("watch", "9")


async def test_expired_continue_token_starts_the_list_again() -> None:
    api = ScriptedApi(
        lists=[page("5", "old", continue_token="more"), ExpiredError("HTTP 410"), page("9", "api", "web")]
    )
    subject = source(api)

    await play(subject, api)

    assert names(subject) == ["api", "web"]
    assert api.asked == [("list", 2, ""), ("list", 2, "more"), ("list", 2, ""), ("watch", "9")]


async def test_broken_watch_goes_on_from_the_last_version_without_a_list() -> None:
    broken = ClusterError("expected https://api to answer, got nothing")
    api = ScriptedApi(lists=[page("5")], watches=[[event("ADDED", "6", "api"), broken], [broken]])
    clock = ManualClock()

    await play(source(api, clock), api)

    assert api.asked == [("list", 2, ""), ("watch", "5"), ("watch", "6"), ("watch", "6")]
    assert clock.sleeps == [0.8, 1.6]


async def test_failures_wait_longer_and_longer_and_are_logged_once_each() -> None:
    api = ScriptedApi(lists=[*[ClusterError("expected an API, got none")] * 3, page("5")])
    clock = ManualClock()

    logs = await play(source(api, clock), api)

    assert clock.sleeps == [0.8, 1.6, 3.2]
    assert logs == [
        *(
            {"event": "service_accounts_interrupted", "log_level": "warning", "problem": "expected an API, got none",
             "next_step": "list", "retry_in_seconds": wait}
            for wait in (0.8, 1.6, 3.2)
        ),
        {"event": "service_accounts_listed", "log_level": "info", "count": 0, "crowded_namespaces": 0, "seconds": 0.0},
    ]  # fmt: skip


async def test_page_that_is_too_large_is_asked_for_in_smaller_ones() -> None:
    too_large = PageTooLargeError("expected less")
    api = ScriptedApi(lists=[page("5", "api", continue_token="more"), too_large, page("5", "web")])
    subject = source(api)

    await play(subject, api)

    assert names(subject) == ["api", "web"]
    assert api.asked[:3] == [("list", 2, ""), ("list", 2, "more"), ("list", 1, "more")]


async def test_pages_grow_again_behind_what_was_too_large() -> None:
    too_large = PageTooLargeError("expected less")
    after = [page("5", str(number), continue_token=f"after-{number}") for number in range(4)]
    api = ScriptedApi(lists=[too_large, too_large, *after, page("5", "api")])
    subject = source(api, page_size=40)

    await play(subject, api)

    assert [limit for verb, limit, *_ in api.asked if verb == "list"] == [40, 10, 2, 8, 32, 40, 40]
    assert len(subject) == 5


async def test_page_of_one_that_is_larger_than_any_object_is_a_failure_and_not_a_loop() -> None:
    too_large = PageTooLargeError("expected a page of at most 16777216 bytes for 1 objects, got more")
    api = ScriptedApi(lists=[too_large, too_large, page("5", "api")])
    clock = ManualClock()

    logs = await play(source(api, clock), api)

    assert clock.sleeps == [0.8]
    assert logs[0]["problem"] == str(too_large)


async def test_watch_that_ends_at_once_and_empty_is_a_failure() -> None:
    api = ScriptedApi(lists=[page("5")], watches=[[], []])
    clock = ManualClock()

    logs = await play(source(api, clock), api)

    assert clock.sleeps == [0.8, 1.6]
    assert logs[1]["problem"] == "expected a watch of 600 seconds, it ended after 0.0 without an event"
    assert logs[1]["next_step"] == "watch"


async def test_watch_that_ends_empty_after_its_time_is_none() -> None:
    clock = ManualClock()
    api = ScriptedApi(lists=[page("5")], watches=[[lambda: pass_time(clock, 400.0)]])

    await play(source(api, clock), api)

    assert clock.sleeps == []


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 300), (0.5, 450), (1.0, 600)])
async def test_watches_live_five_to_ten_minutes(chance: float, seconds: int) -> None:
    api = ScriptedApi(lists=[page("5")])

    await play(source(api, random=lambda: chance), api)

    assert api.timeouts == [seconds]


def pass_time(clock: ManualClock, seconds: float) -> None:
    clock.now += seconds


async def test_age_is_infinite_until_the_first_list_is_complete() -> None:
    ages: list[float] = []
    clock = ManualClock()
    api = ScriptedApi(lists=[page("5", "api", continue_token="more"), lambda: ages.append(subject.age(clock())),
                             page("5", "web")])  # fmt: skip
    subject = source(api, clock)
    assert subject.age(clock()) == math.inf

    await play(subject, api)

    assert ages == [math.inf]
    assert subject.age(clock()) == 0.0


async def test_age_is_the_time_since_the_api_was_last_heard() -> None:
    ages: list[float] = []
    clock = ManualClock()

    def minute_passes() -> None:
        pass_time(clock, 60.0)
        ages.append(subject.age(clock()))

    api = ScriptedApi(
        lists=[page("5")],
        watches=[[minute_passes, event("BOOKMARK", "6"), minute_passes, event("ADDED", "7", "api"), minute_passes,
                  ClusterError("expected an answer, got none")]],
    )  # fmt: skip
    subject = source(api, clock)

    await play(subject, api)

    assert ages == [60.0, 60.0, 60.0]
    assert subject.age(clock()) == 0.0  # the next watch was answered


async def test_age_grows_while_the_api_refuses() -> None:
    ages: list[float] = []
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        ages.append(subject.age(clock()))

    refused = [ClusterError("expected the right to watch serviceaccounts, got 403")]
    api = ScriptedApi(lists=[page("5")], watches=[refused, refused])
    subject = source(api, clock, sleep=sleep)

    await play(subject, api)

    assert ages == [pytest.approx(0.8), pytest.approx(2.4)]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([EXPIRED_EVENT], id="expired"),
        pytest.param([ClusterError("expected an answer, got none")], id="refused"),
        pytest.param([lambda: None, ClusterError("expected an answer, got none")], id="broken-after-the-answer"),
        pytest.param([], id="over-at-once"),
    ],
)
async def test_watch_that_fails_without_an_event_does_not_count(broken: list[Step]) -> None:
    ages: list[float] = []
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        ages.append(subject.age(clock()))
        await clock.sleep(seconds)

    api = ScriptedApi(
        lists=[page("5"), page("9")],
        watches=[[event("BOOKMARK", "6"), lambda: pass_time(clock, 60.0)], broken],
    )
    subject = source(api, clock, sleep=sleep)

    await play(subject, api)

    assert ages == [60.0]


async def test_watch_that_a_proxy_cut_because_it_was_idle_counts() -> None:
    ages: list[float] = []
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        ages.append(subject.age(clock()))
        await clock.sleep(seconds)

    idle: list[Step] = [lambda: pass_time(clock, 50.0), ClusterError("expected an answer, got none")]
    api = ScriptedApi(lists=[page("5")], watches=[idle, idle, idle, idle])
    subject = source(api, clock, sleep=sleep)

    await play(subject, api)

    assert ages == [50.0] * 4


async def test_list_is_as_old_as_its_first_page() -> None:
    ages: list[float] = []
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        ages.append(subject.age(clock()))
        await clock.sleep(seconds)

    api = ScriptedApi(
        lists=[page("5", "api", continue_token="more"), lambda: pass_time(clock, 10.0), page("5", "web")],
        watches=[[ClusterError("expected an answer, got none")]],
    )
    subject = source(api, clock, sleep=sleep)

    await play(subject, api)

    assert ages == [10.0]


class Laborious(Vocabulary):
    """To see what is kept of an object takes a quarter of a turn, and a bit."""

    clock: ClassVar[ManualClock]

    def longest(self) -> Mapping[str, int]:
        self.clock.now += TURN_SECONDS / 3.9
        return super().longest()


async def turns_beside(api: ScriptedApi) -> int:
    """Return how many turns another task had while all of *api* was read."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    clock = Laborious.clock = ManualClock()
    subject = Watched(api, service_accounts(Laborious()), page_size=1_000, clock=clock, sleep=clock.sleep)
    task = asyncio.create_task(other())
    await play(subject, api)
    task.cancel()
    return turns


async def test_burst_of_events_lets_others_have_their_turn() -> None:
    burst = [event("ADDED", str(version), "api", annotations={"a": "b"}) for version in range(6, 1_006)]

    assert await turns_beside(ScriptedApi(lists=[page("5")], watches=[burst])) >= 1_000 / 4


async def test_page_with_much_to_do_lets_others_have_their_turn() -> None:
    laborious = {"metadata": {"name": "api", "namespace": "shop", "annotations": {"a": "b"}}}
    body = json.dumps({"metadata": {"resourceVersion": "5"}, "items": [laborious] * 1_000}).encode()

    assert await turns_beside(ScriptedApi(lists=[body])) >= 1_000 / 4


async def test_many_changes_at_once_let_others_have_their_turn() -> None:
    clock, told, turns = ManualClock(), 0, 0

    def changed(*_: object) -> None:
        nonlocal told
        told += 1
        clock.now += 1.1 * TURN_SECONDS
        assert turns >= told - 1

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    api = ScriptedApi(lists=[page("5", *(f"sa-{number}" for number in range(100)))])
    task = asyncio.create_task(other())
    await play(source(api, clock, changed=changed), api)

    task.cancel()
    assert told == 100


async def test_what_there_may_have_been_no_room_for_is_left_out_and_never_absent() -> None:
    kind = service_accounts(Vocabulary())
    kind.size = lambda account: NAMESPACE_BYTES if account.annotations else 0
    crowd = {"metadata": {"name": "web", "namespace": "shop", "annotations": {ROLE_ARN: "x"}}}
    body = json.dumps({"metadata": {"resourceVersion": "5"}, "items": [
        {"metadata": {"name": "api", "namespace": "shop"}}, crowd, {"metadata": {"name": "api", "namespace": "test"}},
    ]}).encode()  # fmt: skip
    during: list[ServiceAccount | None] = []

    def look() -> None:
        during.extend(subject.get("shop", name) for name in ("api", "web", "never"))

    api = ScriptedApi(lists=[body], watches=[[look, event("MODIFIED", "6", "web")]])
    subject = Watched(api, kind, clock=ManualClock())

    logs = await play(subject, api)

    assert during == [UNANNOTATED, LEFT_OUT, LEFT_OUT]
    assert subject.get("test", "never") is None
    assert subject.get("shop", "web") == UNANNOTATED
    assert logs[0]["crowded_namespaces"] == 1


async def test_mistake_of_ours_is_not_taken_for_the_weather() -> None:
    class Mistaken(Vocabulary):
        def longest(self) -> Mapping[str, int]:
            raise ZeroDivisionError

    api = ScriptedApi(lists=[page("5")], watches=[[event("ADDED", "6", "api", annotations={"any": "x"})]])
    clock = ManualClock()
    subject = Watched(api, service_accounts(Mistaken()), clock=clock, sleep=clock.sleep)

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(subject.run(), timeout=10)


async def test_every_kind_is_asked_for_by_its_collection() -> None:
    api = ScriptedApi(lists=[page("5")])

    await play(source(api), api)

    assert api.collections == {Collection(path="/api/v1/serviceaccounts", metadata_only=True)}


async def test_what_changed_is_told_for_lists_and_events() -> None:
    told: list[tuple[str, str, bool, bool]] = []

    def changed(namespace: str, name: str, old: ServiceAccount | None, new: ServiceAccount | None) -> None:
        assert subject.get(namespace, name) == new
        told.append((namespace, name, old is not None, new is not None))

    api = ScriptedApi(
        lists=[page("5", "api", "old"), lambda: told.append(("", "", False, False)), page("9", "api", "job")],
        watches=[[event("ADDED", "6", "web"), event("MODIFIED", "7", "web", labels={"a": "b"}),
                  event("DELETED", "8", "old"), EXPIRED_EVENT]],
    )  # fmt: skip
    subject = source(api, changed=changed)

    await play(subject, api)

    again = told.index(("", "", False, False))
    assert sorted(told[:2]) == [("shop", "api", False, True), ("shop", "old", False, True)]
    assert told[2:again] == [("shop", "web", False, True), ("shop", "old", True, False)]
    assert sorted(told[again + 1 :]) == [("shop", "job", False, True), ("shop", "web", True, False)]


async def test_snapshot_can_be_gone_through() -> None:
    api = ScriptedApi(lists=[page("5", "api", "web")])
    subject = source(api)

    await play(subject, api)

    assert list(subject) == [("shop", "api", UNANNOTATED), ("shop", "web", UNANNOTATED)]


async def test_api_that_says_when_to_come_back_is_left_alone_until_then() -> None:
    slow_down = RefusedError("expected to list, got 429", status=429, reason="TooManyRequests", retry_after_seconds=7.0)
    api = ScriptedApi(lists=[slow_down, page("5")])
    clock = ManualClock()

    await play(source(api, clock), api)

    assert clock.sleeps == [7.0]

"""The loop over objects in memory. What is to be written next is decided in ``rotation``; here it is written."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from cryptography import x509
from structlog.testing import capture_logs

from app.cluster.paths import words
from app.controller.certificates import Certificates
from app.controller.metrics import ControllerMetrics
from app.controller.stored import IN_BUNDLE_SINCE, STORED_SINCE
from app.errors import ClusterError, RefusedError
from app.x509 import KeyPair, has_signed, issue, make_authority, names_of, pem
from tests.app.controller.stored_objects import (
    AUTHORITY,
    CONFIGURATION,
    OBJECTS,
    POLICY,
    RELOADS,
    SERVING,
    SETTLES,
    START,
    StoredObjects,
    as_the_chart_made_it,
    configuration,
    secret,
)

pytestmark = pytest.mark.anyio

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class World:
    """Objects, a clock and a controller."""

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self.api = StoredObjects.of(objects)
        self.clock = Clock()
        self.metrics = ControllerMetrics()

    def controller(self, sleep: Callable[[float], Any] | None = None, **policy: Any) -> Certificates:
        options = {"sleep": sleep} if sleep else {}
        return Certificates(
            self.api,
            OBJECTS,
            policy=replace(POLICY, **policy),
            metrics=self.metrics,
            clock=self.clock,
            random=lambda: 0.0,
            **options,
        )

    async def settle(self, controller: Certificates | None = None, *, after: timedelta = timedelta(0)) -> list[str]:
        """Let the time pass and the controller look until it writes nothing, and return what it wrote."""
        self.clock.now += after
        self.api.requests.clear()
        controller = controller or self.controller()
        for _ in range(20):
            if not await controller.look():
                return self.api.written()
        raise AssertionError(f"expected an end, got {self.api.written()}")

    @property
    def authority(self) -> KeyPair:
        pair = self.api.stored().authority.pair
        assert pair is not None
        return pair

    @property
    def serving(self) -> KeyPair:
        pair = self.api.stored().serving.pair
        assert pair is not None
        return pair

    @property
    def bundles(self) -> list[tuple[x509.Certificate, ...]]:
        return list(self.api.stored().configuration.bundles)


CA, TLS, HOOKS = "irsa-webhook-ca", "irsa-webhook-tls", "irsa-webhook"
ISSUED = [TLS, TLS]  # the certificate, and the time when it was seen to be stored


async def installed() -> World:
    world = World(as_the_chart_made_it())
    await world.settle()
    return world


async def test_empty_secrets_are_filled_at_once_in_the_order_of_trust() -> None:
    world = World(as_the_chart_made_it())

    assert await world.settle() == [CA, HOOKS, CA, *ISSUED]

    assert world.bundles == [(world.authority.certificate,)] * 2
    assert has_signed(world.authority.certificate, world.serving.certificate)
    assert names_of(world.serving.certificate) == POLICY.names
    assert world.authority.certificate.not_valid_after_utc == START + 730 * DAY
    assert world.serving.certificate.not_valid_after_utc == START + 90 * DAY


async def test_secrets_hold_what_their_readers_expect() -> None:
    world = await installed()

    assert sorted(world.api.document(AUTHORITY)["data"]) == ["ca.crt", "ca.key"]
    assert sorted(world.api.document(SERVING)["data"]) == ["ca.crt", "tls.crt", "tls.key"]
    assert world.api.document(AUTHORITY)["metadata"]["annotations"] == {IN_BUNDLE_SINCE: "2026-11-25T12:00:00+00:00"}
    assert world.api.document(SERVING)["metadata"]["annotations"] == {STORED_SINCE: "2026-11-25T12:00:00+00:00"}


async def test_nothing_of_the_configuration_but_its_bundles_is_touched() -> None:
    world = await installed()

    value = base64.b64encode(pem([world.authority.certificate]))
    expected = configuration(base64.b64decode(value), base64.b64decode(value))
    assert world.api.document(CONFIGURATION)["webhooks"] == expected["webhooks"]


async def test_what_is_good_is_left_alone_by_whoever_comes_next() -> None:
    world = await installed()

    assert await world.settle(after=59 * DAY) == []


async def test_serving_certificate_is_renewed_after_two_thirds_of_its_life_by_the_same_ca() -> None:
    world = await installed()
    authority, serving = world.authority.certificate, world.serving.certificate

    assert await world.settle(after=60 * DAY) == ISSUED

    assert world.authority.certificate == authority
    assert world.serving.certificate != serving
    assert world.bundles == [(authority,)] * 2


async def test_ca_is_exchanged_step_by_step_and_each_step_waits_for_those_who_lag() -> None:
    world = await installed()
    old = world.authority.certificate
    assert await world.settle(after=486 * DAY) == ISSUED
    serving = world.serving.certificate

    assert await world.settle(after=DAY) == [CA, HOOKS, CA]
    new = world.authority.certificate
    assert world.bundles == [(new, old)] * 2
    assert world.api.stored().authority.previous == (old,)

    assert await world.settle(after=SETTLES - SECOND) == []
    assert world.serving.certificate == serving
    assert await world.settle(after=SECOND) == ISSUED
    assert has_signed(new, world.serving.certificate)

    assert await world.settle(after=RELOADS - SECOND) == []
    assert world.bundles == [(new, old)] * 2
    assert await world.settle(after=SECOND) == [HOOKS, CA]
    assert world.bundles == [(new,)] * 2
    assert world.api.stored().authority.previous == ()


async def test_key_of_the_ca_before_is_gone_with_its_turn() -> None:
    world = await installed()
    key = world.api.document(AUTHORITY)["data"]["ca.key"]
    await world.settle(after=487 * DAY)

    assert key not in str(world.api.document(AUTHORITY))


async def test_bundle_that_somebody_removed_comes_back() -> None:
    world = await installed()
    world.api.put(CONFIGURATION, configuration(pem([world.authority.certificate]), b"", b"garbage"))

    assert await world.settle() == [CA, HOOKS, CA]

    assert world.bundles == [(world.authority.certificate,)] * 3


async def test_bundle_removed_in_the_middle_of_an_exchange_begins_the_wait_anew() -> None:
    world = await installed()
    old = world.authority.certificate
    await world.settle(after=487 * DAY)
    world.api.put(CONFIGURATION, configuration(pem([old]), pem([old])))
    await world.settle(after=SETTLES - SECOND)

    assert await world.settle(after=SETTLES - SECOND) == []
    assert world.bundles == [(world.authority.certificate, old)] * 2
    assert await world.settle(after=SECOND) == ISSUED


async def test_bundle_removed_after_an_exchange_still_verifies_what_replicas_may_serve() -> None:
    world = await installed()
    old = world.authority.certificate
    await world.settle(after=487 * DAY)
    await world.settle(after=SETTLES)
    world.api.put(CONFIGURATION, configuration(b"", b""))
    await world.settle()

    assert world.bundles == [(world.authority.certificate, old)] * 2


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
@pytest.mark.parametrize("value", [None, "", "Z2FyYmFnZQ=="])
async def test_unreadable_ca_is_replaced_in_the_safe_order(name: str, value: str | None) -> None:
    world = await installed()
    old, serving = world.authority.certificate, world.serving.certificate
    document = world.api.document(AUTHORITY)
    document["data"][name] = value
    world.api.put(AUTHORITY, document)

    assert await world.settle(after=DAY) == [CA, HOOKS, CA]
    assert world.bundles == [(world.authority.certificate, old)] * 2
    assert world.serving.certificate == serving
    assert await world.settle(after=SETTLES) == ISSUED
    assert (await world.settle(after=RELOADS))[0] == HOOKS
    assert world.bundles == [(world.authority.certificate,)] * 2


async def test_everything_lost_but_the_bundle_is_replaced_in_the_safe_order() -> None:
    world = await installed()
    old = world.authority.certificate
    world.api.put(AUTHORITY, secret({}))
    world.api.put(SERVING, secret({}))

    assert await world.settle(after=DAY) == [CA, HOOKS, CA]
    assert world.bundles == [(world.authority.certificate, old)] * 2
    assert await world.settle(after=SETTLES) == ISSUED


async def test_unreadable_serving_certificate_is_replaced_at_once_where_its_ca_is_trusted() -> None:
    world = await installed()
    document = world.api.document(SERVING)
    document["data"]["tls.key"] = "Z2FyYmFnZQ=="
    world.api.put(SERVING, document)

    assert await world.settle(after=DAY) == ISSUED


async def test_certificate_of_cert_manager_is_taken_over_without_a_gap() -> None:
    theirs = make_authority("theirs", now=START, lifetime=90 * DAY)
    leaf = issue(theirs, POLICY.names, common_name="theirs", now=START, lifetime=90 * DAY)
    data = {"tls.crt": leaf.certificate_pem(), "tls.key": leaf.key_pem(), "ca.crt": theirs.certificate_pem()}
    # The upgrade that ends cert-manager's turn may take its caBundle with it.
    world = World({**as_the_chart_made_it(), SERVING: secret(data)})

    assert await world.settle() == [CA, HOOKS, CA]
    assert world.bundles == [(world.authority.certificate, theirs.certificate)] * 2
    assert await world.settle(after=SETTLES) == ISSUED
    assert await world.settle(after=RELOADS) == [HOOKS]
    assert world.bundles == [(world.authority.certificate,)] * 2


async def test_certificate_in_place_of_the_ca_is_replaced() -> None:
    world = await installed()
    document = world.api.document(AUTHORITY)
    serving = world.api.document(SERVING)["data"]
    document["data"] |= {"ca.crt": serving["tls.crt"], "ca.key": serving["tls.key"]}
    world.api.put(AUTHORITY, document)

    with capture_logs() as logs:
        await world.settle()

    why = "ca.crt: expected the certificate of a CA, got another one"
    assert [line["why"] for line in logs if line["event"] == "authority_made"] == [why]


async def test_other_names_make_another_certificate() -> None:
    world = await installed()

    assert await world.settle(world.controller(names=frozenset({"other.svc", "::1"}))) == ISSUED
    assert names_of(world.serving.certificate) == {"other.svc", "::1"}


@pytest.mark.parametrize("path", [AUTHORITY, SERVING])
async def test_time_noted_by_a_clock_that_was_wrong_is_not_believed(path: str) -> None:
    world = await installed()
    document = world.api.document(path)
    document["metadata"]["annotations"] = dict.fromkeys((IN_BUNDLE_SINCE, STORED_SINCE), "2126-01-01T00:00:00+00:00")
    world.api.put(path, document)

    assert await world.settle() == [path.rpartition("/")[2]]


@pytest.mark.parametrize("value", ["", "yesterday", "2026-11-25T12:00:00", "9" * 5000])
async def test_time_that_is_none_is_noted_anew(value: str) -> None:
    world = await installed()
    document = world.api.document(AUTHORITY)
    document["metadata"]["annotations"] = {IN_BUNDLE_SINCE: value}
    world.api.put(AUTHORITY, document)

    assert await world.settle() == [CA]


async def test_ca_made_by_a_clock_that_was_ahead_is_exchanged() -> None:
    world = await installed()
    serving = world.serving.certificate

    assert await world.settle(after=-DAY) == [CA, HOOKS, CA]
    assert world.serving.certificate == serving
    assert await world.settle(after=SETTLES) == ISSUED


async def test_ca_whose_time_is_over_is_replaced_also_in_the_middle_of_an_exchange() -> None:
    world = await installed()
    await world.settle(after=487 * DAY)

    assert await world.settle(after=731 * DAY) == [CA, HOOKS, CA]
    assert len(world.bundles[0]) == 3


async def test_object_that_another_changed_is_read_again() -> None:
    world = World(as_the_chart_made_it())
    slow, fast = world.controller(), world.controller()
    look = slow.look()
    for _ in range(4):
        look.send(None)  # it has read all three, and is about to write
    await world.settle(fast)
    authority = world.authority.certificate

    with pytest.raises(RefusedError) as caught:
        look.send(None)

    assert caught.value.is_conflict
    assert world.authority.certificate == authority


class EndOfTestError(Exception):
    """Raised by a sleep that has slept enough."""


async def slept(world: World, *, times: int, failures: Sequence[ClusterError] = ()) -> list[float]:
    """Run the loop, with one of *failures* before each sleep while there are any, and return how long it slept."""
    sleeps: list[float] = []
    coming = iter(failures)

    def fail_next() -> None:
        failure = next(coming, None)
        world.api.failures = {("get", "*"): failure} if failure else {}

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        fail_next()
        if len(sleeps) == times:
            raise EndOfTestError

    fail_next()
    with pytest.raises(EndOfTestError):
        await world.controller(sleep).run()
    return sleeps


async def test_loop_looks_again_at_once_after_a_write_and_else_every_ten_seconds() -> None:
    assert await slept(World(as_the_chart_made_it()), times=7) == [0, 0, 0, 0, 0, 10, 10]


async def test_loop_goes_on_after_every_failure() -> None:
    world = World(as_the_chart_made_it())
    conflict = RefusedError("changed", status=409, reason="Conflict")
    failures = [ClusterError("away"), conflict, ClusterError("away")]

    with capture_logs() as logs:
        assert await slept(world, times=9, failures=failures) == [0.4, 1, 0.8, 0, 0, 0, 0, 0, 10]

    assert [line["event"] for line in logs[:3]] == [
        "certificates_interrupted",
        "certificates_changed_by_another",
        "certificates_interrupted",
    ]
    assert errors(world.metrics) == {"lease": 0, "certificates": 2, "events": 0}


@pytest.mark.parametrize("path", [AUTHORITY, SERVING, CONFIGURATION])
async def test_missing_object_is_never_made_and_the_log_says_what_to_do(path: str) -> None:
    objects = as_the_chart_made_it()
    del objects[path]
    world = World(objects)

    with capture_logs() as logs:
        await slept(world, times=2)

    assert world.api.written() == []
    assert logs[0] == {
        "event": "certificates_interrupted",
        "log_level": "error",
        "problem": f'expected to get {words(path)}, got 404 from the fake: "NotFound"',
        "retry_in_seconds": 0.4,
        "what_to_do": "install the chart or manifests anew, which make it, or set --no-certificates",
    }


async def test_metrics_say_when_the_certificates_end() -> None:
    world = await installed()

    assert world.metrics.expiry == {"ca": START + 730 * DAY, "serving": START + 90 * DAY}
    await slept(world, times=1)
    assert world.metrics.expiry == {}  # another one leads, and knows


async def test_no_key_reaches_the_log() -> None:
    world = World(as_the_chart_made_it())
    with capture_logs() as logs:
        await world.settle()
        await world.settle(after=487 * DAY)
        await world.settle(after=SETTLES)
        await world.settle(after=RELOADS)
        structlog.get_logger().info("stored", stored=world.api.stored())

    said = repr(logs)
    assert {line["event"] for line in logs} >= {"authority_made", "certificate_issued", "bundles_patched", "stored"}
    assert "PRIVATE" not in said
    for pair in (world.authority, world.serving):
        assert [line for line in pair.key_pem().decode().splitlines()[1:-1] if line in said] == []


def errors(metrics: ControllerMetrics) -> dict[str, float]:
    return {
        sample.labels["what"]: sample.value
        for metric in metrics.collect()
        for sample in metric.samples
        if sample.name == "irsa_controller_errors_total"
    }


THEIRS, OTHERS = (make_authority(name, now=START, lifetime=365 * DAY) for name in ("theirs", "others"))
TRUSTED: dict[str, Any] = {"trusted": (THEIRS.certificate,)}
GIVEN: dict[str, Any] = TRUSTED | {"signs": False}


async def test_ca_that_is_trusted_beside_our_own_is_in_every_bundle_and_stays() -> None:
    world = await installed()

    await world.settle(world.controller(**TRUSTED))

    own = world.authority.certificate
    assert world.bundles == [(own, THEIRS.certificate)] * 2
    assert await world.settle(world.controller(**TRUSTED), after=RELOADS) == []

    await world.settle(world.controller())

    assert world.bundles == [(own,)] * 2


async def test_bundle_keeps_our_ca_until_every_replica_serves_with_the_given_certificate() -> None:
    world = await installed()
    own = world.authority.certificate
    controller = world.controller(**GIVEN)

    assert await world.settle(controller) == [HOOKS]
    assert world.bundles == [(THEIRS.certificate, own)] * 2
    assert await world.settle(controller, after=RELOADS - SECOND) == []
    assert await world.settle(controller, after=SECOND) == [HOOKS]
    assert world.bundles == [(THEIRS.certificate,)] * 2


async def test_time_of_the_given_ca_begins_anew_where_a_bundle_has_lost_it() -> None:
    world = World(as_the_chart_made_it() | {CONFIGURATION: configuration(pem([THEIRS.certificate]), b"")})
    controller = world.controller(**GIVEN)
    await world.settle(controller)

    world.api.put(CONFIGURATION, configuration(pem([OTHERS.certificate]), pem([THEIRS.certificate])))

    assert await world.settle(controller, after=RELOADS) == [HOOKS]
    assert world.bundles == [(THEIRS.certificate, OTHERS.certificate)] * 2
    assert await world.settle(controller, after=RELOADS) == [HOOKS]
    assert world.bundles == [(THEIRS.certificate,)] * 2


async def test_secrets_are_not_asked_for_where_certificates_are_given() -> None:
    """The chart makes none there, and binds no right to them."""
    world = World(as_the_chart_made_it())

    await world.settle(world.controller(**GIVEN))

    assert {path for _, path in world.api.requests} == {CONFIGURATION}
    assert world.bundles == [(THEIRS.certificate,)] * 2


async def test_our_ca_signs_only_when_api_servers_trust_it_beside_the_given_one() -> None:
    given = pem([THEIRS.certificate])
    world = World(as_the_chart_made_it() | {CONFIGURATION: configuration(given, given)})

    assert await world.settle() == [CA, HOOKS, CA]
    assert world.bundles == [(world.authority.certificate, THEIRS.certificate)] * 2
    assert await world.settle(after=SETTLES - SECOND) == []
    assert await world.settle(after=SECOND) == ISSUED
    assert await world.settle(after=RELOADS) == [HOOKS]
    assert world.bundles == [(world.authority.certificate,)] * 2

"""No review is lost, whatever happens in whichever order: two controllers at once, crashes, and Secrets lost."""

from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.controller.certificates import Certificates
from app.controller.metrics import ControllerMetrics
from app.errors import RefusedError
from app.x509 import has_signed, issue, make_authority, pem
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

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass
class Lagging:
    """What is stored, and what was there before and may still be in use somewhere."""

    lag: timedelta
    now: Any = None
    before: list[tuple[Any, datetime]] = field(default_factory=list)

    def change(self, value: Any, time: datetime) -> None:
        if value != self.now:
            if self.now is not None:
                self.before.append((self.now, time))
            self.now = value

    def in_use(self, time: datetime) -> list[Any]:
        self.before = [(value, until) for value, until in self.before if time - until < self.lag]
        return [value for value, _ in self.before] + ([] if self.now is None else [self.now])


class Cluster:
    """Objects, apiservers that verify with a caBundle of up to a minute ago, replicas that serve from memory."""

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self.now = START
        self.api = StoredObjects.of(objects)
        self.api.on_change = self._changed
        self._bundles, self._serving = Lagging(SETTLES), Lagging(RELOADS)
        self._changed()

    def _changed(self) -> None:
        stored = self.api.stored()
        if stored.serving.pair is not None:  # of what it cannot read, a replica takes nothing
            self._serving.change(stored.serving.pair.certificate, self.now)
        if self._serving.now is not None:  # before that, no review was answered that could be lost
            self._bundles.change(stored.configuration.bundles, self.now)

    def lost(self) -> list[tuple[x509.Certificate, x509.Certificate]]:
        """Return the serving certificates in use that a caBundle in use does not verify."""
        return [
            (serving, bundle)
            for serving in self._serving.in_use(self.now)
            for bundles in self._bundles.in_use(self.now)
            for bundle in bundles
            if not any(has_signed(authority, serving) for authority in bundle)
        ]

    def controller(self) -> Certificates:
        return Certificates(self.api, OBJECTS, policy=POLICY, metrics=ControllerMetrics(), clock=lambda: self.now)


def run(look: Coroutine[Any, Any, bool], *, requests: int = 99) -> bool | None:
    """Let a look go on for so many *requests*, each of which gives up its turn. Return its result, None: not yet."""
    try:
        for _ in range(requests):
            look.send(None)
    except StopIteration as end:
        return bool(end.value)
    return None


def taken_over() -> dict[str, dict[str, Any]]:
    """As cert-manager leaves it."""
    theirs = make_authority("theirs", now=START, lifetime=90 * DAY)
    leaf = issue(theirs, POLICY.names, common_name="theirs", now=START, lifetime=90 * DAY)
    return {
        **as_the_chart_made_it(),
        SERVING: secret({"tls.crt": leaf.certificate_pem(), "tls.key": leaf.key_pem()}),
        CONFIGURATION: configuration(theirs.certificate_pem(), theirs.certificate_pem()),
    }


class Rotation(RuleBasedStateMachine):
    @initialize(is_taken_over=st.booleans())
    def install(self, *, is_taken_over: bool) -> None:
        self.cluster = Cluster(taken_over() if is_taken_over else as_the_chart_made_it())
        self.looks: dict[int, Coroutine[Any, Any, bool]] = {}

    @rule(who=st.integers(0, 1), requests=st.integers(1, 5))
    def go_on(self, who: int, requests: int) -> None:
        look = self.looks.pop(who, None) or self.cluster.controller().look()
        with suppress(RefusedError):
            if run(look, requests=requests) is None:
                self.looks[who] = look

    @rule(steps=st.integers(1, 6))
    def lead(self, steps: int) -> None:
        for _ in range(steps):
            run(self.cluster.controller().look())

    @rule(who=st.integers(0, 1))
    def crash(self, who: int) -> None:
        if who in self.looks:
            self.looks.pop(who).close()

    @rule(seconds=st.sampled_from([1, 30, 60, 300, 600, 700]))
    def wait(self, seconds: int) -> None:
        self.cluster.now += seconds * SECOND

    @rule(days=st.sampled_from([60, 90, 487, 731]))
    def grow_old(self, days: int) -> None:
        self.cluster.now += days * DAY

    @rule(path=st.sampled_from([AUTHORITY, SERVING]), name=st.sampled_from(["ca.crt", "ca.key", "tls.crt", "tls.key"]))
    def lose_a_value(self, path: str, name: str) -> None:
        document = self.cluster.api.document(path)
        document.setdefault("data", {})[name] = "Z2FyYmFnZQ=="
        self.cluster.api.put(path, document)

    @rule(path=st.sampled_from([AUTHORITY, SERVING]))
    def lose_a_secret(self, path: str) -> None:
        self.cluster.api.put(path, secret({}))

    @invariant()
    def every_bundle_in_use_verifies_every_certificate_in_use(self) -> None:
        if hasattr(self, "cluster"):
            assert self.cluster.lost() == []

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        for look in self.looks.values():
            look.close()
        # At most two exchanges are left, of two waits each: the one that goes on, and then that of a CA that grew old.
        for _ in range(5):
            while run(self.cluster.controller().look()):
                assert self.cluster.lost() == []
            self.cluster.now += RELOADS
        stored = self.cluster.api.stored()
        assert stored.authority.pair is not None
        assert stored.serving.pair is not None
        assert has_signed(stored.authority.pair.certificate, stored.serving.pair.certificate)
        assert stored.authority.previous == ()
        assert set(stored.configuration.bundles) == {(stored.authority.pair.certificate,)}


TestRotation = Rotation.TestCase
TestRotation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("requests", range(1, 6))
@pytest.mark.parametrize("step", range(6))
def test_controller_killed_at_any_request_of_an_exchange_is_followed_by_one_that_ends_it(
    step: int, requests: int
) -> None:
    cluster = Cluster(as_the_chart_made_it())
    while run(cluster.controller().look()):
        pass
    old = cluster.api.stored().authority.pair
    cluster.now += 487 * DAY
    written = 0
    while written < 6:  # CA, bundles, mark; serving certificate; bundles, CA
        look = cluster.controller().look()
        has_written = run(look, requests=requests if written == step else 99)
        look.close()
        step = -1 if written == step else step
        written += bool(has_written)
        assert cluster.lost() == []
        if has_written is False:
            cluster.now += SETTLES

    stored = cluster.api.stored()
    assert stored.authority.pair is not None
    assert stored.authority.pair != old
    assert stored.configuration.bundles == ((stored.authority.pair.certificate,),) * 2
    assert stored.serving.issuer == (stored.authority.pair.certificate,)


def test_the_model_finds_a_bundle_that_is_cut_too_early() -> None:
    cluster = Cluster(taken_over())
    cluster.api.put(CONFIGURATION, configuration(pem([make_authority("x", now=START, lifetime=DAY).certificate])))

    assert cluster.lost() != []


@pytest.mark.parametrize("requests", range(1, 4))
def test_controller_that_slept_through_an_exchange_spoils_nothing_when_it_wakes(requests: int) -> None:
    cluster = Cluster(as_the_chart_made_it())
    while run(cluster.controller().look()):
        pass
    # Young enough that the sleeper finds nothing wrong with its CA, but that the serving certificate is another's.
    sleeper = cluster.controller().look()
    assert run(sleeper, requests=requests) is None
    document = cluster.api.document(AUTHORITY)
    del document["data"]["ca.key"]
    cluster.api.put(AUTHORITY, document)
    for wait in (SETTLES, RELOADS):
        while run(cluster.controller().look()):
            pass
        cluster.now += wait
    # The new CA has signed, and another controller is about to cut every caBundle to it.
    cutting = cluster.controller().look()
    assert run(cutting, requests=4) is None
    with suppress(RefusedError):
        run(sleeper)
    with suppress(RefusedError):
        run(cutting)

    assert cluster.lost() == []


def test_certificate_that_was_long_on_its_way_is_served_as_long_as_any_other_before_the_old_ca_goes() -> None:
    cluster = Cluster(taken_over())
    while run(cluster.controller().look()):
        pass
    cluster.now += SETTLES
    issuing = cluster.controller().look()
    assert run(issuing, requests=4) is None  # three reads, and the write is under way
    cluster.now += SETTLES
    assert run(issuing)

    for wait in (RELOADS - SETTLES, SETTLES):
        while run(cluster.controller().look()):
            assert cluster.lost() == []
        cluster.now += wait
    while run(cluster.controller().look()):
        assert cluster.lost() == []

    stored = cluster.api.stored()
    assert stored.authority.pair is not None
    assert stored.configuration.bundles == ((stored.authority.pair.certificate,),) * 2

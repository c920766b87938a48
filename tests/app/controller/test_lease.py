import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

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
from app.errors import ClusterError

NOW = datetime(2026, 11, 25, 12, 0, 0, 5, tzinfo=UTC)
TIMES = LeaseTimes(duration=15)


def body(**spec: Any) -> bytes:
    return json.dumps({"kind": "Lease", "metadata": {"name": "x", "resourceVersion": "7"}, "spec": spec}).encode()


def lease(holder: str, *, renewed: str = "r1", duration: int = 15, resource_version: str = "7") -> Lease:
    return Lease(
        holder=holder,
        duration=duration,
        acquired="a",
        renewed=renewed,
        transitions=3,
        resource_version=resource_version,
    )


def test_times_are_those_of_client_go() -> None:
    assert (TIMES.duration, TIMES.renew_deadline, TIMES.retry_period) == (15, 10, 2)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"metadata": {"name": "x", "resourceVersion": "7"}}', id="as-the-chart-made-it"),
        pytest.param(body(), id="empty-spec"),
        pytest.param(body(holderIdentity="", leaseDurationSeconds=1, renewTime="r"), id="released"),
    ],
)
def test_lease_without_a_holder_is_free_at_once(content: bytes) -> None:
    found = read_lease(content)

    assert (found.holder, found.resource_version) == ("", "7")
    assert may_take(observe(found, 0.0, before=None), 0.0, identity="us")


def test_lease_is_read_as_it_was_written() -> None:
    content = body(
        holderIdentity="a", leaseDurationSeconds=15, acquireTime="t0", renewTime="t1", leaseTransitions=3, unknown=1
    )

    assert read_lease(content) == Lease(
        holder="a", duration=15, acquired="t0", renewed="t1", transitions=3, resource_version="7"
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", body(holderIdentity=1)])
def test_what_is_no_lease_is_refused(content: bytes) -> None:
    with pytest.raises(ClusterError, match=r"^expected a Lease as JSON, got: "):
        read_lease(content)


def test_holder_renews_whenever_it_looks() -> None:
    assert may_take(Observation(lease("us"), 0.0), 0.0, identity="us")


def test_others_wait_until_the_lease_has_not_changed_for_its_duration() -> None:
    observation = observe(lease("them"), 100.0, before=None)

    assert not may_take(observation, 100.0, identity="us")
    assert not may_take(observation, 114.9, identity="us")
    assert may_take(observation, 115.0, identity="us")


def test_duration_that_the_holder_wrote_is_the_one_that_counts() -> None:
    assert not may_take(Observation(lease("them", duration=60), 0.0), 59.0, identity="us")


def test_renewal_begins_the_wait_anew() -> None:
    first = observe(lease("them"), 0.0, before=None)
    same = observe(lease("them"), 10.0, before=first)
    renewed = observe(lease("them", renewed="r2"), 12.0, before=same)

    assert (first.since, same.since, renewed.since) == (0.0, 0.0, 12.0)


def test_change_of_something_else_is_no_renewal() -> None:
    first = observe(lease("them"), 0.0, before=None)
    labelled = observe(lease("them", resource_version="8"), 9.0, before=first)

    assert labelled == Observation(lease("them", resource_version="8"), 0.0)
    assert labelled.lease.resource_version == "8"


def test_taking_the_lease_counts_a_transition() -> None:
    assert take_patch(lease("them"), NOW, identity="us", times=TIMES) == {
        "metadata": {"resourceVersion": "7"},
        "spec": {
            "holderIdentity": "us",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-11-25T12:00:00.000005Z",
            "renewTime": "2026-11-25T12:00:00.000005Z",
            "leaseTransitions": 4,
        },
    }


def test_renewing_changes_the_time_only() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5)))

    assert take_patch(lease("us"), there, identity="us", times=TIMES) == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"holderIdentity": "us", "leaseDurationSeconds": 15, "renewTime": "2026-11-25T12:00:00.000005Z"},
    }


def test_released_lease_has_no_holder() -> None:
    assert release_patch(lease("us"), NOW) == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": "2026-11-25T12:00:00.000005Z"},
    }

"""Whose turn it is: the Lease as it is now, who we are, the time -> what to do with it. Pure.

The rules are client-go's (tools/leaderelection/leaderelection.go). No time in the Lease is ever compared with a clock
of ours: a holder is gone when the Lease has not changed for as long as it says, by our own clock.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from app.cluster.decoding import UNREADABLE, problem
from app.controller.micro_time import micro_time
from app.errors import ClusterError

RENEW_DEADLINE_SHARE: Final = 2 / 3
"""A holder that has not renewed for this part of the duration stops, before anybody else may begin."""

RETRY_SHARE: Final = 2 / 15
"""Every part of the duration a holder renews, and the others look. 15, 10 and 2 seconds are client-go's defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """How long a Lease is held, in seconds."""

    duration: int

    @property
    def renew_deadline(self) -> float:
        """Return after how long without a renewal the holder stops."""
        return self.duration * RENEW_DEADLINE_SHARE

    @property
    def retry_period(self) -> float:
        """Return how often the Lease is renewed, or looked at."""
        return self.duration * RETRY_SHARE


class _Metadata(msgspec.Struct):
    resource_version: str = msgspec.field(name="resourceVersion")


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/.

    Attributes:
        holder: identity of the holder, empty while there is none.
        duration: in seconds; longer without a change, and the holder is gone.
        acquired, renewed: as the holder wrote them. They tell one renewal from the next.
        transitions: how often the holder has changed.
        resource_version: of the Lease.
    """

    holder: str
    duration: int
    acquired: str
    renewed: str
    transitions: int
    resource_version: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Observation:
    """A Lease and since when it says the same, on the clock of ``time.monotonic``."""

    lease: Lease
    since: float


def read_lease(body: bytes) -> Lease:
    """Return the Lease in *body*; one without a spec has no holder.

    Raises:
        ClusterError: this is no Lease.
    """
    try:
        found = msgspec.json.decode(body, type=_Lease)
    except UNREADABLE as error:
        raise ClusterError(f"expected a Lease as JSON, got: {problem(error, 256)}") from error
    spec = found.spec
    return Lease(
        holder=spec.holder_identity or "",
        duration=spec.lease_duration_seconds or 0,
        acquired=spec.acquire_time or "",
        renewed=spec.renew_time or "",
        transitions=spec.lease_transitions or 0,
        resource_version=found.metadata.resource_version,
    )


def observe(lease: Lease, now: float, *, before: Observation | None) -> Observation:
    """Return what is known of *lease* at *now*, where *before* is what was known until then."""
    is_same = before is not None and before.lease == lease
    return Observation(lease, before.since if before is not None and is_same else now)


def may_take(observation: Observation, now: float, *, identity: str) -> bool:
    """Return whether the Lease is ours, nobody's, or of a holder that is gone."""
    lease = observation.lease
    return lease.holder in {"", identity} or now - observation.since >= lease.duration


def take_patch(lease: Lease, now: datetime, *, identity: str, times: LeaseTimes) -> dict[str, Any]:
    """Return the merge patch by which *identity* takes the Lease or renews it; it fails where *lease* has changed."""
    spec: dict[str, Any] = {
        "holderIdentity": identity,
        "leaseDurationSeconds": times.duration,
        "renewTime": micro_time(now),
    }
    if lease.holder != identity:
        spec |= {"acquireTime": micro_time(now), "leaseTransitions": lease.transitions + 1}
    return {"metadata": {"resourceVersion": lease.resource_version}, "spec": spec}


def release_patch(lease: Lease, now: datetime) -> dict[str, Any]:
    """Return the merge patch by which the holder lets go, so that the next one need not wait."""
    # The API refuses a duration of 0 (ValidateLeaseSpec).
    spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(now)}
    return {"metadata": {"resourceVersion": lease.resource_version}, "spec": spec}

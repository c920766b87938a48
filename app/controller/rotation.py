"""What is to be written next so that the webhook has a certificate that every apiserver believes. Pure.

Two things lag behind what is stored. An apiserver verifies with the caBundle that its watch has shown it
(``bundle_settles`` is for that), and a replica serves with what the kubelet has mounted and it has loaded since
(``certificate_reloads``). So a review is lost unless every caBundle of the last minute verifies every certificate of
the last ten, and a CA is replaced in this order, one write at a time:

1. A new CA takes the place of the old one, whose certificate is kept beside it. (`NewAuthority`)
2. Every caBundle gets the new one and keeps what it had. (`Bundle`)
3. All of them are seen to have it, and the time is noted. (`MarkBundle`)
4. That is ``bundle_settles`` ago: the new CA signs a serving certificate. (`NewServing`)
5. It is seen to be stored, and the time is noted. (`MarkServing`)
6. That is ``certificate_reloads`` ago: every caBundle is cut to the new CA, and the old one is forgotten. (`Bundle`,
   `ForgetPrevious`)

A time is noted of what was seen, never of what is about to be written: that may be on its way for as long as it takes.

There is no plan that could be lost: each step follows from what is stored, so whoever comes next goes on from there.
Certificates that somebody else wrote, unreadable ones, and a caBundle that was edited are no cases of their own: what a
caBundle has is kept until 6, and what is missing comes back in 2.

Two controllers at once do no harm as long as each read serving certificate, configuration and CA in this order, and its
write fails where the object has changed since. For instance, a caBundle is never cut to an old CA: a new one would be
seen in the CA's Secret, or come later, and be added to a configuration that has changed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from app.controller.stored import Stored, StoredBundles
from app.x509 import CLOCK_SKEW, Certificates, KeyPair, has_signed, names_of, renewal, unique


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePolicy:
    """What the certificates shall be.

    Attributes:
        names: DNS names and IP addresses of the webhook.
        ca_lifetime: of a CA; after two thirds of it the next one takes its place.
        certificate_lifetime: of a serving certificate, likewise.
        bundle_settles: how long after a change of a caBundle an apiserver may still verify with what was there before.
        certificate_reloads: how long after a change of its Secret a replica may still serve with what was there before.
        trusted: CAs that every caBundle has beside ours.
        signs: whether there is a CA of ours. Else serving certificates come from who has `trusted`.
    """

    names: frozenset[str]
    ca_lifetime: timedelta
    certificate_lifetime: timedelta
    bundle_settles: timedelta
    certificate_reloads: timedelta
    trusted: Certificates = ()
    signs: bool = True


@dataclass(frozen=True, slots=True)
class NewAuthority:
    """Make a CA and store it in the place of the one that is there."""

    why: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """Give every webhook these certificates as caBundle."""

    certificates: Certificates


@dataclass(frozen=True, slots=True)
class MarkBundle:
    """Note since when every caBundle has the CA; None: one of them lacks it."""

    since: datetime | None


@dataclass(frozen=True, slots=True)
class NewServing:
    """Have *authority* sign a serving certificate and store it."""

    authority: KeyPair
    why: str


@dataclass(frozen=True, slots=True)
class MarkServing:
    """Note since when the serving certificate is stored."""

    since: datetime


@dataclass(frozen=True, slots=True)
class ForgetPrevious:
    """Remove the CAs before this one."""


Step: TypeAlias = NewAuthority | Bundle | MarkBundle | NewServing | MarkServing | ForgetPrevious

OUTLIVED: Final = "two thirds of its time are over"


def next_step(stored: Stored, now: datetime, *, policy: CertificatePolicy) -> Step | None:
    """Return what is to be written next, None where nothing is, for now."""
    authority = stored.authority.pair
    if authority is None:
        return NewAuthority(stored.authority.problem)
    return (
        _next_authority(stored, authority, now=now)
        or _next_bundle(stored, authority, now=now, policy=policy)
        or _next_serving(stored, authority, now=now, policy=policy)
        or _nothing_previous(stored, authority, now=now, policy=policy)
    )


def next_bundle(
    configuration: StoredBundles, now: datetime, *, trusted_since: datetime | None, policy: CertificatePolicy
) -> Bundle | None:
    """Return what is to be written where there is no CA of ours, None where nothing is, for now.

    What was trusted before goes when the CAs of *policy* are in every caBundle for so long that all replicas serve with
    what these signed: the chart changes which Secret is mounted, and the settings of who asks here, at the same time.

    Args:
        configuration: what is trusted.
        now: the time.
        trusted_since: since when whoever asks has seen every caBundle to have the CAs of *policy*; None: one has not.
        policy: what shall be trusted.
    """
    is_over = trusted_since is not None and now - trusted_since >= policy.certificate_reloads
    wanted = policy.trusted if is_over else unique([*policy.trusted, *_there(configuration)])
    return Bundle(wanted) if any(set(bundle) != set(wanted) for bundle in configuration.bundles) else None


def _next_authority(stored: Stored, authority: KeyPair, *, now: datetime) -> Step | None:
    certificate = authority.certificate
    if now >= certificate.not_valid_after_utc:
        return NewAuthority("its time is over")
    # Else one exchange ends before the next one begins.
    if stored.authority.previous:
        return None
    if now < certificate.not_valid_before_utc:
        return NewAuthority("its time has not begun: somebody's clock was wrong")
    return NewAuthority(OUTLIVED) if now >= renewal(certificate) else None


def _next_bundle(stored: Stored, authority: KeyPair, *, now: datetime, policy: CertificatePolicy) -> Step | None:
    bundles, since = stored.configuration.bundles, stored.authority.in_bundle_since
    is_in_all = all(authority.certificate in bundle for bundle in bundles)
    if not is_in_all and since is not None:
        return MarkBundle(None)
    wanted = _wanted_bundle(stored, authority, now=now, policy=policy)
    if any(set(bundle) != set(wanted) for bundle in bundles):
        return Bundle(wanted)
    return MarkBundle(now) if _is_unknown(since, now) else None


def _wanted_bundle(stored: Stored, authority: KeyPair, *, now: datetime, policy: CertificatePolicy) -> Certificates:
    if _is_reloaded(stored, authority, now=now, policy=policy):
        return unique([authority.certificate, *policy.trusted])
    known = (*stored.authority.known, *stored.serving.issuer)
    return unique([authority.certificate, *policy.trusted, *known, *_there(stored.configuration)])


def _there(configuration: StoredBundles) -> Certificates:
    return unique(certificate for bundle in configuration.bundles for certificate in bundle)


def _next_serving(stored: Stored, authority: KeyPair, *, now: datetime, policy: CertificatePolicy) -> Step | None:
    why = _why_new_serving(stored, authority, now=now, policy=policy)
    if not why:
        return MarkServing(now) if _is_unknown(stored.serving.stored_since, now) else None
    since = stored.authority.in_bundle_since
    is_settled = since is not None and now - since >= policy.bundle_settles
    # Where none was ever verified, none can be lost: the first installation does not wait.
    is_first = stored.serving.is_empty and all(
        set(it) == {authority.certificate} for it in stored.configuration.bundles
    )
    may_sign = is_settled or is_first or _is_signed_by(authority, stored)
    return NewServing(authority, why) if may_sign else None


def _why_new_serving(stored: Stored, authority: KeyPair, *, now: datetime, policy: CertificatePolicy) -> str:
    serving = stored.serving
    if serving.pair is None:
        return serving.problem
    certificate = serving.pair.certificate
    if not _is_signed_by(authority, stored):
        return "another CA has signed it"
    if names_of(certificate) != policy.names:
        return "it is for other names"
    is_valid_yet = now >= certificate.not_valid_before_utc
    return OUTLIVED if now >= renewal(certificate) or not is_valid_yet else ""


def _nothing_previous(stored: Stored, authority: KeyPair, *, now: datetime, policy: CertificatePolicy) -> Step | None:
    is_over = _is_reloaded(stored, authority, now=now, policy=policy)
    return ForgetPrevious() if is_over and stored.authority.previous else None


def _is_reloaded(stored: Stored, authority: KeyPair, *, now: datetime, policy: CertificatePolicy) -> bool:
    """Return whether every replica serves with what *authority* signed."""
    since = stored.serving.stored_since
    is_old_enough = since is not None and now - since >= policy.certificate_reloads
    return is_old_enough and _is_signed_by(authority, stored)


def _is_signed_by(authority: KeyPair, stored: Stored) -> bool:
    pair = stored.serving.pair
    return pair is not None and has_signed(authority.certificate, pair.certificate)


def _is_unknown(time: datetime | None, now: datetime) -> bool:
    """Return whether *time* was not noted, or by somebody whose clock was wrong."""
    return time is None or time > now + CLOCK_SKEW

"""Keeps the webhook's certificates current: read, ask ``rotation``, write one thing, look again."""

import asyncio
import random as chance
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Protocol, assert_never

import structlog

from app import x509
from app.cluster.api import ReadingApi, WritingApi
from app.cluster.backoff import Backoff
from app.controller import stored as documents
from app.controller.metrics import Certificate, ControllerMetrics, Duty
from app.controller.objects import CertificateObjects
from app.controller.rotation import (
    Bundle,
    CertificatePolicy,
    ForgetPrevious,
    MarkBundle,
    MarkServing,
    NewAuthority,
    NewServing,
    Step,
    next_bundle,
    next_step,
)
from app.controller.stored import Stored, StoredBundles
from app.errors import ClusterError, RefusedError

FIELD_MANAGER: Final = "irsa-controller"
"""Who owns caBundle in ``managedFields``; Argo CD and Flux can be told to leave it to that one."""

LOOK_SECONDS: Final = 10.0
"""Between two looks: three small requests. A caBundle that somebody removed is missing for so long at most."""

CONFLICT_SECONDS: Final = 1.0

log = structlog.get_logger()


class Api(ReadingApi, WritingApi, Protocol):
    """Reads and writes."""


class Certificates:
    """The loop. It runs in one process at a time; should it ever run in two, ``rotation`` says why nothing breaks."""

    def __init__(
        self,
        api: Api,
        objects: CertificateObjects,
        *,
        policy: CertificatePolicy,
        metrics: ControllerMetrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._api = api
        self._objects = objects
        self._policy = policy
        self._metrics = metrics
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._trusted_since: datetime | None = None
        # The waits of the policy are as long as that only in tests.
        self._look_seconds = min(LOOK_SECONDS, policy.bundle_settles.total_seconds() / 6)

    async def run(self) -> None:
        """Look and write until cancelled. Every failure is logged and tried again with backoff."""
        backoff = Backoff(self._random)
        self._trusted_since = None
        try:
            while True:
                try:
                    has_written = await self.look()
                except ClusterError as error:
                    await self._sleep(self._after(error, backoff))
                else:
                    await self._sleep(0 if has_written else self._look_seconds)
        finally:
            self._metrics.expiry = {}

    async def look(self) -> bool:
        """Read everything and write at most one thing. Return whether something was written.

        Raises:
            RefusedError: an object is missing, or was changed by somebody else since it was read.
            ClusterError: everything else; try again later.
        """
        if not self._policy.signs:
            return await self._look_at_bundles()
        stored = await self._read()
        self._metrics.expiry = _expiry(stored)
        step = next_step(stored, self._clock(), policy=self._policy)
        if step is not None:
            await self._write(step, stored)
        return step is not None

    async def _look_at_bundles(self) -> bool:
        """Do what `look` does where somebody else makes the certificates."""
        configuration = documents.read_bundles(await self._api.get(self._objects.configuration))
        now = self._clock()
        is_trusted = all(set(self._policy.trusted) <= set(bundle) for bundle in configuration.bundles)
        self._trusted_since = (self._trusted_since or now) if is_trusted else None
        step = next_bundle(configuration, now, trusted_since=self._trusted_since, policy=self._policy)
        if step is not None:
            await self._patch_bundles(configuration, step.certificates)
        return step is not None

    async def _read(self) -> Stored:
        # In this order, see rotation.
        serving = documents.read_serving(await self._api.get(self._objects.serving))
        configuration = documents.read_bundles(await self._api.get(self._objects.configuration))
        authority = documents.read_authority(await self._api.get(self._objects.authority))
        return Stored(authority=authority, serving=serving, configuration=configuration)

    async def _write(self, step: Step, stored: Stored) -> None:
        match step:
            case NewAuthority(why):
                await self._new_authority(stored, why)
            case Bundle(certificates):
                await self._patch_bundles(stored.configuration, certificates)
            case MarkBundle(since):
                await self._patch_secret(self._objects.authority, documents.in_bundle_patch(stored.authority, since))
                log.info("bundles_seen" if since else "bundle_missing")
            case NewServing(authority, why):
                await self._new_serving(stored, authority, why=why)
            case MarkServing(since):
                await self._patch_secret(self._objects.serving, documents.stored_patch(stored.serving, since))
                log.info("certificate_stored")
            case ForgetPrevious():
                await self._patch_secret(self._objects.authority, documents.forget_previous_patch(stored.authority))
                log.info("previous_authority_forgotten")
            case _:
                assert_never(step)

    async def _new_authority(self, stored: Stored, why: str) -> None:
        now = self._clock()
        # A name of its own, or whoever looks for an issuer by name finds two.
        name = f"irsa webhook CA {now:%Y-%m-%dT%H:%M:%SZ}"
        authority = x509.make_authority(name, now=now, lifetime=self._policy.ca_lifetime)
        await self._patch_secret(self._objects.authority, documents.authority_patch(stored.authority, authority))
        log.info("authority_made", why=why, name=name, until=_until(authority))

    async def _new_serving(self, stored: Stored, authority: x509.KeyPair, *, why: str) -> None:
        now, names = self._clock(), sorted(self._policy.names)
        lifetime = self._policy.certificate_lifetime
        serving = x509.issue(authority, names, common_name="irsa webhook", now=now, lifetime=lifetime)
        patch = documents.serving_patch(stored.serving, serving, authority=authority.certificate)
        await self._patch_secret(self._objects.serving, patch)
        log.info("certificate_issued", why=why, names=names, until=_until(serving))

    async def _patch_bundles(self, stored: StoredBundles, certificates: x509.Certificates) -> None:
        await self._api.patch(
            self._objects.configuration,
            documents.bundles_patch(stored, certificates),
            patch_type="application/json-patch+json",
            field_manager=FIELD_MANAGER,
        )
        names = [certificate.subject.rfc4514_string() for certificate in certificates]
        log.info("bundles_patched", webhooks=len(stored.bundles), authorities=names)

    async def _patch_secret(self, path: str, patch: dict[str, object]) -> None:
        await self._api.patch(path, patch, patch_type="application/merge-patch+json", field_manager=FIELD_MANAGER)

    def _after(self, error: ClusterError, backoff: Backoff) -> float:
        """Say what happened and return the seconds to wait."""
        if isinstance(error, RefusedError) and error.is_conflict:
            log.info("certificates_changed_by_another", problem=str(error), retry_in_seconds=CONFLICT_SECONDS)
            return CONFLICT_SECONDS
        self._metrics.failed(Duty.CERTIFICATES)
        delay = backoff.after_failure(asyncio.get_running_loop().time())
        what_to_do = {}
        if isinstance(error, RefusedError) and error.is_not_found:
            what_to_do["what_to_do"] = "install the chart or manifests anew, which make it, or set --no-certificates"
        log.error("certificates_interrupted", problem=str(error), retry_in_seconds=round(delay, 1), **what_to_do)
        return delay


def _expiry(stored: Stored) -> dict[Certificate, datetime]:
    pairs: dict[Certificate, x509.KeyPair | None] = {"ca": stored.authority.pair, "serving": stored.serving.pair}
    return {name: pair.certificate.not_valid_after_utc for name, pair in pairs.items() if pair is not None}


def _until(pair: x509.KeyPair) -> str:
    return pair.certificate.not_valid_after_utc.isoformat()

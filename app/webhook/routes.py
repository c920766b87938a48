"""The shell of the webhook: body in, look-up, decision, answer out, one log line."""

import time
from typing import Any, Final

from app.cluster.objects import ServiceAccount
from app.cluster.source import ServiceAccountSource
from app.webhook import review as reviews
from app.webhook.assigned import Assigned
from app.webhook.change import change_of
from app.webhook.decision import Decision, Policy, Reason, Subject, decide, needs_confirmation, required
from app.webhook.ephemeral import ephemeral_operations
from app.webhook.exchange import MAX_LOGGED_CHARACTERS, Bodies, ReviewEndpoint
from app.webhook.metrics import WebhookMetrics

INTERNAL_ERROR: Final = "report this to whoever runs the webhook, its log says more: nothing was injected"


class MutateEndpoint(ReviewEndpoint):
    """``POST /mutate``, and ``POST /mutate-required`` for namespaces in which every pod must have an identity."""

    def __init__(
        self,
        source: ServiceAccountSource,
        *,
        assigned: Assigned,
        policy: Policy,
        metrics: WebhookMetrics,
        bodies: Bodies,
        is_required: bool = False,
    ) -> None:
        super().__init__(bodies=bodies, metrics=metrics)
        self._source = source
        self._assigned = assigned
        self._policy = policy
        self._is_required = is_required

    async def _answer(self, body: bytes) -> bytes:
        started = time.perf_counter()
        review = reviews.parse(body)
        subject, decision = await self._decide(review)
        answer = reviews.answer(review, decision)
        seconds = time.perf_counter() - started
        self._metrics.reviewed(decision.reason, seconds, is_denied=decision.denial is not None)
        self._log.info("pod_reviewed", **_fields(review, subject, decision, seconds))
        return answer

    async def _decide(self, review: reviews.Review) -> tuple[Subject | None, Decision]:
        subject = None
        try:
            found = reviews.subject_of(review)
            if isinstance(found, Subject):
                subject = found
                return subject, await self._of_subject(review, subject)
            decision = found
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep a pod from its cluster
            self._failed(review.uid, error)
            decision = Decision(reason=Reason.INTERNAL_ERROR, warnings=(INTERNAL_ERROR,))
        if self._is_required:
            decision = required(decision, subject, vocabulary=self._policy.vocabulary)
        return subject, decision

    async def _of_subject(self, review: reviews.Review, subject: Subject) -> Decision:
        """Return the decision by the snapshot, or by a live look at the ServiceAccount where that may be too old."""
        name = (subject.namespace, subject.service_account)
        decision = self._by(self._source.get(*name), review, subject)
        if needs_confirmation(decision, subject, is_recent=self._source.is_recent(*name)):
            decision = self._by(await self._source.confirm(*name), review, subject)
        return decision

    def _by(self, service_account: ServiceAccount | None, review: reviews.Review, subject: Subject) -> Decision:
        return decide(
            subject,
            service_account,
            pod=lambda: reviews.pod_of(review),
            policy=self._policy,
            mappings=self._assigned.mappings,
            container_credentials=self._assigned.container_credentials,
            is_required=self._is_required,
        )


class EphemeralEndpoint(ReviewEndpoint):
    """``POST /mutate-ephemeral``: what ``kubectl debug`` adds to a pod gets what the pod's own containers have."""

    def __init__(self, *, policy: Policy, metrics: WebhookMetrics, bodies: Bodies) -> None:
        super().__init__(bodies=bodies, metrics=metrics)
        self._policy = policy

    async def _answer(self, body: bytes) -> bytes:
        started = time.perf_counter()
        review = reviews.parse(body)
        change = change_of(body, sub_resource="ephemeralcontainers")
        decision = Decision(reason=Reason.NOT_A_CREATION)
        try:
            if change is not None and change.before is not None:
                decision = ephemeral_operations(change.after, change.before, injection=self._policy.injection)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep anybody from debugging
            self._failed(review.uid, error)
            decision = Decision(reason=Reason.INTERNAL_ERROR, warnings=(INTERNAL_ERROR,))
        answer = reviews.answer(review, decision)
        seconds = time.perf_counter() - started
        self._metrics.reviewed(decision.reason, seconds)
        subject = Subject(namespace=change.namespace, service_account="", pod=change.name) if change else None
        self._log.info("ephemeral_containers_reviewed", **_fields(review, subject, decision, seconds))
        return answer


def _fields(review: reviews.Review, subject: Subject | None, decision: Decision, seconds: float) -> dict[str, Any]:
    """Return what the log says of a review: identifiers, and nothing else of the pod."""
    fields: dict[str, Any] = {
        "uid": review.uid[:MAX_LOGGED_CHARACTERS],
        "outcome": "denied" if decision.denial else "patched" if decision.operations else "unchanged",
        "reason": decision.reason.value,
        "ms": round(seconds * 1000, 3),
    }
    if subject is not None:
        fields["namespace"] = subject.namespace[:MAX_LOGGED_CHARACTERS]
        fields["pod"] = subject.pod[:MAX_LOGGED_CHARACTERS]
        fields["service_account"] = subject.service_account[:MAX_LOGGED_CHARACTERS]
    if decision.role_arn:
        fields["role_arn"] = decision.role_arn
    if decision.warnings:
        fields["warnings"] = decision.warnings
    if decision.denial:
        fields["denial"] = decision.denial
    return fields

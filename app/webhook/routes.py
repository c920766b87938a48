"""The shell of the webhook: body in, look-up, decision, answer out, one log line."""

import time
import traceback
from typing import Any, Final

from app.cluster.source import ServiceAccountSource
from app.webhook import review as reviews
from app.webhook.decision import Decision, Policy, Reason, Subject, decide
from app.webhook.exchange import Bodies, ReviewEndpoint
from app.webhook.metrics import WebhookMetrics

MAX_LOGGED_CHARACTERS: Final = 253
"""The longest name in Kubernetes (apimachinery's DNS1123SubdomainMaxLength); who reaches us can send longer ones."""

INTERNAL_ERROR: Final = "report this to whoever runs the webhook, its log says more: nothing was injected"


class MutateEndpoint(ReviewEndpoint):
    """``POST /mutate``."""

    def __init__(
        self, source: ServiceAccountSource, *, policy: Policy, metrics: WebhookMetrics, bodies: Bodies
    ) -> None:
        super().__init__(bodies=bodies, metrics=metrics)
        self._source = source
        self._policy = policy

    async def _answer(self, body: bytes) -> bytes:
        started = time.perf_counter()
        review = reviews.parse(body)
        subject, decision = self._decide(review)
        answer = reviews.answer(review, decision)
        seconds = time.perf_counter() - started
        self._metrics.reviewed(decision.reason, seconds)
        self._log.info("pod_reviewed", **_fields(review, subject, decision, seconds))
        return answer

    def _decide(self, review: reviews.Review) -> tuple[Subject | None, Decision]:
        subject = None
        try:
            found = reviews.subject_of(review)
            if isinstance(found, Decision):
                return None, found
            subject = found
            service_account = self._source.get(subject.namespace, subject.service_account)
            return subject, decide(subject, service_account, pod=lambda: reviews.pod_of(review), policy=self._policy)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep a pod from its cluster
            # Where it happened, not what it said: its words may be a value from the pod.
            where = "".join(traceback.format_tb(error.__traceback__))
            self._log.error(
                "review_failed", uid=review.uid[:MAX_LOGGED_CHARACTERS], error=type(error).__name__, where=where
            )
            return subject, Decision(reason=Reason.INTERNAL_ERROR, warnings=(INTERNAL_ERROR,))


def _fields(review: reviews.Review, subject: Subject | None, decision: Decision, seconds: float) -> dict[str, Any]:
    """Return what the log says of a review: identifiers, and nothing else of the pod."""
    fields: dict[str, Any] = {
        "uid": review.uid[:MAX_LOGGED_CHARACTERS],
        "outcome": "patched" if decision.operations else "unchanged",
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
    return fields

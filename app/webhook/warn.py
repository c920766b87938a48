"""The shell of the hook that only warns: body in, look-up, advice, answer out, one log line."""

import time
from typing import Any

from app.cluster.source import ServiceAccountSource
from app.webhook import review as reviews
from app.webhook.advice import advice, subject_of
from app.webhook.assigned import Assigned
from app.webhook.change import Change, change_of
from app.webhook.decision import Policy
from app.webhook.exchange import MAX_LOGGED_CHARACTERS, Bodies, ReviewEndpoint
from app.webhook.metrics import WarnOutcome, WebhookMetrics
from app.webhook.rules import Rules


class WarnEndpoint(ReviewEndpoint):
    """``POST /warn``: admits whatever it is asked about, and tells whoever made it what is wrong with it."""

    def __init__(
        self,
        source: ServiceAccountSource,
        *,
        assigned: Assigned,
        policy: Policy,
        metrics: WebhookMetrics,
        bodies: Bodies,
    ) -> None:
        super().__init__(bodies=bodies, metrics=metrics)
        self._source = source
        self._assigned = assigned
        self._policy = policy

    async def _answer(self, body: bytes) -> bytes:
        started = time.perf_counter()
        review = reviews.parse(body)
        change = change_of(body)
        warnings: tuple[str, ...] = ()
        outcome: WarnOutcome = "internal_error"
        try:
            if change is not None:
                warnings = await self._advice(change)
            outcome = "warned" if warnings else "silent"
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep anything from its cluster
            self._failed(review.uid, error)
        self._metrics.advised(outcome)
        seconds = time.perf_counter() - started
        self._log.info("change_reviewed", outcome=outcome, **_fields(review, change, warnings, seconds=seconds))
        return reviews.admission(review, warnings, reason=outcome)

    async def _advice(self, change: Change) -> tuple[str, ...]:
        subject = subject_of(change, vocabulary=self._policy.vocabulary)
        known = None
        if subject is not None:
            name = (subject.namespace, subject.service_account)
            known = self._source.get(*name) or await self._source.confirm(*name)
        rules = Rules(
            policy=self._policy,
            mappings=self._assigned.mappings,
            container_credentials=self._assigned.container_credentials,
        )
        return advice(change, known, rules=rules)


def _fields(
    review: reviews.Review, change: Change | None, warnings: tuple[str, ...], *, seconds: float
) -> dict[str, Any]:
    """Return what the log says of a review: identifiers, and nothing else of the object."""
    fields: dict[str, Any] = {"uid": review.uid[:MAX_LOGGED_CHARACTERS], "ms": round(seconds * 1000, 3)}
    if change is not None:
        named = {"kind": change.kind, "namespace": change.namespace, "name": change.name}
        fields |= {key: value[:MAX_LOGGED_CHARACTERS] for key, value in named.items()}
    if warnings:
        fields["warnings"] = warnings
    return fields

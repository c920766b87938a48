"""What the webhook counts. Labels are closed lists: what a stranger writes never becomes a series."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.webhook.decision import Reason

# A review takes a tenth of a millisecond; an apiserver gives up after ten seconds.
BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 2.5, 10)


class WebhookMetrics:
    """What the webhook counts."""

    def __init__(self, registry: CollectorRegistry, *, snapshot_age: Callable[[], float]) -> None:
        reviews = Counter(
            "irsa_webhook_reviews", "Admission reviews answered, by what was decided.", ["reason"], registry=registry
        )
        self._by_reason = {reason: reviews.labels(reason.value) for reason in Reason}
        self._seconds = Histogram(
            "irsa_webhook_review_seconds",
            "Time from the last byte of a review to its answer.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._refused = Counter(
            "irsa_webhook_bad_requests",
            "Requests that were no admission review, by HTTP status.",
            ["status"],
            registry=registry,
        )
        age = Gauge(
            "irsa_webhook_service_accounts_age_seconds",
            "Seconds since the snapshot of ServiceAccounts was last known to be current.",
            registry=registry,
        )
        age.set_function(snapshot_age)

    def reviewed(self, reason: Reason, seconds: float) -> None:
        """Count one review that was answered."""
        self._by_reason[reason].inc()
        self._seconds.observe(seconds)

    def refused(self, status: int) -> None:
        """Count one request that was answered with an HTTP error *status*."""
        self._refused.labels(str(status)).inc()

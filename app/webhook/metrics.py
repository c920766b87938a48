"""What the webhook counts. Labels are closed lists: what a stranger writes never becomes a series.

Plain numbers, which one event loop adds to, become metrics when they are asked for: the library's own counters lock and
look up for each review, a fourteenth of its time.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from app.webhook.decision import Reason

BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 2.5, 10.0)
"""Seconds. A review takes a tenth of a millisecond; an apiserver gives up after ten seconds."""


class WebhookMetrics(Collector):
    """The webhook's metrics, for a registry of prometheus_client."""

    def __init__(self, *, snapshot_age: Callable[[], float], lookups: Callable[[], Mapping[Any, int]] = dict) -> None:
        self._reviews = dict.fromkeys(Reason, 0)
        self._in_bucket = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._bad_requests: Counter[int] = Counter()
        self._denials = 0
        self._snapshot_age = snapshot_age
        self._lookups = lookups

    def reviewed(self, reason: Reason, seconds: float, *, is_denied: bool = False) -> None:
        """Count one review that was answered."""
        self._denials += is_denied
        self._reviews[reason] += 1
        self._in_bucket[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def refused(self, status: int) -> None:
        """Count one request that was answered with an HTTP error *status*."""
        self._bad_requests[status] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        reviews = CounterMetricFamily(
            "irsa_webhook_reviews", "Admission reviews answered, by what was decided.", labels=["reason"]
        )
        for reason, count in self._reviews.items():
            reviews.add_metric([reason.value], count)
        yield reviews
        yield CounterMetricFamily(
            "irsa_webhook_denials", "Pods that were refused because they must have an identity.", value=self._denials
        )
        bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
        yield HistogramMetricFamily(
            "irsa_webhook_review_seconds",
            "Time from the last byte of a review to its answer.",
            buckets=list(zip(bounds, accumulate(self._in_bucket), strict=True)),
            sum_value=self._seconds,
        )
        refused = CounterMetricFamily(
            "irsa_webhook_bad_requests", "Requests that were no admission review, by HTTP status.", labels=["status"]
        )
        for status, count in sorted(self._bad_requests.items()):
            refused.add_metric([str(status)], count)
        yield refused
        lookups = CounterMetricFamily(
            "irsa_webhook_lookups", "Live look-ups of ServiceAccounts, by how they ended.", labels=["outcome"]
        )
        for outcome, count in self._lookups().items():
            lookups.add_metric([outcome], count)
        yield lookups
        yield GaugeMetricFamily(
            "irsa_webhook_service_accounts_age_seconds",
            "Seconds since the snapshot of ServiceAccounts was last known to be current.",
            value=self._snapshot_age(),
        )

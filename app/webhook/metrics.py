"""What the webhook counts. Labels are closed lists: what a stranger writes never becomes a series.

Plain numbers, which one event loop adds to, become metrics when they are asked for: the library's own counters lock and
look up for each review, a fourteenth of its time.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final, Literal, get_args

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from app.webhook.decision import Reason

BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds. A review takes a tenth of a millisecond, one with a live look-up at most a second unless told otherwise. An
apiserver gives up after five seconds where our manifests say so, and after ten where nobody does."""

BadStatus = Literal[400, 405, 408, 413, 415, 503]
"""With what a request is answered that is no review: a closed list."""

WarnOutcome = Literal["warned", "silent", "internal_error"]
"""What somebody who changed something was told: a closed list."""


class WebhookMetrics(Collector):
    """The webhook's metrics, for a registry of prometheus_client."""

    def __init__(self, *, snapshot_age: Callable[[], float], lookups: Callable[[], Mapping[Any, int]] = dict) -> None:
        self._admitted = dict.fromkeys(Reason, 0)
        self._denied = dict.fromkeys(Reason, 0)
        self._in_bucket = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._bad_requests: dict[BadStatus, int] = dict.fromkeys(get_args(BadStatus), 0)
        self._warn_reviews: dict[WarnOutcome, int] = dict.fromkeys(get_args(WarnOutcome), 0)
        self._snapshot_age = snapshot_age
        self._lookups = lookups

    def reviewed(self, reason: Reason, seconds: float, *, is_denied: bool = False) -> None:
        """Count one review that was answered."""
        (self._denied if is_denied else self._admitted)[reason] += 1
        self._in_bucket[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def advised(self, outcome: WarnOutcome) -> None:
        """Count one review whose answer can only warn."""
        self._warn_reviews[outcome] += 1

    def refused(self, status: BadStatus) -> None:
        """Count one request that was answered with an HTTP error *status*."""
        self._bad_requests[status] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        yield self._reviews()
        yield self._review_seconds()
        yield _counter(
            "irsa_webhook_bad_requests",
            "Requests that were no admission review, by HTTP status.",
            counts=self._bad_requests,
            label="status",
        )
        yield _counter(
            "irsa_webhook_warn_reviews",
            "Reviews of changed ServiceAccounts and workloads, by whether whoever changed them was warned.",
            counts=self._warn_reviews,
            label="outcome",
        )
        yield _counter(
            "irsa_webhook_lookups",
            "Live look-ups of ServiceAccounts, by how they ended.",
            counts=self._lookups(),
            label="outcome",
        )
        yield GaugeMetricFamily(
            "irsa_webhook_service_accounts_age_seconds",
            "Seconds since the snapshot of ServiceAccounts was last known to be current; +Inf before there is one.",
            value=self._snapshot_age(),
        )

    def _reviews(self) -> Metric:
        reviews = CounterMetricFamily(
            "irsa_webhook_reviews",
            "Reviews of pods, by what was decided and by whether the pod was allowed.",
            labels=["reason", "allowed"],
        )
        for allowed, counts in (("true", self._admitted), ("false", self._denied)):
            for reason, count in counts.items():
                reviews.add_metric([reason.value, allowed], count)
        return reviews

    def _review_seconds(self) -> Metric:
        bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
        return HistogramMetricFamily(
            "irsa_webhook_review_seconds",
            "Time from the last byte of a review of a pod to its answer.",
            buckets=list(zip(bounds, accumulate(self._in_bucket), strict=True)),
            sum_value=self._seconds,
        )


def _counter(name: str, documentation: str, *, counts: Mapping[Any, int], label: str) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for value, count in counts.items():
        family.add_metric([str(value)], count)
    return family

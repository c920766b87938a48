"""What the controller counts. Labels are closed lists."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Certificate = Literal["ca", "serving"]


class Duty(StrEnum):
    """What the controller asks the API for, and may fail at."""

    LEASE = "lease"
    CERTIFICATES = "certificates"
    EVENTS = "events"


class ControllerMetrics(Collector):
    """The controller's metrics, for a registry of prometheus_client.

    Attributes:
        is_leading: whether it is this one's turn.
        expiry: until when the certificates are valid; empty while this one does not look at them.
    """

    def __init__(self) -> None:
        self.is_leading = False
        self.expiry: Mapping[Certificate, datetime] = {}
        self._errors: Counter[Duty] = Counter()

    def failed(self, duty: Duty) -> None:
        """Count one thing that did not work and is tried again."""
        self._errors[duty] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        yield GaugeMetricFamily(
            "irsa_controller_leading", "Whether this controller holds the Lease: 1 or 0.", value=int(self.is_leading)
        )
        expiry = GaugeMetricFamily(
            "irsa_controller_certificate_expiration_timestamp_seconds",
            "When a certificate of the webhook ends, in seconds since 1970. Only from the controller that leads.",
            labels=["certificate"],
        )
        for certificate, time in self.expiry.items():
            expiry.add_metric([certificate], time.timestamp())
        yield expiry
        errors = CounterMetricFamily(
            "irsa_controller_errors", "What did not work and is tried again, by what it was for.", labels=["what"]
        )
        for duty in Duty:
            errors.add_metric([duty.value], self._errors[duty])
        yield errors

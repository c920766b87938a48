"""What the controller counts of the cluster that it follows. Labels are closed lists: no tenant chooses a series."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from app.controller.drift import DriftCount
from app.controller.ledger import Outcome
from app.controller.telling import Telling


class ClusterMetrics(Collector):
    """Events and drift, for a registry of prometheus_client."""

    def __init__(self, telling: Telling, drift: DriftCount) -> None:
        self._telling = telling
        self._drift = drift

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        events = CounterMetricFamily(
            "irsa_controller_events", "What was found to tell by Events, by what became of it.", labels=["outcome"]
        )
        for outcome in Outcome:
            events.add_metric([outcome.value], self._telling.outcomes[outcome])
        yield events
        drifted = GaugeMetricFamily(
            "irsa_controller_drifted_pods",
            "Running pods with another AWS identity than they would get today. Only from the controller that leads.",
            labels=["kind"],
        )
        for kind, count in self._drift.drifted.items():
            drifted.add_metric([kind.value], count)
        yield drifted

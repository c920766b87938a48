"""What the webhook shows of the operator's assignments: how many are in force, and whether an edit went wrong."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.webhook.assigned import Assigned


class AssignedMetrics(Collector):
    """Metrics of what is assigned, for a registry of prometheus_client."""

    def __init__(self, assigned: Assigned) -> None:
        self._assigned = assigned

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        assigned = self._assigned
        entries = GaugeMetricFamily(
            "irsa_webhook_assignments",
            "Entries in force: mappings of ServiceAccounts to roles, identities with container credentials.",
            labels=["source"],
        )
        entries.add_metric(["mappings"], len(assigned.mappings.roles))
        entries.add_metric(["container_credentials"], len(assigned.container_credentials))
        yield entries
        problems = GaugeMetricFamily(
            "irsa_webhook_assignment_problems",
            "Bad entries among them, which the log names; where nothing can be read, the last good ones are in force.",
            labels=["source"],
        )
        for source, texts in assigned.problems.items():
            problems.add_metric([source], len(texts))
        yield problems

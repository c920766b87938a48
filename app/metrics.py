"""A process's registry, what every server counts, and ``/metrics``. Each flow has its own metrics in its own folder."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import (
    CollectorRegistry,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from app.listener import Port
from app.serving_certificate import ServingCertificate


def new_registry() -> CollectorRegistry:
    """Return a registry with what Prometheus expects of every process."""
    # Each counter's time of birth doubles the series, for OpenMetrics scrapers that hardly anybody has.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own annotation is missing
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> Callable[[Request], Response]:
    """Return the ``/metrics`` endpoint of *registry*."""

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return metrics


class PortMetrics(Collector):
    """The connections of *ports*, by the name of the port."""

    def __init__(self, ports: Sequence[Port]) -> None:
        self._ports = ports

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        held = GaugeMetricFamily("irsa_server_connections", "Connections that are open.", labels=["port"])
        dropped = CounterMetricFamily(
            "irsa_server_connections_dropped", "Connections ended because there were too many.", labels=["port"]
        )
        failed = CounterMetricFamily(
            "irsa_server_handshakes_failed", "Connections that ended before they could ask anything.", labels=["port"]
        )
        for port in self._ports:
            held.add_metric([port.name], len(port.connections))
            dropped.add_metric([port.name], port.connections.dropped)
            failed.add_metric([port.name], port.connections.failed_handshakes)
        yield from (held, dropped, failed)


class CertificateMetrics(Collector):
    """The serving certificate."""

    def __init__(self, certificate: ServingCertificate) -> None:
        self._certificate = certificate

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        if self._certificate.not_after is not None:
            yield GaugeMetricFamily(
                "irsa_server_certificate_expiration_timestamp_seconds",
                "When the certificate that is served with ends, in seconds since 1970.",
                value=self._certificate.not_after,
            )
        yield GaugeMetricFamily(
            "irsa_server_certificate_unusable",
            "1 while the certificate files cannot be used, and the last good ones are.",
            value=bool(self._certificate.problem),
        )
        reads = CounterMetricFamily(
            "irsa_server_certificate_reads", "How often changed certificate files were read.", labels=["result"]
        )
        reads.add_metric(["loaded"], self._certificate.loads)
        reads.add_metric(["refused"], self._certificate.refusals)
        yield reads

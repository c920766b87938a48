"""The registry of a process and its ``/metrics``. Each flow has its own metrics in its own folder."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response


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

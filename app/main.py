"""The composition root: builds each role from its settings. The only file that wires things together."""

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from app import health, metrics
from app.cluster.source import ServiceAccountSource
from app.listener import Port, metrics_port
from app.loops import BackgroundLoops
from app.policy import policy
from app.server import serve
from app.serving_certificate import ServingCertificate
from app.settings import InjectionSettings, WebhookSettings
from app.shutdown import Shutdown
from app.transport import by_path
from app.webhook.annotations import Vocabulary
from app.webhook.exchange import Bodies
from app.webhook.metrics import WebhookMetrics
from app.webhook.routes import MutateEndpoint

NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI would send spans and the texts of exceptions wherever OTEL_* variables say."""

NOTHING_ELSE: Final[Mapping[str, health.Check]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WebhookApplications:
    """What the webhook serves: reviews to the apiserver over TLS, and its state to the cluster's operators."""

    reviews: ASGIApp
    operations: ASGIApp
    registry: CollectorRegistry


def webhook_applications(
    settings: InjectionSettings, source: ServiceAccountSource, *, ready: Mapping[str, health.Check] = NOTHING_ELSE
) -> WebhookApplications:
    """Return ``/mutate``; and ``/healthz``, ``/readyz`` and ``/metrics``, ready when *ready* and *source* are."""

    def age() -> float:
        return source.age(time.monotonic())

    registry = metrics.new_registry()
    webhook_metrics = WebhookMetrics(snapshot_age=age)
    registry.register(webhook_metrics)
    mutate = MutateEndpoint(source, policy=policy(settings), metrics=webhook_metrics, bodies=Bodies())
    fresh = health.fresh(age, what="ServiceAccounts")
    return WebhookApplications(
        reviews=by_path({"/mutate": mutate}),
        operations=operations(registry, ready={**ready, "service_accounts": fresh}),
        registry=registry,
    )


def operations(registry: CollectorRegistry, *, ready: Mapping[str, health.Check]) -> FastAPI:
    """Return ``/healthz``, ``/readyz`` and ``/metrics``, which every role serves on a port of their own."""
    application = FastAPI(openapi_url=None, redirect_slashes=False, telemetry=NO_TELEMETRY)
    health.add_health(application, ready=ready)
    application.add_route("/metrics", metrics.exposition(registry))
    return application


def run_webhook(settings: WebhookSettings) -> None:
    """Serve the webhook until it is told to stop."""
    certificate = ServingCertificate.open(settings.tls(), wait=settings.wait_for_certificate)
    source, client = _source(settings)
    shutdown = Shutdown()
    applications = webhook_applications(
        settings, source, ready={"shutdown": shutdown.missing, "certificate": certificate.missing}
    )
    ports = [
        Port(application=applications.reviews, number=settings.port, certificate=certificate),
        metrics_port(applications.operations, number=settings.metrics_port),
    ]
    applications.registry.register(metrics.PortMetrics(ports))
    applications.registry.register(metrics.CertificateMetrics(certificate))
    serve(
        ports,
        host=settings.host,
        loops=BackgroundLoops({"service_accounts": source.run, "certificate": certificate.run}),
        client=client,
        shutdown=shutdown,
        drain_seconds=settings.drain_seconds,
    )


def _source(settings: WebhookSettings) -> tuple[ServiceAccountSource, AbstractAsyncContextManager[Any]]:
    """Return where ServiceAccounts come from, and the client under it: the folder that was named, or the cluster."""
    keep = Vocabulary(settings.annotation_prefix)
    if settings.service_accounts is not None:
        # Each source costs imports that the other can spare: 15 MB for YAML and its watcher, 20 MB for the client.
        from app.cluster.folder import FolderSource  # noqa: PLC0415 - see above

        return FolderSource.open(settings.service_accounts, keep=keep), nullcontext()
    from app.cluster.client import KubernetesApi  # noqa: PLC0415 - see above
    from app.cluster.configuration import from_kubeconfig, in_cluster  # noqa: PLC0415 - see above
    from app.cluster.service_accounts import ClusterServiceAccounts  # noqa: PLC0415 - see above

    api = KubernetesApi(from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster())
    return ClusterServiceAccounts(api, keep=keep), api

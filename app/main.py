"""The composition root: builds each role from its settings. The only file that wires things together."""

import time
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from app import health, metrics
from app.cluster.source import ServiceAccountSource
from app.loops import BackgroundLoops
from app.policy import policy
from app.server import serve
from app.settings import InjectionSettings, WebhookSettings
from app.tls import server_context
from app.webhook.annotations import Vocabulary
from app.webhook.exchange import Bodies
from app.webhook.metrics import WebhookMetrics
from app.webhook.routes import MutateEndpoint

NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI would send spans and the texts of exceptions wherever OTEL_* variables say."""


def webhook_application(settings: InjectionSettings, source: ServiceAccountSource) -> ASGIApp:
    """Return the webhook: ``/mutate``, ``/healthz``, ``/readyz`` and ``/metrics`` over one *source*."""

    def age() -> float:
        return source.age(time.monotonic())

    registry = metrics.new_registry()
    webhook_metrics = WebhookMetrics(snapshot_age=age)
    registry.register(webhook_metrics)
    mutate = MutateEndpoint(source, policy=policy(settings), metrics=webhook_metrics, bodies=Bodies())
    others = FastAPI(openapi_url=None, redirect_slashes=False, telemetry=NO_TELEMETRY)
    health.add_health(others, ready={"service_accounts": health.fresh(age, what="ServiceAccounts")})
    others.add_route("/metrics", metrics.exposition(registry))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # The hot path goes around the framework, whose routing and middleware took a quarter of a review's time.
        is_review = scope["type"] == "http" and scope["path"] == "/mutate"
        await (mutate if is_review else others)(scope, receive, send)

    return application


def run_webhook(settings: WebhookSettings) -> None:
    """Serve the webhook until it is told to stop."""
    tls = server_context(settings.tls_cert, settings.tls_key)
    source, client = _source(settings)
    serve(
        webhook_application(settings, source),
        host=settings.host,
        port=settings.port,
        tls=tls,
        loops=BackgroundLoops({"service_accounts": source.run}),
        client=client,
    )


def _source(settings: WebhookSettings) -> tuple[ServiceAccountSource, AbstractAsyncContextManager[Any]]:
    """Return where ServiceAccounts come from, and the client under it: the folder that was named, or the cluster."""
    keep = Vocabulary(settings.annotation_prefix)
    if settings.service_accounts is not None:
        # Each source costs imports that the other can spare: 15 MB for YAML and its watcher, 20 MB for the client.
        from app.cluster.folder import FolderSource  # noqa: PLC0415 - see above

        return FolderSource.open(settings.service_accounts, keep=keep), nullcontext()
    from app.cluster.client import KubernetesApi, from_kubeconfig, in_cluster  # noqa: PLC0415 - see above
    from app.cluster.watch import ApiSource  # noqa: PLC0415 - see above

    api = KubernetesApi(from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster())
    return ApiSource(api, keep=keep), api

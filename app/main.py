"""The composition root: builds each role from its settings. The only file that wires things together."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route

from app import health, loops, metrics
from app.cluster.source import ServiceAccountSource
from app.server import serve
from app.settings import InjectionSettings, WebhookSettings
from app.tls import server_context
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Policy
from app.webhook.identity import Defaults
from app.webhook.inject import Injection
from app.webhook.routes import MutateEndpoint


def policy(settings: InjectionSettings) -> Policy:
    """Return what *settings* say about injections."""
    return Policy(
        vocabulary=Vocabulary(settings.annotation_prefix),
        defaults=Defaults(
            audience=settings.token_audience,
            token_expiration=settings.token_expiration,
            regional_sts=settings.sts_regional_endpoint,
        ),
        injection=Injection(
            token_mount_path=settings.token_mount_path,
            default_region=settings.aws_default_region,
            environment=settings.environment(),
        ),
    )


def webhook_source(settings: WebhookSettings) -> ServiceAccountSource:
    """Return where the webhook takes ServiceAccounts from: the folder that was named, else the cluster."""
    keep = Vocabulary(settings.annotation_prefix).concerns
    if settings.service_accounts is not None:
        from app.cluster.folder import FolderSource  # noqa: PLC0415 - each source costs imports that the other can spare

        return FolderSource(settings.service_accounts, keep=keep)
    from app.cluster.client import kubernetes_source  # noqa: PLC0415 - as above

    return kubernetes_source(settings.kubeconfig, keep=keep)


def webhook_application(settings: InjectionSettings, source: ServiceAccountSource) -> FastAPI:
    """Return the webhook: ``/mutate``, ``/healthz``, ``/readyz`` and ``/metrics`` over one *source*."""

    def age() -> float:
        return source.age(time.monotonic())

    registry = metrics.new_registry()
    webhook_metrics = metrics.WebhookMetrics(registry, snapshot_age=age)
    mutate = MutateEndpoint(source, policy=policy(settings), metrics=webhook_metrics)

    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncIterator[None]:
        async with loops.background({"service_accounts": source.run}):
            yield

    application = FastAPI(lifespan=lifespan, openapi_url=None, routes=[Route("/mutate", mutate, methods=["POST"])])
    health.add_health(application, ready={"service_accounts": health.fresh(age, what="ServiceAccounts")})
    application.add_route("/metrics", metrics.exposition(registry))
    return application


def run_webhook(settings: WebhookSettings) -> None:
    """Serve the webhook until it is told to stop."""
    tls = server_context(settings.tls_cert, settings.tls_key)
    application = webhook_application(settings, webhook_source(settings))
    serve(application, host=settings.host, port=settings.port, tls=tls)

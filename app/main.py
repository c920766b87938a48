"""The composition root: builds each role from its settings. The only file that wires things together."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from app import health, imds, metrics
from app.assignments import follow
from app.cluster.api import ReadingApi
from app.cluster.source import ServiceAccountSource
from app.listener import Port, metrics_port
from app.loops import BackgroundLoops
from app.policy import policy
from app.server import serve
from app.serving_certificate import ServingCertificate
from app.settings import ControllerSettings, InjectionSettings, WebhookSettings
from app.shutdown import Shutdown
from app.transport import by_path
from app.webhook.annotations import Vocabulary
from app.webhook.assigned import Assigned
from app.webhook.assigned_metrics import AssignedMetrics
from app.webhook.exchange import Bodies
from app.webhook.metrics import WebhookMetrics
from app.webhook.routes import EphemeralEndpoint, MutateEndpoint
from app.webhook.warn import WarnEndpoint

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
    settings: InjectionSettings,
    source: ServiceAccountSource,
    *,
    assigned: Assigned | None = None,
    ready: Mapping[str, health.Check] = NOTHING_ELSE,
    lookups: Callable[[], Mapping[Any, int]] = dict,
) -> WebhookApplications:
    """Return what the webhook serves.

    Args:
        settings: decide about the result of an injection.
        source: has the ServiceAccounts; it is ready when it is complete and fresh.
        assigned: the operator's assignments beside them.
        ready: what else must not be missing.
        lookups: how live look-ups of the source ended.
    """

    def age() -> float:
        return source.age(time.monotonic())

    registry = metrics.new_registry()
    webhook_metrics = WebhookMetrics(snapshot_age=age, lookups=lookups)
    registry.register(webhook_metrics)
    assigned = assigned or Assigned()
    registry.register(AssignedMetrics(assigned))
    rules, bodies = policy(settings), Bodies()

    def mutate(*, is_required: bool) -> MutateEndpoint:
        return MutateEndpoint(
            source, assigned=assigned, policy=rules, metrics=webhook_metrics, bodies=bodies, is_required=is_required
        )

    endpoints: dict[str, ASGIApp] = {
        "/mutate": mutate(is_required=False),
        "/mutate-required": mutate(is_required=True),
        "/mutate-ephemeral": EphemeralEndpoint(policy=rules, metrics=webhook_metrics, bodies=bodies),
        "/warn": WarnEndpoint(source, assigned=assigned, policy=rules, metrics=webhook_metrics, bodies=bodies),
    }
    fresh = health.fresh(age, what="ServiceAccounts")
    return WebhookApplications(
        reviews=by_path(endpoints),
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
    settings = imds.resolved(settings)
    certificate = ServingCertificate.open(settings.tls(), wait=settings.wait_for_certificate)
    cluster = _cluster(settings)
    assigned = Assigned(account=policy(settings).defaults.account)
    following = follow(
        assigned, mappings=settings.mappings, container_credentials=settings.container_credentials, api=cluster.api
    )
    shutdown = Shutdown()
    ready = {"shutdown": shutdown.missing, "certificate": certificate.missing}
    ready |= {name: health.fresh(age, what=name.replace("_", " ")) for name, age in following.ages.items()}
    applications = webhook_applications(
        settings, cluster.service_accounts, assigned=assigned, ready=ready, lookups=cluster.lookups
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
        loops=BackgroundLoops(
            {"service_accounts": cluster.service_accounts.run, "certificate": certificate.run, **following.loops}
        ),
        client=cluster.client,
        shutdown=shutdown,
        drain_seconds=settings.drain_seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cluster:
    """Where ServiceAccounts come from, and what else is there.

    Attributes:
        service_accounts: the source of them.
        lookups: how its live look-ups ended.
        api: reads other objects; None where there is a folder instead of a cluster.
        client: what is under both, to be entered before.
    """

    service_accounts: ServiceAccountSource
    lookups: Callable[[], Mapping[Any, int]] = dict
    api: ReadingApi | None = None
    client: AbstractAsyncContextManager[Any] = field(default_factory=nullcontext)


def _cluster(settings: WebhookSettings) -> _Cluster:
    """Return the folder that was named, or the cluster."""
    keep = Vocabulary(settings.annotation_prefix)
    if settings.service_accounts is not None:
        # Each source costs imports that the other can spare: 15 MB for YAML and its watcher, 20 MB for the client.
        from app.cluster.folder import FolderSource  # noqa: PLC0415 - see above

        return _Cluster(service_accounts=FolderSource.open(settings.service_accounts, keep=keep))
    from app.cluster.client import KubernetesApi  # noqa: PLC0415 - see above
    from app.cluster.configuration import from_kubeconfig, in_cluster  # noqa: PLC0415 - see above
    from app.cluster.service_accounts import ClusterServiceAccounts  # noqa: PLC0415 - see above

    api = KubernetesApi(from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster())
    accounts = ClusterServiceAccounts(api, keep=keep, budget_seconds=settings.lookup_seconds)
    return _Cluster(service_accounts=accounts, lookups=lambda: accounts.lookups, api=api, client=api)


def run_controller(settings: ControllerSettings) -> None:
    """Do what writes around the webhook, while it is our turn, until told to stop."""
    # The webhook has no use for what makes certificates, 9 MB.
    from app.cluster.client import KubernetesApi  # noqa: PLC0415 - see above
    from app.cluster.configuration import from_kubeconfig, in_cluster, own_namespace  # noqa: PLC0415 - see above
    from app.controller import objects  # noqa: PLC0415 - see above
    from app.controller.certificates import Certificates  # noqa: PLC0415 - see above
    from app.controller.leading import Leading, Loop, own_identity  # noqa: PLC0415 - see above
    from app.controller.lease import LeaseTimes  # noqa: PLC0415 - see above
    from app.controller.metrics import ControllerMetrics  # noqa: PLC0415 - see above
    from app.controller.observing import observing  # noqa: PLC0415 - see above

    settings = imds.resolved(settings)
    namespace = settings.namespace or own_namespace()
    api = KubernetesApi(from_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster())
    controller_metrics = ControllerMetrics()
    duties: dict[str, Loop] = {}
    if settings.certificates or settings.trusted_ca:
        duties["certificates"] = Certificates(
            api,
            objects.certificate_objects(settings, namespace),
            policy=objects.certificate_policy(settings, namespace),
            metrics=controller_metrics,
        ).run
    identity = own_identity()
    observed = observing(api, settings, instance=identity, metrics=controller_metrics)
    duties |= observed.duties
    leading = Leading(
        api,
        objects.lease(settings, namespace),
        identity=identity,
        times=LeaseTimes(duration=settings.lease_seconds),
        duties=duties,
        metrics=controller_metrics,
    )
    shutdown = Shutdown()
    registry = metrics.new_registry()
    registry.register(controller_metrics)
    registry.register(observed.metrics)
    heard = health.fresh(lambda: leading.age(time.monotonic()), what="the Lease")
    port = metrics_port(
        operations(registry, ready={"shutdown": shutdown.missing, "lease": heard}), number=settings.metrics_port
    )
    registry.register(metrics.PortMetrics([port]))
    serve([port], host=settings.host, loops=BackgroundLoops({"leading": leading.run}), client=api, shutdown=shutdown)

"""Settings and the namespace of the chart -> which objects are kept current, and how. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.cluster.decoding import octets
from app.controller.rotation import CertificatePolicy
from app.errors import ConfigurationError
from app.settings import ControllerSettings
from app.x509 import parse_certificates

CLUSTER_DOMAIN: Final = "cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateObjects:
    """Where everything is: paths of the API. The chart has made all three; we make none and remove none."""

    authority: str
    serving: str
    configuration: str


def lease(settings: ControllerSettings, namespace: str) -> str:
    """Return the path of the Lease."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{settings.lease}"


def certificate_objects(settings: ControllerSettings, namespace: str) -> CertificateObjects:
    """Return the paths of the Secrets and of the webhook configuration."""
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    kind = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    return CertificateObjects(
        authority=f"{secrets}/{settings.ca_secret}",
        serving=f"{secrets}/{settings.tls_secret}",
        configuration=f"{kind}/{settings.webhook_configuration}",
    )


def certificate_policy(settings: ControllerSettings, namespace: str) -> CertificatePolicy:
    """Return what the certificates shall be.

    An apiserver asks for ``SERVICE.NAMESPACE.svc`` (apiserver's pkg/util/webhook/client.go); the longer name is for
    whoever else does.

    Raises:
        ConfigurationError: the CAs that shall be trusted cannot be read.
    """
    trusted = parse_certificates(octets(settings.trusted_ca))
    if settings.trusted_ca and not trusted:
        raise ConfigurationError("trusted-ca: expected Base64 of PEM certificates, got none that can be read")
    service = f"{settings.webhook_service}.{namespace}.svc"
    return CertificatePolicy(
        names=frozenset({service, f"{service}.{CLUSTER_DOMAIN}", *settings.certificate_names}),
        ca_lifetime=timedelta(days=settings.ca_days),
        certificate_lifetime=timedelta(days=settings.certificate_days),
        bundle_settles=timedelta(seconds=settings.bundle_settle_seconds),
        certificate_reloads=timedelta(seconds=settings.certificate_reload_seconds),
        trusted=trusted,
        signs=settings.certificates,
    )

"""Every knob of the long-running roles, once. From flags, then ``IRSA_*`` variables, then the file of ``--config``."""

import ipaddress
import posixpath
import re
from pathlib import Path
from ssl import TLSVersion
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.cipher_suites import openssl_names
from app.text import shown
from app.tls import ServerTls
from app.webhook.accounts import ACCOUNT, PARTITION
from app.webhook.annotations import MAX_TOKEN_EXPIRATION, MIN_TOKEN_EXPIRATION
from app.webhook.inject import TOKEN_MOUNT_PATH, Endpoint

Format = Literal["json", "console"]
Level = Literal["debug", "info", "warning", "error"]

ENVIRONMENT: Final = re.compile(r"(AWS_ENDPOINT_URL[A-Z0-9_]*|AWS_CA_BUNDLE|AWS_STS_[A-Z0-9_]+)=(.*)", re.DOTALL)
"""What ``--env`` takes: where AWS is and how it is trusted, never who the pod is."""

PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""A DNS subdomain, which Kubernetes wants before the slash of an annotation (apimachinery's IsQualifiedName)."""

MAX_HOST_CHARACTERS: Final = 253

VOLUME_NAME: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
"""A DNS label, which Kubernetes wants of a volume."""

CONFIG_MAP: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
"""Namespace and name."""

IMDS: Final = "imds"
"""The account to be asked for."""

ENDPOINT: Final = Endpoint()


class InjectionSettings(BaseModel):
    """What decides about the result of an injection; `irsa webhook` and `irsa inject` have these alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    annotation_prefix: str = Field(default="eks.amazonaws.com", max_length=253)
    """Prefix of the annotations that are read; the default is EKS's, so that its manifests work unchanged."""

    token_audience: str = Field(default="sts.amazonaws.com", min_length=1)
    """Audience of the tokens where the ServiceAccount names none."""

    token_expiration: int = Field(default=86_400, ge=MIN_TOKEN_EXPIRATION, le=MAX_TOKEN_EXPIRATION)
    """Lifetime of the tokens in seconds where no annotation says otherwise; the kubelet renews them at 80 %."""

    token_mount_path: str = TOKEN_MOUNT_PATH
    """Folder in the containers where the token is mounted."""

    aws_default_region: str | None = Field(default=None, pattern=r"^[a-z0-9-]+$")
    """Region for containers that have none (AWS_REGION and AWS_DEFAULT_REGION). Off by default."""

    sts_regional_endpoint: bool = True
    """Have old SDKs call the STS of their region, not the global one (AWS_STS_REGIONAL_ENDPOINTS=regional)."""

    env: tuple[str, ...] = ()
    """NAME=VALUE for containers that get a role and lack it: AWS_ENDPOINT_URL*, AWS_CA_BUNDLE, AWS_STS_*."""

    aws_account: str | None = Field(default=None, pattern=rf"^({ACCOUNT}|{IMDS})$")
    """Account of roles that are given by name, not by ARN: twelve digits, or imds to ask EC2 once at the start."""

    aws_partition: str | None = Field(default=None, pattern=rf"^{PARTITION}$")
    """Partition of that account. By default that of its region from EC2, or of --aws-default-region, else aws."""

    session_name: bool = False
    """Name sessions after their pods (AWS_ROLE_SESSION_NAME) where the ServiceAccount does not say otherwise."""

    token_expiration_jitter: float = Field(default=0.0, ge=0, le=0.5)
    """Shorten lifetimes by up to this part of themselves, 0.1 for a tenth; pods of one owner have the same."""

    container_credentials_audience: str = Field(default="pods.eks.amazonaws.com", min_length=1)
    """Audience of the tokens of pods with container credentials, as with EKS Pod Identity."""

    container_credentials_full_uri: str = Field(default=ENDPOINT.full_uri, pattern=r"^https?://[!-~]+$")
    """Where their SDKs ask for credentials."""

    container_credentials_token_mount_path: str = ENDPOINT.token_mount_path
    """Folder in their containers where the token is mounted."""

    container_credentials_token_path: str = Field(default=ENDPOINT.token_path, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """File name of the token in that folder."""

    container_credentials_token_volume_name: str = Field(default=ENDPOINT.volume_name, pattern=VOLUME_NAME)
    """Name of the volume that has the token."""

    @field_validator("annotation_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if not PREFIX.fullmatch(value):
            raise ValueError("expected a DNS name such as eks.amazonaws.com")
        return value

    @field_validator("token_mount_path", "container_credentials_token_mount_path")
    @classmethod
    def _mount_path(cls, value: str) -> str:
        is_clean = value.startswith("/") and value.isprintable() and posixpath.normpath(value) == value
        if not is_clean or value in {"/", "//"} or ":" in value:
            raise ValueError(f"expected an absolute path such as {TOKEN_MOUNT_PATH}, not {shown(value)}")
        return value

    @field_validator("env")
    @classmethod
    def _env(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            if not ENVIRONMENT.fullmatch(item) or "\0" in item:
                # The value may be anything, a password in a URL too, so only the name is shown.
                name = item.partition("=")[0]
                raise ValueError(
                    f"expected AWS_ENDPOINT_URL*, AWS_CA_BUNDLE or AWS_STS_* as NAME=VALUE, not {shown(name)}"
                )
        return value

    def environment(self) -> dict[str, str]:
        """Return `env` as names and values; of a name given twice the last one wins."""
        return dict(item.split("=", 1) for item in self.env)


class AssignmentSettings(InjectionSettings):
    """What is assigned to ServiceAccounts beside their annotations; webhook and controller have these alike."""

    mappings: str | None = Field(default=None, pattern=CONFIG_MAP)
    """NAMESPACE/NAME of a ConfigMap that maps ServiceAccounts to roles. Off by default."""

    container_credentials: str | None = Field(default=None, pattern=rf"^(\.{{0,2}}/.+|{CONFIG_MAP[1:-1]})$")
    """File, or NAMESPACE/NAME of a ConfigMap, with ServiceAccounts that get container credentials. Off by default."""


class WebhookSettings(AssignmentSettings):
    """``irsa webhook``."""

    host: str = "0.0.0.0"
    """Address to listen on."""

    port: int = Field(default=8443, ge=0, le=65_535)
    """Port for reviews, over TLS; 0 takes a free one, which the log names."""

    metrics_port: int = Field(default=8080, ge=0, le=65_535)
    """Port for /metrics, /healthz and /readyz, over plain HTTP; 0 takes a free one, which the log names."""

    tls_cert: Path = Path("/etc/irsa/tls/tls.crt")
    """PEM file of the serving certificate, with the chain behind it. Read anew when it changes, as the next two."""

    tls_key: Path = Path("/etc/irsa/tls/tls.key")
    """PEM file of its private key."""

    client_ca: Path | None = None
    """PEM file of CAs; clients must show a certificate of theirs. Off: API servers show none unless told to."""

    tls_min_version: str = "1.2"
    """Oldest version of TLS that is spoken, 1.2 or 1.3."""

    tls_cipher_suites: tuple[str, ...] = ()
    """Cipher suites of TLS 1.2 by the names of IANA or OpenSSL, with commas between, instead of Python's choice."""

    wait_for_certificate: bool = False
    """Wait, alive but not ready, for certificate files that are not there yet or cannot be used, instead of ending."""

    drain_seconds: int = Field(default=5, ge=0, le=300)
    """Seconds to serve on after SIGTERM, no longer ready, until everybody knows of our end. SIGINT waits for nobody."""

    service_accounts: Path | None = None
    """Folder of YAML manifests to take ServiceAccounts from, instead of a cluster. For development and the demo."""

    kubeconfig: Path | None = None
    """How to reach the cluster; in a pod this is not needed."""

    lookup_seconds: float = Field(default=1.0, ge=0, le=4)
    """Budget for a live look at a ServiceAccount that may be newer than what we know; 0 never looks."""

    log_format: Format = "json"
    """json for machines, console for a terminal."""

    log_level: Level = "info"
    """Lowest level that is logged. Libraries that would print secrets at debug stay at info."""

    @field_validator("tls_min_version")
    @classmethod
    def _tls_min_version(cls, value: str) -> str:
        # VersionTLS12 is how Go's flags spell it, those of the AWS webhook too.
        version = {"VersionTLS12": "1.2", "VersionTLS13": "1.3"}.get(value, value)
        if version not in {"1.2", "1.3"}:
            raise ValueError(f"expected 1.2 or 1.3, got {shown(value)}")
        return version

    @field_validator("tls_cipher_suites")
    @classmethod
    def _tls_cipher_suites(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return openssl_names(name for item in value for name in item.split(","))

    def tls(self) -> ServerTls:
        """Return how to speak TLS."""
        return ServerTls(
            certificate=self.tls_cert,
            key=self.tls_key,
            client_ca=self.client_ca,
            minimum_version=TLSVersion.TLSv1_3 if self.tls_min_version == "1.3" else TLSVersion.TLSv1_2,
            ciphers=self.tls_cipher_suites,
        )


OBJECT_NAME: Final = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"


class ControllerSettings(AssignmentSettings):
    """``irsa controller``. Names of objects are those of the chart, which makes them."""

    host: str = "0.0.0.0"
    """Address to listen on."""

    metrics_port: int = Field(default=8080, ge=0, le=65_535)
    """Port for /metrics, /healthz and /readyz, over plain HTTP; 0 takes a free one, which the log names."""

    namespace: str | None = Field(default=None, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Namespace of the webhook, its Secrets and the Lease; in a pod that is the pod's own."""

    lease: str = Field(default="irsa-controller", max_length=253, pattern=OBJECT_NAME)
    """Lease that the one controller holds which writes; others wait for it."""

    lease_seconds: int = Field(default=15, ge=3, le=300)
    """How long others wait for a controller that vanished."""

    certificates: bool = True
    """Make and renew CA and serving certificate of the webhook. Off: they come from cert-manager or from you."""

    trusted_ca: str = Field(default="", pattern=r"^[A-Za-z0-9+/]*={0,2}$")
    """Base64 of PEM certificates of CAs that caBundle has beside the controller's own, or alone where it makes none."""

    certificate_names: tuple[str, ...] = ()
    """DNS names and IP addresses that the certificate is for beside those of the Service."""

    ca_days: float = Field(default=730, ge=0.0001, le=3650)
    """Lifetime of the CA in days; after two thirds of it the next one takes its place."""

    certificate_days: float = Field(default=90, ge=0.0001, le=825)
    """Lifetime of a serving certificate in days, renewed after two thirds of it."""

    bundle_settle_seconds: float = Field(default=60, ge=0.1, le=3600)
    """How long all API servers may take to see a changed caBundle; only then does a new CA sign."""

    certificate_reload_seconds: float = Field(default=600, ge=0.1, le=86_400)
    """How long all webhooks may take to serve with a changed Secret; only then is the CA before it forgotten."""

    ca_secret: str = Field(default="irsa-webhook-ca", max_length=253, pattern=OBJECT_NAME)
    """Secret of the CA and its key, empty to begin with."""

    tls_secret: str = Field(default="irsa-webhook-tls", max_length=253, pattern=OBJECT_NAME)
    """Secret of the serving certificate, empty to begin with, which the webhook mounts."""

    webhook_configuration: str = Field(default="irsa-webhook", max_length=253, pattern=OBJECT_NAME)
    """MutatingWebhookConfiguration whose caBundles are kept current."""

    webhook_service: str = Field(default="irsa-webhook", max_length=63, pattern=OBJECT_NAME)
    """Service of the webhook, for which the serving certificate is."""

    kubeconfig: Path | None = None
    """How to reach the cluster; in a pod this is not needed."""

    log_format: Format = "json"
    """json for machines, console for a terminal."""

    log_level: Level = "info"
    """Lowest level that is logged. Libraries that would print secrets at debug stay at info."""

    @field_validator("certificate_names")
    @classmethod
    def _certificate_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_host, value))


def _host(name: str) -> str:
    """Return the address or DNS name *name* as a certificate has it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        if len(name) > MAX_HOST_CHARACTERS or not PREFIX.fullmatch(name):
            raise ValueError(f"expected an IP address or a DNS name in lower case, not {shown(name)}") from None
        return name

"""The three servers of the demo: issuer, STS with S3, webhook. All start at once and are asked until they are ready."""

import secrets
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.demo import examples, ports
from app.demo.certificates import Certificates
from app.demo.examples import Examples
from app.demo.fetch import fetch
from app.demo.processes import Process, Processes, bare_environment, wait
from app.demo.seaweedfs import Ports, SeaweedFS, Trust
from oidc.documents import Documents
from oidc.issuer import Issuer

REGION: Final = "eu-central-1"
"""This STS does not care, an SDK does."""

ISSUER_PATH: Final = "/clusters/demo"
"""An issuer is one path of a host, so that each cluster has its own."""

SEAWEEDFS_PORTS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where everything will be, before anything is there."""

    issuer: Issuer
    webhook: str
    webhook_metrics: str
    seaweedfs: Ports


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that answers, and how many seconds after its start it did."""

    what: str
    url: str
    seconds: float


@contextmanager
def addresses() -> Iterator[Addresses]:
    """Yield addresses that are ours until this closes; by then the servers must listen."""
    with ports.reserved(3 + SEAWEEDFS_PORTS) as (issuer, webhook, webhook_metrics, *seaweedfs):
        yield Addresses(
            issuer=Issuer.parse(f"https://127.0.0.1:{issuer}{ISSUER_PATH}"),
            webhook=f"https://127.0.0.1:{webhook}",
            webhook_metrics=f"http://127.0.0.1:{webhook_metrics}",
            seaweedfs=Ports(*seaweedfs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the servers are started with.

    Attributes:
        application: whose ServiceAccount, role and bucket it is about.
        addresses: where they listen.
        certificates: what the issuer and the webhook serve with.
        public_key: PEM file with the key that the issuer publishes.
        documents: what it must serve.
        weed: the program of SeaweedFS.
        folder: where their files may lie.
    """

    application: Examples
    addresses: Addresses
    certificates: Certificates
    public_key: Path
    documents: Documents
    weed: Path
    folder: Path


def start(processes: Processes, setting: Setting) -> list[Ready]:
    """Start all three, wait until they are ready, and make the bucket.

    Raises:
        ProcessError: one of them ended, or is not ready in time.
    """
    began = time.monotonic()
    issuer = _irsa(processes, setting, "issuer", *_issuer_flags(setting))
    seaweedfs = _seaweedfs(processes, setting)
    webhook = _irsa(processes, setting, "webhook", *_webhook_flags(setting))
    where = setting.addresses
    ready: list[Ready] = []

    def await_ready(process: Process, check: Callable[[], bool], *, what: str, url: str) -> None:
        wait(process, check, what="be ready")
        ready.append(Ready(what, url, time.monotonic() - began))

    tls = client_tls(setting.certificates)
    await_ready(issuer, lambda: _publishes(setting, tls), what="issuer", url=where.issuer.url)
    await_ready(
        webhook,
        lambda: fetch(f"{where.webhook_metrics}/readyz").status == HTTPStatus.OK,
        what="webhook",
        url=where.webhook,
    )
    await_ready(seaweedfs.process, seaweedfs.is_ready, what="STS and S3", url=where.seaweedfs.endpoint)
    seaweedfs.make_bucket(setting.application.bucket)
    return ready


def subject(application: Examples) -> str:
    """Return the subject that the role trusts, as Kubernetes writes it into tokens."""
    return f"system:serviceaccount:{application.namespace}:{application.service_account}"


def client_tls(certificates: Certificates) -> ssl.SSLContext:
    """Return what a client of the demo trusts: its CA and nothing else."""
    return ssl.create_default_context(cafile=str(certificates.ca))


def _publishes(setting: Setting, tls: ssl.SSLContext) -> bool:
    """Return whether the issuer serves the documents that were rendered, byte for byte."""
    issuer, expected = setting.addresses.issuer, setting.documents
    host = f"https://{urlsplit(issuer.url).netloc}"
    return (
        fetch(host + issuer.discovery_path, tls=tls).body == expected.discovery
        and fetch(host + issuer.jwks_path, tls=tls).body == expected.jwks
    )


def _irsa(processes: Processes, setting: Setting, name: str, *arguments: str) -> Process:
    """Start a command of this very program."""
    environment = bare_environment(setting.folder)
    return processes.start(name, [sys.executable, "-m", "app", *arguments], environment=environment)


def _issuer_flags(setting: Setting) -> list[str]:
    issuer = setting.addresses.issuer.url
    return [
        *("issuer", "serve", "--issuer", issuer, "--public-key", str(setting.public_key)),
        *listen_flags(issuer, setting.certificates),
    ]


def _webhook_flags(setting: Setting) -> list[str]:
    return [
        *("webhook", "--service-accounts", str(examples.FOLDER)),
        *("--aws-default-region", REGION, "--env", f"AWS_ENDPOINT_URL={setting.addresses.seaweedfs.endpoint}"),
        # Nobody else knows of it: there is nothing to drain.
        *("--metrics-port", str(urlsplit(setting.addresses.webhook_metrics).port), "--drain-seconds", "0"),
        *listen_flags(setting.addresses.webhook, setting.certificates),
    ]


def listen_flags(url: str, certificates: Certificates) -> list[str]:
    """Return the flags of a server of ours that is to answer at *url*."""
    return [
        *("--host", "127.0.0.1", "--port", str(urlsplit(url).port)),
        *("--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.key)),
    ]


def _seaweedfs(processes: Processes, setting: Setting) -> SeaweedFS:
    application, where = setting.application, setting.addresses
    return SeaweedFS.start(
        processes,
        setting.folder / "seaweedfs",
        weed=setting.weed,
        ports=where.seaweedfs,
        trust=Trust(
            issuer=where.issuer.url,
            ca=setting.certificates.ca,
            audience=application.identity.audience,
            role_arn=application.identity.role_arn,
            subject=subject(application),
            bucket=application.bucket,
        ),
        signing_key=secrets.token_bytes(32),
        environment=bare_environment(setting.folder),
    )

"""Replicas of our webhook on loopback, asked by the hooks of our chart."""

import base64
import datetime as dt
import http.client
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import trustme

from tests.apiserver import Api
from tests.e2e.creating import is_patched, pod, service_account
from tests.e2e.installing import NO_PODS, Release, eventually, sent_to
from tests.e2e.kubectl import Kubectl
from tests.e2e.registering import address_as_the_apiserver_sees_us
from tests.processes import Process, irsa

STRICT_LABEL: Final = {"irsa/require-identity": "true"}


@dataclass(frozen=True)
class Certificate:
    """A serving certificate in files, and the CA that it is of."""

    host: str
    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.issue()

    @property
    def files(self) -> tuple[Path, Path]:
        """The certificate's, and its key's."""
        return self.folder / "tls.crt", self.folder / "tls.key"

    @property
    def ca_bundle(self) -> str:
        """What a hook's caBundle is."""
        return base64.b64encode(self.authority.cert_pem.bytes()).decode()

    def make(self, *, not_after: dt.datetime | None = None) -> tuple[bytes, bytes]:
        """Return another certificate of this CA, and its key."""
        issued = self.authority.issue_cert(self.host, not_after=not_after)
        return b"".join(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes()

    def issue(self, *, not_after: dt.datetime | None = None) -> None:
        """Write another certificate, file by file."""
        for file, content in zip(self.files, self.make(not_after=not_after), strict=True):
            file.write_bytes(content)


@dataclass(frozen=True)
class Replica:
    """A webhook that runs."""

    process: Process
    host: str
    port: int
    metrics_port: int

    def get(self, path: str) -> tuple[int, str]:
        """Return what it says on its plain port."""
        with closing(http.client.HTTPConnection(self.host, self.metrics_port, timeout=10)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def is_ready(self) -> bool:
        return self.get("/readyz") == (HTTPStatus.OK, "ok\n")

    def kill(self) -> None:
        """End it as the kernel does where memory is short."""
        self.process.stop(signal.SIGKILL)


@contextmanager
def replica(
    kubeconfig: Path, certificate: Certificate, *, port: int = 0, flags: Sequence[str] = ()
) -> Iterator[Replica]:
    """Run a webhook; it listens, and is perhaps not ready yet."""
    host, (crt, key) = certificate.host, certificate.files
    where = ["--host", host, "--port", str(port), "--metrics-port", "0", "--drain-seconds", "0"]
    files = ["--tls-cert", str(crt), "--tls-key", str(key), "--kubeconfig", str(kubeconfig)]
    with irsa("webhook", *where, *files, *flags) as process:
        reviews, metrics = (process.wait_for(event)["port"] for event in ("listening", "metrics_listening"))
        yield Replica(process, host, reviews, metrics)


@contextmanager
def ready_replica(
    kubeconfig: Path, certificate: Certificate, *, port: int = 0, flags: Sequence[str] = ()
) -> Iterator[Replica]:
    with replica(kubeconfig, certificate, port=port, flags=flags) as made:
        eventually(made.is_ready)
        yield made


@contextmanager
def hooks(released: Release, url: str, ca_bundle: str, *, probe: str) -> Iterator[None]:
    """Have the chart's hooks ask at *url*, once pods of the namespace *probe* are seen to be patched."""
    api = Api.of(released.kubectl.kubeconfig)
    path, name = f"/api/v1/namespaces/{probe}", f"probe-{secrets.token_hex(4)}"
    with closing(api.connection()) as connection:
        api.send(connection, "POST", f"{path}/serviceaccounts", service_account(name))
        body = pod(name, service_account=name)

        def is_asked() -> bool:
            answer = api.ask(connection, "POST", f"{path}/pods?dryRun=All", body)
            return answer.is_success and is_patched(answer.body)

        with sent_to(released, url, ca_bundle):
            eventually(is_asked)
            yield


def install(released: Release, *, excluded: Sequence[str] = ()) -> None:
    """Install the chart, whose pods nothing here would run. Its hooks leave *excluded* namespaces alone."""
    webhook = {**NO_PODS["webhook"], "excludedNamespaces": list(excluded)}
    released.install({**NO_PODS, "webhook": webhook})


def certificate_for(kubectl: Kubectl, folder: Path) -> Certificate:
    return Certificate(address_as_the_apiserver_sees_us(kubectl), folder)

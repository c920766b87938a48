"""From one source of certificates to another as the chart's README says, while pods are created that need an answer.

The cluster has no kubelet: hooks of a copy of the chart ask at the URL of a balancer, behind which one webhook serves
with the Secret that the installed Deployment names, and the controller is started anew as its Deployment would.
"""

import base64
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.x509 import parse_certificates
from tests.apiserver import Api
from tests.e2e.balancer import Balancer
from tests.e2e.creating import is_patched, pod, service_account
from tests.e2e.in_a_thread import in_a_thread
from tests.e2e.installing import NO_PODS, Release, eventually, namespace, release
from tests.e2e.kubectl import Kubectl
from tests.e2e.serving import STRICT_LABEL, Certificate, Replica
from tests.e2e.test_install_programs import HOST, running
from tests.manifests.chart import CHART
from tests.processes import Process, irsa

pytestmark = pytest.mark.cluster

SETTLE_SECONDS, RELOAD_SECONDS, DRAIN_SECONDS = 1, 15, 2
LOOK_SECONDS = 0.2
"""Between two looks with kubectl, which would else take a core."""

BOUND_SECONDS = 60.0
TIMES = {
    "certificate-names": [HOST],
    "bundle-settle-seconds": SETTLE_SECONDS,
    "certificate-reload-seconds": RELOAD_SECONDS,
}
VALUES: Mapping[str, Any] = {**NO_PODS, "controller": {"replicas": 0, "settings": TIMES}}
GIVEN = "webhook-certificate"


@dataclass
class Rollout:
    """What the Deployment does: a new pod for the old one, as soon as the Secret that it names is filled."""

    released: Release
    folder: Path
    service: Balancer
    served: str = ""
    _pod: ExitStack = field(default_factory=ExitStack)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Make the new pod, if there shall be one."""
        get, where = self.released.kubectl.get, ("-n", self.released.namespace)
        volumes = get("deployment", "irsa-webhook", *where)["spec"]["template"]["spec"]["volumes"]
        (name,) = (volume["secret"]["secretName"] for volume in volumes if volume["name"] == "tls")
        found = get("secrets", f"--field-selector=metadata.name={name}", *where)["items"]
        data = found[0].get("data", {}) if found else {}
        if name != self.served and data.get("tls.crt"):
            self._replace(name, {key: base64.b64decode(data[key]) for key in ("tls.crt", "tls.key")})

    def _replace(self, name: str, files: Mapping[str, bytes]) -> None:
        before, self._pod = self._pod, ExitStack()
        new = self._pod.enter_context(self._replica(files))
        eventually(new.is_ready, seconds=30)
        # Connections that are open stay with the old one, until it sends them away.
        self.service.replicas = [new]
        before.close()
        self.served = name

    @contextmanager
    def _replica(self, files: Mapping[str, bytes]) -> Iterator[Replica]:
        mounted = Path(tempfile.mkdtemp(dir=self.folder))
        for file, content in files.items():
            mounted.joinpath(file).write_bytes(content)
        tls = ["--tls-cert", str(mounted / "tls.crt"), "--tls-key", str(mounted / "tls.key")]
        where = ["--host", HOST, "--port", "0", "--metrics-port", "0", "--drain-seconds", str(DRAIN_SECONDS)]
        with irsa("webhook", *where, *tls, "--kubeconfig", str(self.released.kubectl.kubeconfig)) as process:
            reviews, metrics = (process.wait_for(event)["port"] for event in ("listening", "metrics_listening"))
            yield Replica(process, HOST, reviews, metrics)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        def keep() -> None:
            while not self._stopped.wait(LOOK_SECONDS):
                self.look()

        thread = threading.Thread(target=keep)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
            self._pod.close()


@dataclass
class Creations:
    """Pods created one after the other, in a namespace in which every pod must be asked about."""

    api: Api
    namespace: str
    made: int = 0
    lost: list[bytes] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def create(self) -> None:
        path, body = f"/api/v1/namespaces/{self.namespace}", pod("app", service_account="shop")
        with closing(self.api.connection()) as connection:
            while not self._stopped.wait(0.01):
                answer = self.api.ask(connection, "POST", f"{path}/pods?dryRun=All", body)
                self.made += 1
                if not answer.is_success or not is_patched(answer.body):
                    self.lost.append(answer.body)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        thread = threading.Thread(target=self.create)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()


@dataclass
class Installation:
    """The chart's copy, and the controller that runs with what it has installed."""

    released: Release
    chart: Path
    folder: Path
    values: Mapping[str, Any] = field(default_factory=lambda: VALUES)
    controller: ExitStack = field(default_factory=ExitStack)

    def helm(self, verb: str, certificates: Mapping[str, Any] | None = None) -> Process:
        """Install or upgrade with *certificates* and the values before; return the controller of these settings."""
        self.values = {**self.values, "certificates": dict(certificates or {})}
        self.released.helm(verb, "irsa", str(self.chart), values=self.values)
        # It hands over as its Deployment has it: the one before ends when the next one is there.
        before, self.controller = self.controller, ExitStack()
        where = ["--namespace", self.released.namespace]
        process = self.controller.enter_context(running(self.released, "controller", self.folder, *where))
        before.close()
        process.wait_for("leading")
        return process

    def trusted(self) -> set[tuple[str, ...]]:
        """Return whom the hooks trust: the names of the CAs, of all hooks alike one tuple."""
        bundles = (
            base64.b64decode(hook["clientConfig"].get("caBundle", "")) for hook in self.released.hooks()["webhooks"]
        )
        return {tuple(sorted(map(name_of, parse_certificates(bundle)))) for bundle in bundles}


def name_of(certificate: Any) -> str:
    """Return "ours" for a CA of the controller, "given" for another."""
    return "ours" if "irsa webhook CA" in certificate.subject.rfc4514_string() else "given"


@pytest.fixture
def strict(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl, STRICT_LABEL) as name:
        api = Api.of(kubectl.kubeconfig)
        with closing(api.connection()) as connection:
            api.send(connection, "POST", f"/api/v1/namespaces/{name}/serviceaccounts", service_account("shop"))
        yield name


@pytest.fixture
def service() -> Iterator[Balancer]:
    """The Service, in front of no pod yet."""
    with in_a_thread(Balancer([], host=HOST).serving()) as made:
        yield made


@pytest.fixture
def installation(kubectl: Kubectl, strict: str, service: Balancer, tmp_path: Path) -> Iterator[Installation]:
    assert strict, "made before there are hooks"
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    hook = chart / "templates/_hook.tpl"
    to = "service: {name: irsa-webhook, namespace: {{ .context.Release.Namespace }}, path: {{ .path }}, port: 443}"
    assert to in hook.read_text()
    hook.write_text(hook.read_text().replace(to, f"url: https://{HOST}:{service.port}{{{{ .path }}}}"))
    with release(kubectl) as released:
        made = Installation(released, chart, tmp_path)
        try:
            yield made
        finally:
            made.controller.close()


def give(released: Release, folder: Path) -> Certificate:
    """Make the Secret of somebody who has a CA, and return what it holds."""
    folder.mkdir()
    made = Certificate(HOST, folder)
    files = zip(("tls.crt", "tls.key"), made.files, strict=True)
    keys = [f"--from-file={key}={file}" for key, file in files]
    released.kubectl("create", "secret", "generic", GIVEN, *keys, "-n", released.namespace)
    return made


def is_asked(api: Api, namespace: str) -> bool:
    with closing(api.connection()) as connection:
        body = pod("app", service_account="shop")
        answer = api.ask(connection, "POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", body)
    return answer.is_success and is_patched(answer.body)


def test_no_review_is_lost_from_controller_to_given_and_back(
    kubectl: Kubectl, installation: Installation, strict: str, service: Balancer, tmp_path: Path
) -> None:
    api = Api.of(kubectl.kubeconfig)
    installation.helm("install")
    rollout = Rollout(installation.released, tmp_path, service)
    creations = Creations(api, strict)
    ca = {"caBundle": give(installation.released, tmp_path / "given").ca_bundle}
    with rollout.going_on():
        eventually(lambda: is_asked(api, strict), seconds=BOUND_SECONDS)
        with creations.going_on():
            installation.helm("upgrade", {"given": ca})
            eventually(lambda: installation.trusted() == {("given", "ours")}, pause=LOOK_SECONDS)
            time.sleep(SETTLE_SECONDS)  # the README's minute
            installation.helm("upgrade", {"mode": "given", "given": {**ca, "secretName": GIVEN}})
            eventually(lambda: rollout.served == GIVEN, seconds=BOUND_SECONDS)
            eventually(lambda: installation.trusted() == {("given",)}, seconds=BOUND_SECONDS, pause=LOOK_SECONDS)

            installation.helm("upgrade")
            eventually(lambda: rollout.served == "irsa-webhook-tls", seconds=BOUND_SECONDS)
            eventually(lambda: installation.trusted() == {("ours",)}, seconds=BOUND_SECONDS, pause=LOOK_SECONDS)

    assert creations.made > 100
    assert creations.lost == []

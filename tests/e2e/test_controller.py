"""`irsa controller` as a process, against a real kube-apiserver."""

import asyncio
import base64
import http.client
import json
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from app.cluster.client import KubernetesApi
from app.cluster.configuration import from_kubeconfig
from app.errors import ClusterError
from app.x509 import has_signed
from tests.app.cluster.running import running
from tests.builders import ENV, ROLE_ARN
from tests.e2e.installing import HOOKS, NAME, Release, eventually, release
from tests.e2e.kubectl import Kubectl
from tests.e2e.objects import pod
from tests.e2e.registering import PODS, address_as_the_apiserver_sees_us
from tests.processes import Process, irsa

pytestmark = pytest.mark.cluster

CA, TLS, LEASE = "irsa-webhook-ca", "irsa-webhook-tls", "irsa-controller"
LOCAL = ["--host", "127.0.0.1", "--metrics-port", "0"]


@dataclass(frozen=True)
class Hooked:
    """The objects of a controller in a namespace of this test's own, and a webhook that is reached by a URL."""

    kubectl: Kubectl
    namespace: str
    host: str
    port: int

    def create(self) -> None:
        where = {"namespace": self.namespace}
        self.kubectl.create(
            *({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name} | where} for name in (CA, TLS)),
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE} | where},
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "app", "annotations": {"eks.amazonaws.com/role-arn": ROLE_ARN}} | where,
            },
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": self.namespace},
                "webhooks": [self._webhook("pods.irsa.test", "/mutate"), self._webhook("again.irsa.test", "/mutate")],
            },
        )

    def _webhook(self, name: str, path: str) -> dict[str, Any]:
        return {
            "name": name,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "rules": list(PODS),
            "clientConfig": {"url": f"https://{self.host}:{self.port}{path}"},
        }

    def controller(self, *arguments: str) -> list[str]:
        objects = ["--namespace", self.namespace, "--webhook-configuration", self.namespace]
        client = ["--kubeconfig", str(self.kubectl.kubeconfig), "--certificate-names", self.host]
        return ["controller", *LOCAL, *objects, *client, *arguments]

    def secret(self, name: str) -> dict[str, bytes]:
        data = self.kubectl.get("secret", name, "-n", self.namespace).get("data", {})
        return {key: base64.b64decode(value) for key, value in data.items()}

    def bundles(self) -> list[str]:
        webhooks = self.kubectl.get(HOOKS, self.namespace)["webhooks"]
        return [webhook["clientConfig"].get("caBundle", "") for webhook in webhooks]

    def holder(self) -> str:
        spec = self.kubectl.get("lease", LEASE, "-n", self.namespace).get("spec", {})
        return str(spec.get("holderIdentity", ""))


@pytest.fixture
def hooked(kubectl: Kubectl, namespace: str) -> Iterator[Hooked]:
    host = address_as_the_apiserver_sees_us(kubectl)
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    made = Hooked(kubectl, namespace, host, port)
    made.create()
    yield made
    kubectl("delete", HOOKS, namespace)


def new_pod(hooked: Hooked) -> dict[str, Any]:
    return pod(f"app-{secrets.token_hex(6)}", namespace=hooked.namespace)


async def mount(api: KubernetesApi, hooked: Hooked, folder: Path) -> None:
    """Do what the kubelet does with the mounted Secret, without its minute."""
    path, version = f"/api/v1/namespaces/{hooked.namespace}/secrets/{TLS}", ""
    while True:
        secret = json.loads(await api.get(path))
        if secret["metadata"]["resourceVersion"] != version and secret.get("data"):
            version = secret["metadata"]["resourceVersion"]
            data = folder / f"..{version}"
            data.mkdir()
            for name, value in secret["data"].items():
                (data / name).write_bytes(base64.b64decode(value))
            link = folder / "..new"
            link.symlink_to(data.name)
            link.replace(folder / "..data")
        await asyncio.sleep(0.1)


@asynccontextmanager
async def webhook(hooked: Hooked, folder: Path) -> AsyncIterator[KubernetesApi]:
    """Run the webhook with what the Secret holds, mounted in *folder* as a kubelet would."""
    files = ["--tls-cert", str(folder / "..data/tls.crt"), "--tls-key", str(folder / "..data/tls.key")]
    where = ["--host", hooked.host, "--port", str(hooked.port), "--metrics-port", "0", "--wait-for-certificate"]
    arguments = ["webhook", *where, *files, "--kubeconfig", str(hooked.kubectl.kubeconfig)]
    client = KubernetesApi(from_kubeconfig(hooked.kubectl.kubeconfig))
    with irsa(*arguments) as process:
        async with client as api, running(mount(api, hooked, folder)):
            await asyncio.to_thread(process.wait_for, "listening")
            await asyncio.to_thread(process.wait_for, "service_accounts_listed")
            yield api


@pytest.mark.anyio
async def test_pod_is_patched_by_a_webhook_that_serves_what_the_controller_made(hooked: Hooked, tmp_path: Path) -> None:
    with irsa(*hooked.controller()):
        async with webhook(hooked, tmp_path) as api:
            made = await api.create(f"/api/v1/namespaces/{hooked.namespace}/pods", new_pod(hooked))

    assert made.document["spec"]["containers"][0]["env"] == ENV


def exchanges(process: Process) -> int:
    """How many CAs were forgotten, which ends an exchange."""
    return process.log.count('"event":"previous_authority_forgotten"')


async def create_pods(api: KubernetesApi, hooked: Hooked, *, until: Callable[[], bool]) -> tuple[int, list[str]]:
    """Create pods one after the other. Return how many there are, and what was refused or came back without a role."""
    created, lost = 0, []
    while not until():
        try:
            made = await api.create(f"/api/v1/namespaces/{hooked.namespace}/pods", new_pod(hooked))
        except ClusterError as error:
            lost.append(str(error))
        else:
            created += 1
            if made.document["spec"]["containers"][0].get("env") != ENV:
                lost.append(made.document["metadata"]["name"])
    return created, lost


async def exchange(api: KubernetesApi, hooked: Hooked, controller: Process) -> None:
    """Do what the README says, and wait until the CA before is forgotten."""
    before = exchanges(controller)
    path = f"/api/v1/namespaces/{hooked.namespace}/secrets/{CA}"
    without_key = {"data": {"ca.key": None}}
    await api.patch(path, without_key, patch_type="application/merge-patch+json", field_manager="irsa-test")
    while exchanges(controller) == before:  # noqa: ASYNC110 - another process forgets it
        await asyncio.sleep(0.1)


@pytest.mark.anyio
async def test_no_review_is_lost_while_cas_are_exchanged_under_load(hooked: Hooked, tmp_path: Path) -> None:
    # Each far longer than it takes: our processes share two cores with the load, and all of them stall at times.
    waits = ["--bundle-settle-seconds", "4", "--certificate-reload-seconds", "6"]
    with irsa(*hooked.controller(*waits)) as controller:
        async with webhook(hooked, tmp_path) as api:
            done = asyncio.Event()
            creating = [asyncio.create_task(create_pods(api, hooked, until=done.is_set)) for _ in range(4)]
            try:
                async with asyncio.timeout(120):
                    await exchange(api, hooked, controller)
                    await exchange(api, hooked, controller)
            finally:
                done.set()
                everything = await asyncio.gather(*creating)

    assert exchanges(controller) == 2, controller.log
    assert [lost for _, lost in everything] == [[]] * 4
    assert sum(created for created, _ in everything) > 100


def test_controller_that_is_killed_is_followed_by_the_one_that_waits(hooked: Hooked) -> None:
    arguments = hooked.controller("--lease-seconds", "3", "--bundle-settle-seconds", "3")
    with ExitStack() as stack:
        first = stack.enter_context(irsa(*arguments))
        identity = first.wait_for("leading")["identity"]
        first.wait_for("certificate_issued")
        second = stack.enter_context(irsa(*arguments))
        second.wait_for("metrics_listening")
        assert hooked.holder() == identity

        first.stop(signal.SIGKILL)
        assert second.wait_for("leading")["identity"] == hooked.holder() != identity

        good = hooked.bundles()
        assert "authority_made" not in second.log
        hooked.kubectl(
            "patch", HOOKS, hooked.namespace, "--type", "json", "-p",
            '[{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}]',
        )  # fmt: skip
        second.wait_for("bundles_patched")
        assert hooked.bundles() == good


def test_controller_that_is_told_to_stop_lets_the_other_lead_at_once(hooked: Hooked) -> None:
    arguments = hooked.controller("--no-certificates")
    with irsa(*arguments) as first:
        first.wait_for("leading")
        with irsa(*arguments) as second:
            second.wait_for("metrics_listening")
            assert first.stop() == 0
            assert hooked.holder() == ""
            second.wait_for("leading")

    assert hooked.secret(CA) == hooked.secret(TLS) == {}
    assert hooked.bundles() == ["", ""]


def get(process: Process, path: str) -> tuple[int, str]:
    port = process.wait_for("metrics_listening")["port"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_controller_says_how_it_is_and_never_its_keys(hooked: Hooked) -> None:
    with irsa(*hooked.controller("--log-level", "debug")) as process:
        process.wait_for("certificate_issued")
        assert get(process, "/readyz") == (200, "ok\n")
        assert get(process, "/healthz") == (200, "ok\n")
        metrics = get(process, "/metrics")[1]
        log = process.log

    assert "irsa_controller_leading 1.0" in metrics
    assert 'irsa_controller_errors_total{what="certificates"} 0.0' in metrics
    ca = x509.load_pem_x509_certificate(hooked.secret(CA)["ca.crt"])
    series = 'irsa_controller_certificate_expiration_timestamp_seconds{certificate="ca"}'
    value = next(line.removeprefix(series) for line in metrics.splitlines() if line.startswith(series))
    assert float(value) == ca.not_valid_after_utc.timestamp()
    keys = hooked.secret(CA)["ca.key"] + hooked.secret(TLS)["tls.key"]
    secret_lines = [line for line in keys.decode().splitlines() if "PRIVATE KEY" not in line]
    assert len(secret_lines) > 4
    assert [line for line in secret_lines if line in log + metrics] == []


def test_missing_objects_are_named_and_waited_for(hooked: Hooked) -> None:
    hooked.kubectl("delete", "secret", CA, "-n", hooked.namespace)
    with irsa(*hooked.controller()) as process:
        line = process.wait_for("certificates_interrupted")
        assert CA in line["problem"]
        assert line["what_to_do"].startswith("install the chart or manifests anew")
        metadata = {"name": CA, "namespace": hooked.namespace}
        hooked.kubectl.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        process.wait_for("certificate_issued")


@contextmanager
def installed(kubectl: Kubectl, folder: Path) -> Iterator[tuple[Release, Path]]:
    """The chart without its pods, and a kubeconfig of its controller's ServiceAccount."""
    with release(kubectl) as made:
        made.install()
        token = kubectl("create", "token", LEASE, "--namespace", made.namespace).stdout.strip()
        content = json.loads(kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout)
        content["users"][0]["user"] = {"token": token}
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(content))
        yield made, kubeconfig


def test_rights_of_the_chart_are_enough_and_an_upgrade_leaves_what_was_made(kubectl: Kubectl, tmp_path: Path) -> None:
    with installed(kubectl, tmp_path) as (made, kubeconfig):
        arguments = ["controller", *LOCAL, "--namespace", made.namespace, "--kubeconfig", str(kubeconfig)]
        with irsa(*arguments, "--bundle-settle-seconds", "6") as process:
            process.wait_for("certificate_issued")

            def bundles() -> list[str]:
                return [hook["clientConfig"].get("caBundle", "") for hook in made.hooks()["webhooks"]]

            ca = base64.b64decode(kubectl.get("secret", CA, "-n", made.namespace)["data"]["ca.crt"])
            before = kubectl.get("secret", TLS, "-n", made.namespace)
            serving = x509.load_pem_x509_certificate(base64.b64decode(before["data"]["tls.crt"]))
            assert has_signed(x509.load_pem_x509_certificate(ca), serving)
            assert {base64.b64decode(bundle) for bundle in bundles()} == {ca}
            managers = {
                field["manager"]
                for field in kubectl.get(HOOKS, NAME, "--show-managed-fields")["metadata"]["managedFields"]
                if "f:caBundle" in json.dumps(field)
            }
            assert managers == {"irsa-controller"}

            good = bundles()
            made.upgrade()
            assert kubectl.get("secret", TLS, "-n", made.namespace)["data"] == before["data"]

            def is_as_before() -> bool:
                return bundles() == good

            eventually(is_as_before)
            assert "certificates_interrupted" not in process.log, process.log

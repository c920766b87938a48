"""Our programs with the settings, rights and objects that the chart gives them, on a real API server."""

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.builders import ENV, ROLE_ARN
from tests.e2e.installing import NO_PODS, Release, eventually, namespace, release, sent_to
from tests.e2e.kubectl import Kubectl
from tests.e2e.objects import pod
from tests.processes import Process, irsa

pytestmark = pytest.mark.cluster

HOST = "127.0.0.1"
STRICT = {"irsa/require-identity": "true"}


@pytest.fixture(scope="module")
def lenient(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl) as name:
        add_shop(kubectl, name)
        yield name


@pytest.fixture(scope="module")
def strict(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl, STRICT) as name:
        add_shop(kubectl, name)
        yield name


def add_shop(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "serviceaccount", "shop", "-n", namespace)
    kubectl("annotate", "serviceaccount", "shop", f"eks.amazonaws.com/role-arn={ROLE_ARN}", "-n", namespace)


@pytest.fixture(scope="module")
def released(kubectl: Kubectl, lenient: str, strict: str) -> Iterator[Release]:
    assert lenient != strict, "made before there are hooks that would wait for a Service"
    with release(kubectl) as made:
        made.install()
        yield made


@contextmanager
def running(released: Release, component: str, folder: Path, *flags: str) -> Iterator[Process]:
    """Run a program as its pod would: with the installed settings, and the token of its own ServiceAccount."""
    kubectl = released.kubectl
    settings = kubectl.get("configmap", "irsa-settings", "-n", released.namespace)["data"]["settings.yaml"]
    config, kubeconfig = folder / "settings.yaml", folder / "kubeconfig"
    config.write_text(settings)
    token = kubectl("create", "token", f"irsa-{component}", "-n", released.namespace).stdout.strip()
    content = json.loads(kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout)
    content["users"][0]["user"] = {"token": token}
    kubeconfig.write_text(json.dumps(content))
    where = ["--kubeconfig", str(kubeconfig), "--host", HOST, "--metrics-port", "0"]
    with irsa("--config", str(config), component, *where, *flags) as process:
        yield process


def refusals(process: Process) -> list[str]:
    """Return the lines in which the API server said no."""
    return [line for line in process.log.splitlines() if "got 403" in line]


def written(released: Release) -> Mapping[str, Any]:
    """Return what the controller has to write before a webhook can serve."""
    secret = released.kubectl.get("secret", "irsa-webhook-tls", "-n", released.namespace)
    bundles = [hook["clientConfig"].get("caBundle", "") for hook in released.hooks()["webhooks"]]
    return {"certificate": (secret.get("data") or {}).get("tls.crt", ""), "bundles": bundles}


def test_controller_fills_what_the_chart_made_empty(released: Release, tmp_path: Path) -> None:
    def is_filled() -> bool:
        now = written(released)
        return bool(now["certificate"]) and all(now["bundles"])

    with running(released, "controller", tmp_path, "--namespace", released.namespace) as process:
        eventually(is_filled)

        assert refusals(process) == []

    now = written(released)
    assert len(now["bundles"]) == 4
    assert b"BEGIN CERTIFICATE" in base64.b64decode(now["certificate"])
    released.upgrade()
    assert written(released) == now


def files_of(released: Release, folder: Path) -> list[str]:
    """Write the files that a webhook's pod has of the Secret, and return the flags that name them."""
    data = released.kubectl.get("secret", "irsa-webhook-tls", "-n", released.namespace)["data"]
    for name in ("tls.crt", "tls.key"):
        folder.joinpath(name).write_bytes(base64.b64decode(data[name]))
    return ["--tls-cert", str(folder / "tls.crt"), "--tls-key", str(folder / "tls.key")]


def status(port: int, path: str) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def serving(released: Release, folder: Path) -> Iterator[Process]:
    """Have the controller make a certificate for this machine too, and run a webhook that the API server asks."""
    released.upgrade({**NO_PODS, "controller": {"replicas": 0, "settings": {"certificate-names": [HOST]}}})
    with running(released, "controller", folder, "--namespace", released.namespace):
        eventually(lambda: all(written(released).values()) and is_for_this_machine(released))
    bundle = written(released)["bundles"][0]
    with running(released, "webhook", folder, "--port", "0", *files_of(released, folder)) as process:
        url = f"https://{HOST}:{process.wait_for('listening')['port']}"
        metrics_port = process.wait_for("metrics_listening")["port"]
        eventually(lambda: status(metrics_port, "/readyz") == HTTPStatus.OK)
        with sent_to(released, url, bundle):
            yield process


def is_for_this_machine(released: Release) -> bool:
    certificate = x509.load_pem_x509_certificate(base64.b64decode(written(released)["certificate"]))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return ip_address(HOST) in names.get_values_for_type(x509.IPAddress)


def test_pods_get_their_role_by_what_the_chart_installs(
    kubectl: Kubectl, released: Release, lenient: str, strict: str, tmp_path: Path
) -> None:
    def dry_run(namespace: str, service_account: str) -> Any:
        flags = ["--dry-run=server", "-o", "json", "-f", "-"]
        made = pod(service_account, namespace=namespace, service_account=service_account)
        return json.loads(kubectl("create", *flags, manifests=[made]).stdout)

    with serving(released, tmp_path) as process:
        # The first may come before the API server has read that the hooks are elsewhere now.
        eventually(lambda: dry_run(lenient, "shop")["spec"]["containers"][0].get("env") == ENV)
        assert dry_run(strict, "shop")["spec"]["containers"][0]["env"] == ENV
        assert "env" not in dry_run(lenient, "app")["spec"]["containers"][0]
        with pytest.raises(AssertionError, match=r'"require\.webhook\.irsa" denied the request'):
            dry_run(strict, "app")
        process.wait_for("config_map_listed")
        assert refusals(process) == []

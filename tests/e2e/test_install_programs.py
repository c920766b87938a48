"""Our programs with the settings, rights and objects that the chart gives them, on a real API server."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.e2e.installing import Release, eventually, release
from tests.e2e.kubectl import Kubectl
from tests.processes import Process, irsa

pytestmark = pytest.mark.cluster

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def released(kubectl: Kubectl) -> Iterator[Release]:
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
    return [line for line in process.log.splitlines() if "403" in line]


def test_webhook_needs_no_other_rights(released: Release, tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert(HOST)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    files = ["--port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)]

    with running(released, "webhook", tmp_path, *files) as process:
        process.wait_for("listening")
        process.wait_for("service_accounts_listed")

        assert refusals(process) == []


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

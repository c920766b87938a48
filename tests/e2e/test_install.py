"""helm install, upgrade and uninstall, and kubectl apply -k, on a real API server."""

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import trustme

from tests.e2e.installing import HOOKS, NAME, NO_PODS, Release, namespace, release
from tests.e2e.kubectl import Kubectl
from tests.manifests.chart import BASE, NAMESPACE, Manifest, documents, render
from tests.manifests.test_chart import COMBINATIONS

pytestmark = pytest.mark.cluster

OURS = f"{HOOKS},validatingadmissionpolicy,validatingadmissionpolicybinding,clusterrole,clusterrolebinding"
"""What belongs to no namespace."""

NOT_BUILT_IN = ("cert-manager.io/", "monitoring.coreos.com/")
WARN_RESTRICTED = {"pod-security.kubernetes.io/warn": "restricted"}
SECRETS = ("irsa-webhook-ca", "irsa-webhook-tls")


@pytest.fixture
def released(kubectl: Kubectl) -> Iterator[Release]:
    with release(kubectl) as made:
        yield made


def ours(kubectl: Kubectl) -> set[str]:
    found = kubectl.get(OURS, "--selector=app.kubernetes.io/name=irsa")["items"]
    return {f"{one['kind']}/{one['metadata']['name']}" for one in found}


def patch(released: Release, kind: str, name: str, document: Any, *flags: str) -> None:
    where = ["--namespace", released.namespace, *released.as_service_account("irsa-controller")]
    released.kubectl("patch", kind, name, "--patch", json.dumps(document), *where, *flags)


def work_as_the_controller(released: Release) -> Mapping[str, Any]:
    """Write what the controller writes, with its rights, and return what is there then."""
    bundle = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()
    for name in SECRETS:
        patch(released, "secret", name, {"data": {"tls.crt": "Y2VydA==", "tls.key": "a2V5"}})
    patch(
        released,
        "lease",
        "irsa-controller",
        {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}},
        "--type=merge",
    )
    paths = [f"/webhooks/{index}/clientConfig/caBundle" for index in range(len(released.hooks()["webhooks"]))]
    patch(released, HOOKS, NAME, [{"op": "add", "path": path, "value": bundle} for path in paths], "--type=json")
    written = written_by_the_controller(released)
    assert set(written["bundles"]) == {bundle}
    return written


def written_by_the_controller(released: Release) -> Mapping[str, Any]:
    get = released.kubectl.get
    return {
        "bundles": [hook["clientConfig"].get("caBundle") for hook in released.hooks()["webhooks"]],
        "secrets": {name: get("secret", name, "-n", released.namespace).get("data") for name in SECRETS},
        "lease": get("lease", "irsa-controller", "-n", released.namespace)["spec"],
    }


@pytest.mark.parametrize("values", COMBINATIONS)
def test_api_server_takes_every_object_without_a_warning(kubectl: Kubectl, values: Mapping[str, Any]) -> None:
    with namespace(kubectl, WARN_RESTRICTED) as name:
        manifests = [one for one in render(values, namespace=name) if not one["apiVersion"].startswith(NOT_BUILT_IN)]
        # A ConfigMap of another namespace is read there.
        manifests = [one for one in manifests if one["metadata"].get("namespace", name) == name]
        done = kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", manifests=manifests)

    warnings = done.stderr.splitlines()
    if values.get("hostNetwork"):
        assert [line for line in warnings if "hostNetwork=true" in line] == warnings
    else:
        assert warnings == []


def test_upgrade_and_rollback_keep_what_the_controller_wrote(released: Release) -> None:
    released.install()
    written = work_as_the_controller(released)

    released.upgrade(
        {**NO_PODS, "port": 9443, "commonLabels": {"a": "b"}, "webhook": {"replicas": 0, "timeoutSeconds": 3}}
    )

    hooks = released.hooks()
    assert (hooks["metadata"]["labels"]["a"], hooks["webhooks"][0]["timeoutSeconds"]) == ("b", 3)
    assert written_by_the_controller(released) == written

    released.helm("rollback", "irsa", "1")

    assert released.hooks()["webhooks"][0]["timeoutSeconds"] == 5
    assert written_by_the_controller(released) == written


def test_uninstall_leaves_nothing_behind(released: Release) -> None:
    released.install()
    assert ours(released.kubectl) >= {"MutatingWebhookConfiguration/irsa-webhook"}

    released.uninstall()

    assert ours(released.kubectl) == set()


def test_kustomize_applied_again_keeps_what_the_controller_wrote(released: Release) -> None:
    def apply() -> str:
        return released.kubectl("apply", "-f", "-", manifests=kustomized(released)).stderr

    try:
        assert apply() == ""
        written = work_as_the_controller(released)
        assert apply() == ""
        assert written_by_the_controller(released) == written
    finally:
        released.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", manifests=kustomized(released))


def kustomized(released: Release) -> list[Manifest]:
    """Return what `kubectl apply -k manifests/base` applies, in the test's own namespace and without pods."""
    command = ["kubectl", "kustomize", str(BASE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - our own words
    manifests = documents(done.stdout.replace(NAMESPACE, released.namespace))
    for one in manifests:
        if one["kind"] == "Deployment":
            one["spec"]["replicas"] = 0
    return [one for one in manifests if one["kind"] != "Namespace"]

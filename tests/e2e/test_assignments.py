"""The operator's ConfigMaps, and namespaces that want an identity for each pod, with a real kube-apiserver."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders import ENV, MOUNT, ROLE_ARN
from tests.e2e.kubectl import Kubectl
from tests.e2e.objects import pod
from tests.e2e.registering import registered
from tests.processes import Process

pytestmark = pytest.mark.cluster

IDENTITIES = "irsa-identities"
MAPPINGS = "irsa-mappings"
CUT_OFF = "config:1:2: cannot be read as YAML: expected the node content, but found '<stream end>'"


def config_map(namespace: str, name: str, config: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config": json.dumps(config)}}


def service_account(namespace: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    name = f"irsa-test-{secrets.token_hex(4)}"
    kubectl.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        *(service_account(name, account) for account in ("team-a", "endpoint", "bare")),
        config_map(name, MAPPINGS, {"irsa-test-*/team-?": {"RoleARN": "shop"}, f"{name}/team": None}),
        config_map(name, IDENTITIES, {"identities": [{"namespace": name, "serviceAccount": "endpoint"}]}),
    )
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def webhook(kubectl: Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    where = ["--mappings", f"{namespace}/{MAPPINGS}", "--container-credentials", f"{namespace}/{IDENTITIES}"]
    with registered(
        kubectl,
        namespace,
        tmp_path_factory.mktemp("tls"),
        path="/mutate-required",
        flags=[*where, "--aws-account", "111122223333"],
    ) as process:
        process.wait_for("assignments_read", what="mappings", entries=1)
        process.wait_for("assignments_read", what="container_credentials", entries=1)
        yield process


def made(kubectl: Kubectl, namespace: str, service_account: str) -> Any:
    """Return a new pod as the API server has stored it."""
    name = f"{service_account}-{secrets.token_hex(4)}"
    kubectl.create(pod(name, namespace=namespace, service_account=service_account))
    return kubectl.get("pod", name, "-n", namespace)


@pytest.mark.usefixtures("webhook")
def test_mapped_service_account_gets_its_role(kubectl: Kubectl, namespace: str) -> None:
    container = made(kubectl, namespace, "team-a")["spec"]["containers"][0]

    assert ROLE_ARN == "arn:aws:iam::111122223333:role/shop"
    assert (container["env"], container["volumeMounts"]) == (ENV, [MOUNT])


@pytest.mark.usefixtures("webhook")
def test_container_credentials_come_with_their_label_and_audience(kubectl: Kubectl, namespace: str) -> None:
    pod = made(kubectl, namespace, "endpoint")

    token = pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    assert pod["metadata"]["labels"] == {"eks.amazonaws.com/pod-identity": "enabled"}
    assert token["audience"] == "pods.eks.amazonaws.com"
    assert 79_200 <= token["expirationSeconds"] <= 86_400


@pytest.mark.usefixtures("webhook")
def test_pod_without_an_identity_is_refused_with_the_fix(kubectl: Kubectl, namespace: str) -> None:
    with pytest.raises(AssertionError) as refused:
        made(kubectl, namespace, "bare")

    assert (
        f'denied the request: annotate ServiceAccount "{namespace}/bare" with eks.amazonaws.com/role-arn:'
        " this pod must have an AWS identity and would get none"
    ) in str(refused.value)


def test_bad_entry_is_logged(webhook: Process, namespace: str) -> None:
    webhook.wait_for("assignment_unusable", problem=f'write an object with RoleARN for "{namespace}/team", got nothing')


def test_bad_edit_changes_nothing_and_deletion_takes_the_roles_away(
    webhook: Process, kubectl: Kubectl, namespace: str
) -> None:
    bad = json.dumps({"data": {"config": "{"}})
    kubectl("patch", "configmap", MAPPINGS, "--namespace", namespace, "--type=merge", "--patch", bad)
    webhook.wait_for("assignment_unusable", problem=f"write JSON or YAML under config: {CUT_OFF}")

    assert made(kubectl, namespace, "team-a")["spec"]["containers"][0]["env"] == ENV

    kubectl("delete", "configmap", MAPPINGS, "--namespace", namespace)
    webhook.wait_for("assignments_read", what="mappings", entries=0)

    with pytest.raises(AssertionError, match="this pod must have an AWS identity"):
        made(kubectl, namespace, "team-a")

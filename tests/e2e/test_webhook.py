"""Our webhook asked by a real kube-apiserver."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders import ENV, MOUNT, ROLE_ARN, VOLUME
from tests.e2e.kubectl import Kubectl
from tests.e2e.objects import pod
from tests.e2e.registering import registered

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


def new_pod(namespace: str, service_account: str, **container: Any) -> dict[str, Any]:
    name = f"{service_account}-{secrets.token_hex(4)}"
    return pod(name, namespace=namespace, service_account=service_account, container=container)


@pytest.fixture(scope="module", params=["v1", "v1beta1"])
def _registered(
    request: pytest.FixtureRequest, kubectl: Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    with registered(kubectl, namespace, tmp_path_factory.mktemp("tls"), version=request.param):
        yield


@pytest.mark.usefixtures("_registered")
def test_pod_of_an_annotated_service_account_comes_back_with_its_identity(kubectl: Kubectl, namespace: str) -> None:
    before = new_pod(namespace, "app", env=[{"name": "A", "value": "1"}])
    kubectl.create(before)

    spec = kubectl.get("pod", before["metadata"]["name"], "-n", namespace)["spec"]

    # The API server fills in the mode of a projected volume.
    assert spec["volumes"] == [VOLUME | {"projected": VOLUME["projected"] | {"defaultMode": 420}}]  # type: ignore[operator] # a dict
    assert spec["containers"][0]["env"] == [{"name": "A", "value": "1"}, *ENV]
    assert spec["containers"][0]["volumeMounts"] == [MOUNT]


@pytest.mark.usefixtures("_registered")
def test_pod_without_a_role_comes_back_as_it_was(kubectl: Kubectl, namespace: str) -> None:
    before = new_pod(namespace, "bare")
    kubectl.create(before)

    spec = kubectl.get("pod", before["metadata"]["name"], "-n", namespace)["spec"]

    assert "volumes" not in spec
    assert "env" not in spec["containers"][0]


@pytest.mark.usefixtures("_registered")
def test_person_who_slipped_reads_the_fix_in_the_terminal(kubectl: Kubectl, namespace: str) -> None:
    done = kubectl.create(new_pod(namespace, "typo"))

    assert done.stderr == (
        'Warning: write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount:'
        f' it is ignored (ServiceAccount "{namespace}/typo")\n'
    )


@pytest.mark.usefixtures("_registered")
def test_service_account_made_a_moment_ago_is_known(kubectl: Kubectl, namespace: str) -> None:
    name = f"new-{secrets.token_hex(4)}"
    kubectl.create(service_account(namespace, name, **{"eks.amazonaws.com/role-arn": ROLE_ARN}))
    before = new_pod(namespace, name)
    kubectl.create(before)  # another process later: the watch has had its milliseconds

    spec = kubectl.get("pod", before["metadata"]["name"], "-n", namespace)["spec"]

    assert spec["containers"][0]["env"] == ENV

"""What somebody reads in the terminal who applies ServiceAccounts and workloads on a real kube-apiserver."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders import ROLE_ARN
from tests.e2e.kubectl import Kubectl
from tests.e2e.registering import registered
from tests.processes import Process

pytestmark = pytest.mark.cluster

KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "ReplicationController": "v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "PodTemplate": "v1",
}
RULES = [
    {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["serviceaccounts", *(f"{kind.lower()}s" for kind in KINDS)],
    }
    for group in ("", "apps", "batch")
]
SKIPPING = {"eks.amazonaws.com/skip-containers": "app"}
ALL_SKIPPED = (
    "Warning: leave one container at least to skip-containers and include-containers: its pods will get nothing\n"
)


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name = f"irsa-test-{secrets.token_hex(4)}"
    kubectl.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        service_account(name, "app", **{"eks.amazonaws.com/role-arn": ROLE_ARN}),
    )
    with registered(kubectl, name, tmp_path_factory.mktemp("tls"), path="/warn", rules=RULES) as process:
        yield name
    assert_nothing_failed(process)
    kubectl("delete", "namespace", name, "--wait=false")


def assert_nothing_failed(process: Process) -> None:
    assert '"review_failed"' not in process.log


def service_account(namespace: str, name: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def workload(kind: str, namespace: str, annotations: dict[str, str]) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": "x"}, "annotations": annotations},
        "spec": {
            "serviceAccountName": "app",
            "restartPolicy": "Never" if kind in {"Job", "CronJob"} else "Always",
            "containers": [{"name": "app", "image": "example.invalid/app"}],
        },
    }
    spec: dict[str, Any] = {"template": template}
    if kind not in {"Job", "CronJob"}:
        spec["selector"] = {"app": "x"} if kind == "ReplicationController" else {"matchLabels": {"app": "x"}}
    if kind in {"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"}:
        spec["replicas"] = 0
    if kind == "CronJob":
        spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": spec}}
    document = {
        "apiVersion": KINDS[kind],
        "kind": kind,
        "metadata": {"name": f"{kind.lower()}-{secrets.token_hex(4)}", "namespace": namespace},
    }
    return document | ({"template": template} if kind == "PodTemplate" else {"spec": spec})


@pytest.mark.parametrize("kind", KINDS)
def test_workload_is_warned_of_where_it_is_typed(kubectl: Kubectl, namespace: str, kind: str) -> None:
    assert kubectl.create(workload(kind, namespace, SKIPPING)).stderr == ALL_SKIPPED
    assert kubectl.create(workload(kind, namespace, {})).stderr == ""


def test_update_is_warned_of_where_it_is_about_us(kubectl: Kubectl, namespace: str) -> None:
    deployment = workload("Deployment", namespace, SKIPPING)
    kubectl.create(deployment)
    name = deployment["metadata"]["name"]

    def patched(patch: dict[str, Any], *arguments: str) -> str:
        return kubectl("patch", "deployment", name, "-n", namespace, "-p", json.dumps(patch), *arguments).stderr

    assert patched({"spec": {"replicas": 1}}) == ""
    assert patched({"metadata": {"labels": {"a": "b"}}}) == ""
    assert patched({"status": {"replicas": 0}}, "--subresource=status") == ""
    assert patched({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}) == ALL_SKIPPED


def test_service_account_is_warned_of_without_a_pod(kubectl: Kubectl, namespace: str) -> None:
    name = f"new-{secrets.token_hex(4)}"
    created = kubectl.create(service_account(namespace, name, **{"eks.amazon.com/role-arn": ROLE_ARN}))
    annotate = ("annotate", "serviceaccount", name, "-n", namespace)
    mended = kubectl(*annotate, "eks.amazon.com/role-arn-", f"eks.amazonaws.com/role-arn={ROLE_ARN}")
    other = kubectl(*annotate, "owner=team")

    assert created.stderr == (
        'Warning: write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount:'
        " it is ignored\n"
    )
    assert mended.stderr == (
        "Warning: restart this ServiceAccount's running pods, irsa drift lists them: until then they have no role\n"
    )
    assert other.stderr == ""


def test_service_account_and_workload_of_one_command_know_each_other(kubectl: Kubectl, namespace: str) -> None:
    for _ in range(10):
        name = f"new-{secrets.token_hex(4)}"
        job = workload("Job", namespace, {})
        job["spec"]["template"]["spec"]["serviceAccountName"] = name

        assert (
            kubectl.create(service_account(namespace, name, **{"eks.amazonaws.com/role-arn": ROLE_ARN}), job).stderr
            == ""
        )

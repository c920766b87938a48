"""Events, drift and access map on a real kube-apiserver; pods are made by hand: no kubelet or controller is needed."""

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.cluster.client import KubernetesApi
from app.cluster.configuration import from_kubeconfig
from app.controller.events import event, events_path, mappings_finding, series
from tests.builders import ENV, MOUNT, ROLE_ARN, VOLUME
from tests.e2e.kubectl import Kubectl
from tests.processes import Process, irsa

pytestmark = pytest.mark.cluster

ROLE_KEY = "eks.amazonaws.com/role-arn"
OTHER = "arn:aws:iam::444455556666:role/other"
HOSTILE = '=HYPERLINK("x")\x1b[31m[link=https://evil]'


def service_account(namespace: str, name: str, role: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} | ({"annotations": {ROLE_KEY: role}} if role else {})
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def pod(
    namespace: str, name: str, *, account: str, owner: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": {"pod-template-hash": "7d4b"}}
    if owner is not None:
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True}
        metadata["ownerReferences"] = [reference | {key: owner["metadata"][key] for key in ("name", "uid")}]
    spec = {"serviceAccountName": account, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    container = {"name": "app", "image": "example.invalid/app"} | fields.pop("container", {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {**spec, "containers": [container], **fields}}  # fmt: skip


def injected(role: str = ROLE_ARN) -> dict[str, Any]:
    env = [one | ({"value": role} if one["name"] == "AWS_ROLE_ARN" else {}) for one in ENV]
    return {"container": {"env": env, "volumeMounts": [MOUNT]}, "volumes": [VOLUME]}


def replica_set(kubectl: Kubectl, namespace: str, name: str) -> dict[str, Any]:
    labels = {"pod-template-hash": "7d4b"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "example.invalid/app"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    kubectl.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec})
    found: dict[str, Any] = kubectl.get("replicaset", name, "-n", namespace)
    return found


@pytest.fixture
def shop(kubectl: Kubectl, namespace: str, without_controllers: None) -> Iterator[str]:
    """A namespace in which one pod of a Deployment is as it should be, one was missed, and one has an old role."""
    del without_controllers
    kubectl.create(service_account(namespace, "app", ROLE_ARN), service_account(namespace, "typo", HOSTILE))
    owner = replica_set(kubectl, namespace, "api-7d4b")
    kubectl.create(
        pod(namespace, "api-1", account="app", owner=owner, **injected()),
        pod(namespace, "api-2", account="app", owner=owner),
        pod(namespace, "api-3", account="app", owner=owner, **injected(OTHER)),
    )
    yield namespace
    kubectl("delete", "pods", "--all", "--wait=false", "--namespace", namespace)


def run(kubectl: Kubectl, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "app", *arguments, "--kubeconfig", str(kubectl.kubeconfig)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_drift_is_found_and_its_remedy_printed(kubectl: Kubectl, shop: str) -> None:
    found = run(kubectl, "drift", "-n", shop)

    remedy = f"  kubectl rollout restart deployment/api -n {shop}\n"
    assert (found.returncode, found.stderr) == (1, "")
    assert found.stdout == (
        f"{shop} Deployment/api (1 pod, role) role_arn: has {OTHER}, would get {ROLE_ARN}\n{remedy}"
        f"{shop} Deployment/api (1 pod, unpatched) role_arn: has nothing, would get {ROLE_ARN}\n{remedy}"
    )
    kubectl("delete", "pod", "api-2", "api-3", "-n", shop)
    assert run(kubectl, "drift", "-n", shop).returncode == 0


def test_access_map_is_printed_and_text_of_strangers_is_inert(kubectl: Kubectl, shop: str) -> None:
    found = run(kubectl, "access", "-n", shop, "--csv")

    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines() == [
        "role,namespace,service_account,how,pods,owners,odd",
        f'"\'=HYPERLINK(""x"")\\x1b[31m[link=https://evil]",{shop},typo,annotation,0,,"not usable, no pods"',
        f'{ROLE_ARN},{shop},app,annotation,3,Deployment/api,"1 pod drifted, 1 pod unpatched"',
        f"{OTHER},{shop},app,injected earlier,1,Deployment/api,1 pod drifted",
    ]
    table = run(kubectl, "access", "-n", shop).stdout
    assert "\x1b" not in table
    assert '=HYPERLINK("x")\\x1b[31m[link=https://evil]' in table


def test_commands_have_the_settings_of_the_installed_webhook(kubectl: Kubectl, shop: str) -> None:
    settings = {"settings.yaml": "webhook: {annotation-prefix: roles.example}"}
    metadata = {"name": "irsa-settings", "namespace": shop}
    kubectl.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": settings})

    found = run(kubectl, "access", "-n", shop, "--settings", f"{shop}/irsa-settings", "--csv")

    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines()[1:] == [
        f"{ROLE_ARN},{shop},app,injected earlier,1,Deployment/api,1 pod drifted",
        f"{OTHER},{shop},app,injected earlier,1,Deployment/api,1 pod drifted",
    ]


def controller(kubectl: Kubectl, namespace: str) -> list[str]:
    kubectl.create(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "irsa-controller", "namespace": namespace},
        }
    )
    where = ["--host", "127.0.0.1", "--metrics-port", "0", "--kubeconfig", str(kubectl.kubeconfig)]
    return ["controller", "--no-certificates", "--namespace", namespace, "--mappings", f"{namespace}/mappings", *where]


def events_of(kubectl: Kubectl, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = kubectl.get("events.events.k8s.io", "-n", namespace)["items"]
    return [item for item in items if item.get("reportingController") == "irsa/controller"]


def metrics(process: Process) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", process.wait_for("metrics_listening")["port"], timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()


def test_missed_pod_is_told_of_on_its_replica_set(kubectl: Kubectl, shop: str) -> None:
    with irsa(*controller(kubectl, shop)) as process:
        process.wait_for("event_written", reason="AdmittedUnpatched", namespace=shop)
        (found,) = events_of(kubectl, shop)
        counted = metrics(process)

    owner = kubectl.get("replicaset", "api-7d4b", "-n", shop)["metadata"]
    assert found["regarding"] == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": shop, "name": "api-7d4b", "uid": owner["uid"],
    }  # fmt: skip
    assert found["note"] == (
        f'kubectl rollout restart deployment/api -n {shop}: it runs without "{ROLE_ARN}", which ServiceAccount '
        f'"{shop}/app" asks for'
    )
    assert "AdmittedUnpatched" in kubectl("describe", "replicaset", "api-7d4b", "-n", shop).stdout
    assert 'irsa_controller_events_total{outcome="written"} 1.0' in counted


def test_pod_whose_annotation_is_bad_is_told_of_where_people_look(kubectl: Kubectl, shop: str) -> None:
    with irsa(*controller(kubectl, shop)) as process:
        process.wait_for("pods_listed")
        kubectl.create(pod(shop, "debug", account="typo"))
        process.wait_for("event_written", reason="InvalidAnnotation", namespace=shop)
    (found,) = [item for item in events_of(kubectl, shop) if item["reason"] == "InvalidAnnotation"]

    assert found["regarding"]["kind"] == "ServiceAccount"
    assert '\\x1b[31m[link=https://evil]" (ServiceAccount' in found["note"]
    assert "InvalidAnnotation" in kubectl("describe", "serviceaccount", "typo", "-n", shop).stdout


def test_bad_mappings_are_told_of_on_their_config_map(kubectl: Kubectl, shop: str) -> None:
    config = {"no-slash": {"RoleARN": ROLE_ARN}, f"{shop}/nobody": None, f"{shop}/mapped": {"RoleARN": ROLE_ARN}}
    metadata = {"name": "mappings", "namespace": shop}
    with irsa(*controller(kubectl, shop)) as process:
        process.wait_for("config_map_listed")
        kubectl.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config": json.dumps(config)}},
            service_account(shop, "mapped"),
            pod(shop, "mapped-1", account="mapped"),
        )
        process.wait_for("event_written", reason="AdmittedUnpatched", kind="ServiceAccount")
    uid = kubectl.get("configmap", "mappings", "-n", shop)["metadata"]["uid"]
    found = [item for item in events_of(kubectl, shop) if item["reason"] == "InvalidMappings"]

    assert [item["regarding"]["uid"] for item in found] == [uid, uid]
    notes = " ".join(item["note"] for item in found)
    assert "no-slash" in notes
    assert f"{shop}/nobody" in notes
    kubectl("delete", "configmap", "mappings", "-n", shop)


def test_count_of_an_event_can_rise(kubectl: Kubectl, kubeconfig: Path, namespace: str) -> None:
    """What may change of an Event once it is there is a matter of the API's own validation."""
    finding = mappings_finding(namespace, "mappings", "mend it")
    now = datetime.now(UTC)

    async def write() -> None:
        async with KubernetesApi(from_kubeconfig(kubeconfig)) as api:
            await api.create(events_path(namespace), event(finding, uid="u", now=now, instance="i"))
            path = f"{events_path(namespace)}/{finding.event_name}"
            await api.patch(path, series(1, now), patch_type="application/merge-patch+json")
            await api.patch(path, series(7, now), patch_type="application/merge-patch+json")

    asyncio.run(write())

    (found,) = events_of(kubectl, namespace)
    assert found["series"]["count"] == 7

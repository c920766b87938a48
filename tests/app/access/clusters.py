"""A cluster in memory with ServiceAccounts and pods."""

from typing import Any

from tests.app.access.running import running
from tests.app.cluster.fake_cluster import FakeCluster

ROLE_KEY = "eks.amazonaws.com/role-arn"


def put_service_account(cluster: FakeCluster, name: str, *, namespace: str = "shop", **annotations: str) -> None:
    """Keywords are annotation names with underscores."""
    named = {f"eks.amazonaws.com/{key.replace('_', '-')}": value for key, value in annotations.items()}
    cluster.put(f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}", {"metadata": {"annotations": named}})


def put_pod(
    cluster: FakeCluster, document: dict[str, Any], name: str, *, namespace: str = "shop", account: str, **metadata: Any
) -> None:
    """A pod of that ServiceAccount that nothing controls, unless *metadata* says so."""
    placed = {"namespace": namespace, "name": name, "uid": f"uid-{name}", "generateName": "", "ownerReferences": []}
    whole = running(document, **(placed | {"labels": {}} | metadata))
    whole["spec"] = {**whole["spec"], "serviceAccountName": account}
    cluster.put(f"/api/v1/namespaces/{namespace}/pods/{name}", whole)


def owned(kind: str, name: str, *, api_version: str = "apps/v1", **labels: str) -> dict[str, Any]:
    reference = {"apiVersion": api_version, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}
    return {"ownerReferences": [reference], "labels": {key.replace("_", "-"): value for key, value in labels.items()}}

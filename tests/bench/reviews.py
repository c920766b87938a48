"""The reviews that bench sends: of three sizes, for a ServiceAccount with a role and for one without. Pure.

They have what a kube-apiserver sends for a pod of a Deployment: the envelope with ``userInfo`` and ``options``, probes,
resources, ``managedFields``, the volume of the pod's own API token. Only the number of containers and of their
variables differs.
"""

import itertools
from typing import Any, Final

import msgspec

from tests import builders

WITH_ROLE: Final = ("team-00000", "service-000000")
WITHOUT_ROLE: Final = ("team-09999", "service-099999")
"""Namespace and name of the first and the last ServiceAccount of ``tests.app.cluster.fake_api``; one tenth of its
100,000 are annotated."""

ROLE_ARN: Final = "arn:aws:iam::123456789012:role/role-00000"

CONTAINERS: Final = {2: 1, 7: 3, 40: 12}
"""Size in kB (1,000 bytes) -> containers in the pod."""


def body(kilobytes: int, *, with_role: bool) -> bytes:
    """Return an AdmissionReview of *kilobytes* for a pod whose ServiceAccount has a role, or has none."""
    return body_of(kilobytes, *(WITH_ROLE if with_role else WITHOUT_ROLE))


def body_of(kilobytes: int, namespace: str, service_account: str) -> bytes:
    """Return an AdmissionReview of *kilobytes*, within the length of one variable, for a pod of *service_account*."""
    containers = [_container(number) for number in range(CONTAINERS[kilobytes])]
    review = _review(namespace, _pod(namespace, service_account, containers))
    missing = kilobytes * 1000 - len(msgspec.json.encode(review))
    for number, container in zip(itertools.count(), itertools.cycle(containers), strict=False):
        variable = {"name": f"SETTING_{number:03}", "value": "https://orders.example.com/v1"}
        missing -= len(msgspec.json.encode(variable)) + 1
        if missing < 0:
            return msgspec.json.encode(review)
        container["env"].append(variable)
    raise AssertionError("unreachable: the containers go round for ever")


def _container(number: int) -> dict[str, Any]:
    return builders.container(
        f"app-{number}",
        env=[{"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
        ports=[{"name": "http", "containerPort": 8080 + number, "protocol": "TCP"}],
        resources={"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
        volumeMounts=[
            {"name": "cache", "mountPath": "/var/cache"},
            {
                "name": "kube-api-access-x7k2p",
                "readOnly": True,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            },
        ],
        livenessProbe={"httpGet": {"path": "/healthz", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
        securityContext={"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True},
        imagePullPolicy="IfNotPresent",
    )


def _pod(namespace: str, service_account: str, containers: list[dict[str, Any]]) -> dict[str, Any]:
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    pod = builders.pod(
        *containers,
        annotations={"prometheus.io/scrape": "true"},
        serviceAccountName=service_account,
        serviceAccount=service_account,
        volumes=[
            {"name": "cache", "emptyDir": {}},
            {"name": "kube-api-access-x7k2p", "projected": {"sources": [token], "defaultMode": 420}},
        ],
        restartPolicy="Always",
        tolerations=[
            {
                "key": "node.kubernetes.io/not-ready",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
        ],
    )
    pod["metadata"] |= {
        "namespace": namespace,
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "orders-5d4f8c7b9",
                "uid": "7d1c3b9e-52a4-4a0e-9b7e-0d6f1d1a6c55",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "labels": {"app.kubernetes.io/name": "orders", "pod-template-hash": "5d4f8c7b9"},
        "managedFields": [
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "apiVersion": "v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": {}}, "f:spec": {"f:restartPolicy": {}}},
            }
        ],
    }
    return pod


def _review(namespace: str, pod: dict[str, Any]) -> dict[str, Any]:
    return builders.review(
        pod,
        namespace=namespace,
        requestKind={"group": "", "version": "v1", "kind": "Pod"},
        userInfo={"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:masters"]},
        oldObject=None,
        dryRun=False,
        options={"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    )

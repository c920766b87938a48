"""Pods as the API sends them, and what is kept of them."""

import json
from typing import Any

import msgspec

from app.access.drift import Decide
from app.access.pods import Document, Pod, running_pod
from app.cluster.objects import ServiceAccount
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Decision, Policy, Subject, decide
from app.webhook.inject import Object
from tests.builders import ENV, MOUNT, VOLUME, container, pod

OWNER_UID = "9f5ee5c7-0a6b-4d3c-8f8e-5e5a3c9d0b11"
POD_UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
CREATED = "2026-11-25T10:00:00Z"

DEPLOYMENT = {
    "generateName": "api-7d4b9c8f6d-",
    "name": "api-7d4b9c8f6d-x2x4z",
    "labels": {"app": "api", "pod-template-hash": "7d4b9c8f6d"},
    "ownerReferences": [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "api-7d4b9c8f6d",
            "uid": OWNER_UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ],
}

INJECTED = {"env": ENV, "volumeMounts": [MOUNT]}


def injected(**fields: Any) -> dict[str, Any]:
    """A pod as the webhook leaves it."""
    return pod(container(env=ENV, volumeMounts=[MOUNT]), volumes=[VOLUME], **fields)


def with_role(document: dict[str, Any], role_arn: str) -> dict[str, Any]:
    """The same pod, injected when the role was another."""
    for one in document["spec"]["containers"]:
        for variable in one.get("env", ()):
            if variable["name"] == "AWS_ROLE_ARN":
                one["env"] = [v if v is not variable else {**v, "value": role_arn} for v in one["env"]]
    return document


def running(document: dict[str, Any], *, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    """A pod of a Deployment that the API has."""
    placed = {"namespace": "shop", "uid": POD_UID, "creationTimestamp": CREATED, **DEPLOYMENT, **metadata}
    return {**document, "metadata": {**document["metadata"], **placed}, "status": {"phase": phase}}


def kept(document: dict[str, Any], **metadata: Any) -> Pod:
    """What is kept of a running pod."""
    found = running_pod(decoded(running(document, **metadata)), Vocabulary())
    assert found is not None
    return found


def decoded(document: dict[str, Any]) -> Document:
    return msgspec.json.decode(json.dumps(document).encode(), type=Document)


def deciding(service_account: ServiceAccount | None, policy: Policy | None = None) -> Decide:
    """The webhook's decision with that ServiceAccount."""

    def decided(subject: Subject, pod: Any) -> Decision:
        return decide(subject, service_account, pod=pod, policy=policy or Policy())

    return decided


def bare_document(pod: Pod) -> Object:
    return pod.document()

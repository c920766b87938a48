"""The smallest valid objects; a test overrides only what it is about."""

import json
from typing import Any

from app.cluster.objects import UNANNOTATED, ServiceAccount

ROLE_ARN = "arn:aws:iam::111122223333:role/shop"
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
MOUNT_PATH = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
TOKEN_FILE = f"{MOUNT_PATH}/token"

VOLUME = {
    "name": "aws-iam-token",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}}
        ]
    },
}
MOUNT = {"name": "aws-iam-token", "readOnly": True, "mountPath": MOUNT_PATH}
ENV = [
    {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "regional"},
    {"name": "AWS_ROLE_ARN", "value": ROLE_ARN},
    {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": TOKEN_FILE},
]


def container(name: str = "app", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "example/app"} | fields


def pod(*containers: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"generateName": "app-"}
    if annotations is not None:
        metadata["annotations"] = annotations
    containers = containers or (container(),)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"serviceAccountName": "app", "containers": list(containers)} | spec,
    }


def review(pod: Any, *, version: str = "v1", **request: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"admission.k8s.io/{version}",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "object": pod,
        }
        | request,
    }


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


def annotated(**annotations: str) -> ServiceAccount:
    """A ServiceAccount with a role; keywords are annotation names with underscores."""
    named = {"role-arn": ROLE_ARN} | {name.replace("_", "-"): value for name, value in annotations.items()}
    return ServiceAccount({f"eks.amazonaws.com/{name}": value for name, value in named.items()})


BARE = UNANNOTATED

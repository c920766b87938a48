"""Pods and ServiceAccounts of tests that make many, and what must have become of them."""

from typing import Any, Final

import msgspec

from tests.builders import ENV, MOUNT, ROLE_ARN, VOLUME
from tests.e2e import objects

ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"

STORED_VOLUME: Final = VOLUME | {"projected": VOLUME["projected"] | {"defaultMode": 420}}  # type: ignore[operator] # a dict
"""The API server fills in the mode of a projected volume."""


def service_account(name: str, *, role_arn: str | None = ROLE_ARN) -> bytes:
    annotations = {} if role_arn is None else {ROLE_ANNOTATION: role_arn}
    return msgspec.json.encode({"metadata": {"name": name, "annotations": annotations}})


def annotation(role_arn: str = ROLE_ARN) -> bytes:
    """What patches the role into a ServiceAccount."""
    return msgspec.json.encode({"metadata": {"annotations": {ROLE_ANNOTATION: role_arn}}})


def pod(name: str, *, service_account: str, owner: str = "") -> bytes:
    """Return a pod that is never scheduled. *owner* is the UID of its controller."""
    controller = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": owner, "controller": True}
    metadata = {"ownerReferences": [controller]} if owner else {}
    return msgspec.json.encode(objects.pod(name, service_account=service_account, metadata=metadata))


def is_patched(stored: bytes) -> bool:
    """Return whether a pod has its whole identity."""
    return has_identity(msgspec.json.decode(stored))


def has_identity(stored: Any) -> bool:
    (container,) = stored["spec"]["containers"]
    volumes, mounts = stored["spec"].get("volumes"), container.get("volumeMounts")
    return bool((volumes, mounts, container.get("env")) == ([STORED_VOLUME], [MOUNT], ENV))

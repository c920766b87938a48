"""A Deployment's template -> a pod, on its way through admission. Pure.

Plays the ReplicaSet controller, which submits the pod, and kube-apiserver, which asks the webhook about it before it
gives the pod its name.

Unlike theirs: nothing is defaulted (``restartPolicy``, ``terminationMessagePath`` and so on), and there are no
admission plugins, so that no volume with a token for the Kubernetes API is added. The examples want none.
"""

import base64
import binascii
import copy
import json
from typing import Any, Final

import jsonpatch
import jsonpointer

from app.errors import DemoError

Object = dict[str, Any]

REPLICA_SET_HASH: Final = "5d8c7f9b64"
"""The Deployment controller takes it from the template. Here it is only a name."""

POD: Final = {"group": "", "version": "v1", "kind": "Pod"}
PODS: Final = {"group": "", "version": "v1", "resource": "pods"}


def submitted(deployment: Object, *, replica_set_uid: str, service_account: str | None = None) -> Object:
    """Return the pod that the ReplicaSet controller submits (controller_utils.go, GetPodFromTemplate).

    Args:
        deployment: the Deployment.
        replica_set_uid: of its owner.
        service_account: instead of the template's.
    """
    template = copy.deepcopy(deployment["spec"]["template"])
    replica_set = f"{deployment['metadata']['name']}-{REPLICA_SET_HASH}"
    metadata = template.get("metadata") or {}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "generateName": f"{replica_set}-",
            "namespace": deployment["metadata"]["namespace"],
            "labels": {**(metadata.get("labels") or {}), "pod-template-hash": REPLICA_SET_HASH},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": replica_set,
                    "uid": replica_set_uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"],
    }
    if service_account is not None:
        pod["spec"]["serviceAccountName"] = service_account
    return pod


def review(pod: Object, *, uid: str) -> Object:
    """Return the AdmissionReview that kube-apiserver sends about *pod*."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": POD,
            "resource": PODS,
            "requestKind": POD,
            "requestResource": PODS,
            "namespace": pod["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            },
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    }


def admitted(pod: Object, answer: bytes, *, uid: str) -> tuple[Object, list[Object]]:
    """Return the pod that *answer* makes of *pod*, and the operations that do it, as kube-apiserver would.

    Raises:
        DemoError: it is no answer to the review with this *uid*, it refuses the pod, or its patch does not apply.
    """
    try:
        document = json.loads(answer)
        response = document["response"]
        is_ours = (document["apiVersion"], document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        if not is_ours or response["uid"] != uid or response["allowed"] is not True:
            raise DemoError("webhook: expected an AdmissionReview v1 that allows our pod, got another answer")
        if "patch" not in response:
            return pod, []
        if response["patchType"] != "JSONPatch":
            raise DemoError("webhook: expected a patch of type JSONPatch, got another")
        operations = json.loads(base64.b64decode(response["patch"], validate=True))
        return jsonpatch.apply_patch(pod, operations), operations
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise DemoError(f"webhook: expected an AdmissionReview, got an answer with a {type(error).__name__}") from error
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        raise DemoError(f"webhook: expected a patch that applies to the pod, got: {type(error).__name__}") from error


def created(pod: Object, *, suffix: str, uid: str) -> Object:
    """Return *pod* with the name and the *uid* that kube-apiserver gives it (apiserver, storage/names)."""
    metadata = {**pod["metadata"], "name": pod["metadata"]["generateName"] + suffix, "uid": uid}
    return {**pod, "metadata": metadata}


def added(operation: Object) -> list[tuple[str, str]]:
    """Return what one *operation* of the webhook adds, as a name and a value for people."""
    value = operation["value"]
    rows = []
    for each in value if isinstance(value, list) else [value]:
        match each:
            case {"name": str(name), "value": str(content)}:
                rows.append((name, content))
            case {"name": str(name), "mountPath": str(path)}:
                rows.append((f"mount {name}", path))
            case {"projected": {"sources": [{"serviceAccountToken": token}, *_]}}:
                text = f"a token for {token.get('audience')}, good for {token.get('expirationSeconds')} s"
                rows.append((f"volume {each.get('name')}", text))
            case _:
                rows.append((str(operation["op"]), str(operation["path"])))
    return rows

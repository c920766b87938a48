"""The reference: the same webhook written the plain way, to be measured against.

A FastAPI route with pydantic models, and a patch made by comparing the pod with a changed copy. It is no straw man: the
route is ``async`` (a thread a request is slower), pydantic writes the answer, a pod without a role is answered at once,
and uvicorn runs it with uvloop, httptools and no access log. It counts and logs nothing, which is in its favour.
``tests.bench.load`` compares its pods with ours before it measures.
"""

import base64
import copy
from typing import Any, Final

import jsonpatch
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tests.bench.reviews import ROLE_ARN, WITH_ROLE

ROLES: Final = {WITH_ROLE: ROLE_ARN}

TOKEN_MOUNT_PATH: Final = "/var/run/secrets/eks.amazonaws.com/serviceaccount"  # noqa: S105 - a path
VOLUME: Final = {
    "name": "aws-iam-token",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 86_400, "path": "token"}}
        ]
    },
}
MOUNT: Final = {"name": "aws-iam-token", "readOnly": True, "mountPath": TOKEN_MOUNT_PATH}

Pod = dict[str, Any]


class Wire(BaseModel):
    """Names on the wire are camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class GroupVersionKind(Wire):
    """What kind of object the review is about."""

    group: str
    version: str
    kind: str


class AdmissionRequest(Wire):
    """What is asked."""

    uid: str
    kind: GroupVersionKind
    namespace: str
    operation: str
    object: Pod


class AdmissionResponse(Wire):
    """What is answered."""

    uid: str
    allowed: bool
    patch_type: str | None = None
    patch: str | None = None


class AdmissionReview(Wire):
    """Both ways: with a request or with a response."""

    api_version: str
    kind: str
    request: AdmissionRequest | None = None
    response: AdmissionResponse | None = None


app = FastAPI()


@app.post("/mutate", response_model_exclude_none=True)
async def mutate(review: AdmissionReview) -> AdmissionReview:
    """Answer one review."""
    assert review.request is not None
    request = review.request
    response = AdmissionResponse(uid=request.uid, allowed=True)
    role_arn = ROLES.get((request.namespace, request.object["spec"].get("serviceAccountName", "")))
    if role_arn:
        patched = copy.deepcopy(request.object)
        inject(patched, role_arn)
        patch = jsonpatch.make_patch(request.object, patched)
        response.patch_type = "JSONPatch"
        response.patch = base64.b64encode(patch.to_string().encode()).decode()
    return AdmissionReview(api_version=review.api_version, kind=review.kind, response=response)


def inject(pod: Pod, role_arn: str) -> None:
    """Give *pod* its role, in place."""
    spec = pod["spec"]
    spec.setdefault("volumes", []).insert(0, VOLUME)
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        variables = container.setdefault("env", [])
        names = {variable["name"] for variable in variables}
        if "AWS_STS_REGIONAL_ENDPOINTS" not in names:
            variables.append({"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "regional"})
        if names.isdisjoint({"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}):
            variables.append({"name": "AWS_ROLE_ARN", "value": role_arn})
            variables.append({"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{TOKEN_MOUNT_PATH}/token"})
        mounts = container.setdefault("volumeMounts", [])
        if all(mount["mountPath"] != TOKEN_MOUNT_PATH for mount in mounts):
            mounts.append(MOUNT)

"""What the AWS webhook makes of a pod, said again in the plainest way, to compare our patched pods with.

From facts read in pkg/handler/handler.go of amazon-eks-pod-identity-webhook: which variables, in which order, beside
which ones, and when a container is left alone. It copies the pod and edits the copy; we never do.
"""

import copy
from typing import Any

from app.webhook.identity import Identity


def mutated(pod: dict[str, Any], identity: Identity, *, region: str | None = None) -> dict[str, Any]:
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    path = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    token = {"audience": identity.audience, "expirationSeconds": identity.token_expiration, "path": "token"}
    volume = {"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": token}]}}
    volumes = spec.get("volumes") or []
    if not any(v["name"] == "aws-iam-token" for v in volumes):
        spec["volumes"] = [volume, *volumes]
    windows = (spec.get("nodeSelector") or {}).get("kubernetes.io/os") == "windows"
    token_file = ("C:" + path.replace("/", "\\") + "\\token") if windows else path + "/token"
    for one in [*spec["containers"], *(spec.get("initContainers") or [])]:
        if one["name"] not in identity.skip_containers:
            _container(one, identity, region=region, path=path, token_file=token_file)
    return pod


def _container(one: dict[str, Any], identity: Identity, *, region: str | None, path: str, token_file: str) -> None:
    names = {variable["name"] for variable in one.get("env") or []}
    has_sts = "AWS_STS_REGIONAL_ENDPOINTS" in names
    has_region = bool(names & {"AWS_REGION", "AWS_DEFAULT_REGION"})
    has_credentials = bool(names & {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"})
    if has_sts and has_region and has_credentials:
        return
    added = []
    if identity.regional_sts and not has_sts:
        added.append(("AWS_STS_REGIONAL_ENDPOINTS", "regional"))
    if region and not has_region:
        added += [("AWS_DEFAULT_REGION", region), ("AWS_REGION", region)]
    if not has_credentials:
        added += [("AWS_ROLE_ARN", identity.role_arn), ("AWS_WEB_IDENTITY_TOKEN_FILE", token_file)]
    if added:
        one["env"] = [*(one.get("env") or []), *({"name": name, "value": value} for name, value in added)]
    mounts = one.get("volumeMounts") or []
    if not any(mount["name"] == "aws-iam-token" for mount in mounts):
        one["volumeMounts"] = [*mounts, {"name": "aws-iam-token", "readOnly": True, "mountPath": path}]

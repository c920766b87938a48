"""What the AWS webhook makes of a pod, said again in the plainest way, to compare our patched pods with.

From facts read in pkg/handler/handler.go of amazon-eks-pod-identity-webhook: which variables, in which order, beside
which ones, and when a container is left alone. It copies the pod and edits the copy; we never do.
"""

import copy
from typing import Any

from app.webhook.identity import Identity, Mode

WEB_IDENTITY = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
ENDPOINT = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")


def mutated(pod: dict[str, Any], identity: Identity, *, region: str | None = None) -> dict[str, Any]:
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    if identity.mode is Mode.CONTAINER_CREDENTIALS:
        name, file = "eks-pod-identity-token", "eks-pod-identity-token"
        path = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
        if pod["metadata"].get("labels") is None:
            pod["metadata"]["labels"] = {}
        pod["metadata"]["labels"]["eks.amazonaws.com/pod-identity"] = "enabled"
    else:
        name, file = "aws-iam-token", "token"
        path = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    token = {"audience": identity.audience, "expirationSeconds": identity.token_expiration, "path": file}
    volume = {"name": name, "projected": {"sources": [{"serviceAccountToken": token}]}}
    volumes = spec.get("volumes") or []
    if not any(v["name"] == name for v in volumes):
        spec["volumes"] = [volume, *volumes]
    windows = (spec.get("nodeSelector") or {}).get("kubernetes.io/os") == "windows"
    token_file = ("C:" + path.replace("/", "\\") + "\\" + file) if windows else f"{path}/{file}"
    credentials = dict(zip(WEB_IDENTITY, (identity.role_arn, token_file), strict=True))
    if identity.mode is Mode.CONTAINER_CREDENTIALS:
        credentials = dict(zip(ENDPOINT, ("http://169.254.170.23/v1/credentials", token_file), strict=True))
    mount = {"name": name, "readOnly": True, "mountPath": path}
    for one in [*spec["containers"], *(spec.get("initContainers") or [])]:
        if one["name"] not in identity.skip_containers:
            _container(one, credentials, mount, regional=identity.regional_sts, region=region)
    return pod


def _container(
    one: dict[str, Any], credentials: dict[str, str], mount: dict[str, Any], *, regional: bool, region: str | None
) -> None:
    names = {variable["name"] for variable in one.get("env") or []}
    has_sts = "AWS_STS_REGIONAL_ENDPOINTS" in names
    has_region = bool(names & {"AWS_REGION", "AWS_DEFAULT_REGION"})
    has_credentials = bool(names & credentials.keys())
    if has_sts and has_region and has_credentials:
        return
    added = []
    if regional and not has_sts:
        added.append(("AWS_STS_REGIONAL_ENDPOINTS", "regional"))
    if region and not has_region:
        added += [("AWS_DEFAULT_REGION", region), ("AWS_REGION", region)]
    if not has_credentials:
        added += credentials.items()
    if added:
        one["env"] = [*(one.get("env") or []), *({"name": name, "value": value} for name, value in added)]
    mounts = one.get("volumeMounts") or []
    if not any(other["name"] == mount["name"] for other in mounts):
        one["volumeMounts"] = [*mounts, mount]

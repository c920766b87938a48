"""(pod, identity) -> the JSONPatch operations that give the pod its identity. Pure.

Works on the raw document: what this code has never heard of is never read, copied or written back, so fields newer
than it survive. Each operation adds one thing that is missing, in an order that works on the original object, and a
second run finds nothing to add.

The patched pod is the one that the AWS webhook makes (pkg/handler/handler.go), where that one is right:

- the volume comes first in the pod, the mount and the variables come last in each container;
- a variable that is there, whatever its value, stays; variables that belong together are added together or not at all;
- a container that has its credentials, its region and its STS setting already is not touched.

Where it is not right: if our variable would point at a volume or mount that only has our name or place, that is a
conflict and nothing is injected; our volume that is mounted elsewhere is mounted in our place too; and where every
container is skipped, no volume is added.
"""

import functools
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.text import shown
from app.webhook.identity import Identity

VOLUME: Final = "aws-iam-token"
TOKEN_PATH: Final = "token"  # noqa: S105 - a file name
TOKEN_MOUNT_PATH: Final = "/var/run/secrets/eks.amazonaws.com/serviceaccount"  # noqa: S105 - a path

MAX_CONTAINERS: Final = 1000
"""No node could run so many; a review of 7 MiB has room for 50,000, and its answer would have 170 MB."""

MOUNTED: Final = (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath"))
"""Where a container has volumes, block devices too, and how it calls the place."""

ONLY_STR: Final = frozenset({str})

STS: Final = ("AWS_STS_REGIONAL_ENDPOINTS",)
REGION: Final = ("AWS_DEFAULT_REGION", "AWS_REGION")
CREDENTIALS: Final = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")

Object = dict[str, Any]
Operation = dict[str, Any]
VariableGroup = tuple[tuple[str, ...], tuple[str, ...]]
"""Names and their values; where one of the names is taken, none of them is added."""


class MalformedPodError(ValueError):
    """A pod with another type than Kubernetes has where we must look. The message names the place."""


class ConflictError(ValueError):
    """Something in the pod has our volume's name or its place and is not ours. The message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What the operator wants of every injection."""

    token_mount_path: str = TOKEN_MOUNT_PATH
    default_region: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further variables, for containers that get a role and where absent."""


def operations(pod: Object, identity: Identity, *, injection: Injection) -> list[Operation] | None:
    """Return what to add to *pod*, empty where nothing is missing, None where every container is skipped.

    Raises:
        MalformedPodError: *pod* is no pod that we could read.
        ConflictError: it has something of ours that is not ours.
    """
    spec = _object(pod, "spec", "")
    containers = _containers(spec, but=identity.skip_containers)
    if not containers:
        return None
    mount_path = injection.token_mount_path
    groups = _variable_groups(identity, injection, token_file=_token_file(mount_path, windows=_is_windows(spec)))
    volume = _volume(spec)
    is_foreign = volume is not None and not _is_ours(volume, identity)
    added = [] if volume else [_volume_operation(spec, identity)]
    for path, container in containers:
        present = set(_names(_list(container, "env", path), path, "env"))
        has_credentials = not present.isdisjoint(CREDENTIALS)
        if has_credentials and not present.isdisjoint(REGION) and not present.isdisjoint(STS):
            continue
        if is_foreign and not has_credentials:
            audience = shown(identity.audience)
            raise ConflictError(f"rename volume {VOLUME}: it is no projected token for audience {audience}")
        added += _append(container, "env", path, _variables(groups, present))
        if not is_foreign:
            mount = _mount(container, path, mount_path=mount_path, is_pointed_at=not has_credentials)
            added += _append(container, "volumeMounts", path, [mount] if mount else [])
    return added


def _variable_groups(identity: Identity, injection: Injection, *, token_file: str) -> list[VariableGroup]:
    groups: list[VariableGroup] = []
    if identity.regional_sts and injection.environment.keys().isdisjoint(STS):
        groups.append((STS, ("regional",)))
    if injection.default_region:
        groups.append((REGION, (injection.default_region, injection.default_region)))
    groups.append((CREDENTIALS, (identity.role_arn, token_file)))
    groups += [((name,), (value,)) for name, value in injection.environment.items()]
    return groups


def _variables(groups: list[VariableGroup], present: set[str]) -> list[Object]:
    return [
        {"name": name, "value": value}
        for names, values in groups
        if present.isdisjoint(names)
        for name, value in zip(names, values, strict=True)
    ]


def _mount(container: Object, path: str, *, mount_path: str, is_pointed_at: bool) -> Object | None:
    """Return the mount to add, or None where there is one.

    *is_pointed_at*: our variable will say that the token is there, so nothing else may be.
    """
    is_there = False
    for name, at, mount in _places(container, path, near=mount_path):
        is_whole = not (mount.get("subPath") or mount.get("subPathExpr"))
        is_ours = name == VOLUME and at == mount_path and is_whole
        is_there = is_there or is_ours or (not is_pointed_at and (name == VOLUME or at == mount_path))
        if is_pointed_at and not is_ours and (at == mount_path or at.startswith(f"{mount_path}/")):
            who = f"volume {shown(name)} of container {shown(container['name'])}"
            raise ConflictError(f"mount {who} elsewhere: {mount_path} is for the token")
    return None if is_there else {"name": VOLUME, "readOnly": True, "mountPath": mount_path}


def _places(container: Object, path: str, *, near: str) -> list[tuple[str, str, Object]]:
    """Return what is mounted of our volume or *near* a path: the volume's name, the cleaned path, the mount."""
    found = []
    for key, where in MOUNTED:
        if key in container:
            for name, mount in _named(_list(container, key, path), path, key):
                at = mount.get(where)
                if isinstance(at, str):
                    # Cleaning costs as much as all the rest, and hardly any path needs it.
                    if at.endswith("/") or "//" in at or "/." in at:
                        at = posixpath.normpath(at)
                    if name == VOLUME or at.startswith(near):
                        found.append((name, at, mount))
    return found


def _volume(spec: Object) -> Object | None:
    """Return the volume that has our name."""
    volumes = _named(_list(spec, "volumes", "/spec"), "/spec", "volumes")
    return next((volume for name, volume in volumes if name == VOLUME), None)


def _volume_operation(spec: Object, identity: Identity) -> Operation:
    token = {"audience": identity.audience, "expirationSeconds": identity.token_expiration, "path": TOKEN_PATH}
    volume = {"name": VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}
    if isinstance(spec.get("volumes"), list):
        return {"op": "add", "path": "/spec/volumes/0", "value": volume}
    return {"op": "add", "path": "/spec/volumes", "value": [volume]}


def _is_ours(volume: Object, identity: Identity) -> bool:
    """Return whether *volume* puts a token for our audience where we would: then it serves, whoever wrote it."""
    projected = volume.get("projected")
    sources = projected.get("sources") if isinstance(projected, dict) else None
    for source in sources if isinstance(sources, list) else ():
        token = source.get("serviceAccountToken") if isinstance(source, dict) else None
        if isinstance(token, dict) and token.get("path") == TOKEN_PATH and token.get("audience") == identity.audience:
            return True
    return False


def _append(parent: Object, key: str, path: str, values: list[Object]) -> list[Operation]:
    if not values:
        return []
    if isinstance(parent.get(key), list):
        return [{"op": "add", "path": f"{path}/{key}/-", "value": value} for value in values]
    return [{"op": "add", "path": f"{path}/{key}", "value": values}]


def _containers(spec: Object, *, but: frozenset[str]) -> list[tuple[str, Object]]:
    """Return path and document of each container that is not named in *but*."""
    lists = [(key, _list(spec, key, "/spec")) for key in ("containers", "initContainers")]
    if not any(containers for _, containers in lists):
        raise MalformedPodError("expected containers at /spec/containers, got none")
    if sum(len(containers) for _, containers in lists) > MAX_CONTAINERS:
        raise MalformedPodError(f"expected at most {MAX_CONTAINERS} containers, got more")
    return [
        (f"/spec/{key}/{index}", container)
        for key, containers in lists
        for index, (name, container) in enumerate(_named(containers, "/spec", key))
        if name not in but
    ]


def _is_windows(spec: Object) -> bool:
    system = spec.get("os")
    if isinstance(system, dict) and "name" in system:
        return bool(system["name"] == "windows")
    selector = spec.get("nodeSelector")
    return isinstance(selector, dict) and "windows" in (
        selector.get("kubernetes.io/os"),
        selector.get("beta.kubernetes.io/os"),
    )


@functools.lru_cache(maxsize=8)
def _token_file(mount_path: str, *, windows: bool) -> str:
    # Go's filepath.Join, which cleans the path; POSIX would let two leading slashes stand.
    path = "/" + posixpath.normpath(posixpath.join(mount_path, TOKEN_PATH)).lstrip("/")
    return "C:" + path.replace("/", "\\") if windows else path


def _object(parent: Object, key: str, path: str) -> Object:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise MalformedPodError(f"expected an object at {path}/{key}, got {_kind(value)}")
    return value


def _list(parent: Object, key: str, path: str) -> list[Any]:
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedPodError(f"expected an array at {path}/{key}, got {_kind(value)}")
    return value


def _names(items: list[Any], path: str, key: str) -> list[str]:
    """Return the name of each of *items*, the array *key* at *path*."""
    try:
        names = [item["name"] for item in items]
    except (TypeError, KeyError, IndexError):
        names = [None]
    # Types first: one pass without Python's code for what a JSON decoder gives. YAML's strings are of other classes.
    if not ONLY_STR.issuperset(map(type, names)) and not all(isinstance(name, str) for name in names):
        raise MalformedPodError(f"expected objects with a string as name in {path}/{key}")
    return names


def _named(items: list[Any], path: str, key: str) -> list[tuple[str, Object]]:
    """Return each of *items* with its name."""
    return list(zip(_names(items, path, key), items, strict=True))


def _kind(value: object) -> str:
    """Return what JSON calls the type of *value*."""
    kinds = ((dict, "an object"), (list, "an array"), (str, "a string"), (bool, "a boolean"), (type(None), "nothing"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number")

"""(pod, pod before) -> what its new ephemeral containers get of what its own containers have. Pure.

``kubectl debug`` adds a container to a pod that runs. Volumes cannot be added then, so only a pod that was injected has
something to give, and what its new container gets is copied from its own containers: no ServiceAccount is asked, and no
role can come in that the pod does not have. What existed before is never changed, because kube-apiserver refuses that
(pkg/apis/core/validation, ValidatePodEphemeralContainersUpdate), and somebody's debugging with it.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from app.webhook.containers import file_in
from app.webhook.decision import Decision, Reason, bounded
from app.webhook.document import (
    ConflictError,
    MalformedPodError,
    Object,
    Operation,
    append,
    list_at,
    named,
    names_of,
    object_at,
)
from app.webhook.mounts import Content, Volume, annotation_source, has_token, is_name, is_ours, missing_mounts
from app.webhook.plan import CONFIG_ANNOTATION, CONFIG_PATH, CONFIG_VOLUME, TOKEN_PATH, VOLUME, Injection
from app.webhook.proxies import bypasses, completion
from app.webhook.variables import (
    AUTHORIZATION_TOKEN_FILE,
    CONFIG_FILE,
    FULL_URI,
    REGION,
    SESSION_NAME,
    STS,
    TOKEN_FILE,
    WEB_IDENTITY,
    literal,
)

CREDENTIALS: Final = (*WEB_IDENTITY, FULL_URI, AUTHORIZATION_TOKEN_FILE, CONFIG_FILE)
"""A container that has one of these knows where its credentials are."""


READ_BY: Final = {
    CONFIG_FILE: (CONFIG_FILE,),
    TOKEN_FILE: WEB_IDENTITY,
    AUTHORIZATION_TOKEN_FILE: (FULL_URI, AUTHORIZATION_TOKEN_FILE),
}
"""Variable that names a file of ours -> the variables that belong to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What one container has of ours."""

    variables: list[Object]
    volumes: list[Volume]


def ephemeral_operations(pod: Object, old_pod: Object, *, injection: Injection) -> Decision:
    """Return what to add to the ephemeral containers of *pod* that *old_pod* lacks, or why there is nothing to add.

    NOT_A_CREATION where none is new, NO_ROLE where the pod itself was not injected.

    Args:
        pod: as it is to be, with all of its ephemeral containers.
        old_pod: as it was.
        injection: the operator's choices, by which ours is known.
    """
    try:
        return _decision(pod, old_pod, injection)
    except MalformedPodError as error:
        return Decision(reason=Reason.MALFORMED_POD, warnings=bounded((f"{error}: nothing was injected",)))


def _decision(pod: Object, old_pod: Object, injection: Injection) -> Decision:
    spec = object_at(pod, "spec", "")
    there = set(names_of(*_ephemeral(object_at(old_pod, "spec", ""))))
    new = [
        (f"/spec/ephemeralContainers/{index}", container)
        for index, (name, container) in enumerate(named(*_ephemeral(spec)))
        if name not in there
    ]
    if not new:
        return Decision(reason=Reason.NOT_A_CREATION)
    shares = dict(_shares(spec, injection))
    if not shares:
        return Decision(reason=Reason.NO_ROLE)
    first = next(iter(shares.values()))
    operations: list[Operation] = []
    warnings: list[str] = []
    for path, container in new:
        share = shares.get(str(container.get("targetContainerName")), first)
        try:
            operations += _container(container, path, share)
        except ConflictError as error:
            warnings.append(f"{error}: nothing was injected")
    reason = Reason.PATCHED if operations else Reason.CONFLICT if warnings else Reason.ALREADY_PRESENT
    return Decision(reason=reason, operations=tuple(operations), warnings=bounded(tuple(warnings)))


def _ephemeral(spec: Object) -> tuple[list[Any], str, str]:
    return list_at(spec, "ephemeralContainers", "/spec"), "/spec", "ephemeralContainers"


def _container(container: Object, path: str, share: _Share) -> list[Operation]:
    """Return what a new *container*, which is at *path*, gets of *share*: nothing where it has its own credentials."""
    env = list_at(container, "env", path)
    present = set(names_of(env, path, "env"))
    if not present.isdisjoint(CREDENTIALS):
        return []
    taken = present.union(*(group for group in (STS, REGION) if not present.isdisjoint(group)))
    added = append(container, "env", path, [dict(one) for one in share.variables if one["name"] not in taken])
    hosts = bypasses(literal(share.variables, FULL_URI) or "")
    if hosts:
        added += completion(container, env, path, hosts=hosts)[0]
    lacked = [missing_mounts(container, path, volume, is_pointed_at=True) for volume in share.volumes]
    return added + append(container, "volumeMounts", path, list(itertools.chain.from_iterable(lacked)))


def _shares(spec: Object, injection: Injection) -> Iterator[tuple[str, _Share]]:
    """Yield what each of the pod's own containers has of ours, for those that use it, by their names."""
    at = injection.endpoint
    volumes = named(list_at(spec, "volumes", "/spec"), "/spec", "volumes")
    ours: dict[str, tuple[Content, str]] = {}
    for name, volume in volumes:
        for plain, file in ((VOLUME, TOKEN_PATH), (at.volume_name, at.token_path)):
            if is_name(name, plain) and has_token(volume, file):
                ours[name] = ("the token", file)
        if is_name(name, CONFIG_VOLUME) and is_ours(volume, annotation_source(CONFIG_ANNOTATION, CONFIG_PATH)):
            ours[name] = ("the AWS config file", CONFIG_PATH)
    if not ours:
        return
    further = (*STS, *REGION, SESSION_NAME, *injection.environment)
    for key in ("containers", "initContainers"):
        for name, container in named(list_at(spec, key, "/spec"), "/spec", key):
            share = _share(container, ours, further)
            if share:
                yield name, share


def _share(container: Object, ours: dict[str, tuple[Content, str]], further: tuple[str, ...]) -> _Share | None:
    """Return what *container* has of the volumes *ours*, or None where no variable leads its SDKs there."""
    path = f"/spec/containers/{container['name']}"
    env = list_at(container, "env", path)
    names_of(env, path, "env")
    mounts = [
        (name, mount["mountPath"])
        for name, mount in named(list_at(container, "volumeMounts", path), path, "volumeMounts")
        if name in ours and isinstance(mount.get("mountPath"), str)
    ]
    files = {file_in(place, ours[name][1], windows=windows) for name, place in mounts for windows in (False, True)}
    read = [group for variable, group in READ_BY.items() if literal(env, variable) in files]
    if not read:
        return None
    copied = {*further, *itertools.chain.from_iterable(read)}
    return _Share(
        variables=[variable for variable in env if variable["name"] in copied],
        volumes=[
            Volume(name=name, mount_path=place, content=ours[name][0], document={}, is_there=True, is_renamed=False)
            for name, place in mounts
        ],
    )

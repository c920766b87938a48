"""The volumes that we add, and their places in containers. Pure.

A volume is ours by what is in it, never by its name alone. Where something else has the name, ours gets another one:
``aws-iam-token-irsa``, then ``aws-iam-token-irsa-2`` and so on, and the next run knows it again by what is in it. A
place is fixed, because our variables name it: where something else is mounted there, that is a conflict.
"""

import itertools
import posixpath
import re
from collections.abc import Container, Mapping
from typing import Final, Literal, NamedTuple

from app.text import shown
from app.webhook.document import ConflictError, Object, Operation, list_at, named, names_of
from app.webhook.identity import Identity

MOUNTED: Final = (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath"))
"""Where a container has volumes, block devices too, and how it calls the place."""

MAX_STEM_CHARACTERS: Final = 50
"""Of a name of 63, which a volume may have, so that another one has room behind it."""

Content = Literal["the token", "the AWS config file"]


class Volume(NamedTuple):
    """A volume of ours in one pod; a tuple, because one is made in every review and a dataclass would cost more."""

    name: str
    mount_path: str
    content: Content
    document: Object
    is_there: bool
    """Whether the pod has it already."""
    is_renamed: bool
    """Whether something else has the name that it would have."""


def token_source(identity: Identity, path: str) -> Object:
    """Return a volume's content: the token of *identity* in the file *path*."""
    token = {"audience": identity.audience, "expirationSeconds": identity.token_expiration, "path": path}
    return {"projected": {"sources": [{"serviceAccountToken": token}]}}


def annotation_source(annotation: str, path: str) -> Object:
    """Return a volume's content: what the pod's *annotation* says, in the file *path*."""
    field = {"fieldPath": f"metadata.annotations['{annotation}']"}
    return {"downwardAPI": {"items": [{"path": path, "fieldRef": field}]}}


def volume(
    volumes: list[tuple[str, Object]], name: str, source: Object, *, mount_path: str, content: Content
) -> Volume:
    """Return our volume of *source* in a pod.

    Args:
        volumes: the pod's own ones with their names.
        name: what ours is called where nothing else is.
        source: what is in it, by `token_source` or `annotation_source`.
        mount_path: where containers have it.
        content: how to call it before people.
    """
    # One look at what all names of ours begin with is enough for most pods.
    stem = name[:MAX_STEM_CHARACTERS]
    near = {other: one for other, one in volumes if other.startswith(stem)}
    ours = []
    chosen = name
    if near:
        ours = [other for other in near if is_name(other, name) and is_ours(near[other], source)]
        chosen = min(ours, key=lambda one: (len(one), one)) if ours else _free_name(name, near)
    return Volume(
        name=chosen,
        mount_path=mount_path,
        content=content,
        document={"name": chosen, **source},
        is_there=bool(ours),
        is_renamed=chosen != name,
    )


def is_ours(volume: Object, source: Object) -> bool:
    """Return whether *volume* puts what *source* does into the same file: then it serves, whoever wrote it.

    A token is the same for one audience, however long it lives.
    """
    return not _contents(volume).isdisjoint(_contents(source))


def has_token(volume: Object, path: str) -> bool:
    """Return whether *volume* puts a token into the file *path* that is not for kube-apiserver."""
    return any(file == path and content for kind, file, content in _contents(volume) if kind == "serviceAccountToken")


def tokens_in(volumes: list[tuple[str, Object]]) -> dict[str, frozenset[str]]:
    """Return the files with tokens that are not for kube-apiserver in each of *volumes* that has some."""
    found = {
        name: frozenset(
            file for kind, file, audience in _contents(volume) if kind == "serviceAccountToken" and audience
        )
        for name, volume in volumes
    }
    return {name: files for name, files in found.items() if files}


def is_one_of(file: str, tokens: Mapping[str, Container[str]], container: Object, path: str) -> bool:
    """Return whether *container*, which is at *path*, finds one of *tokens* at the path *file*."""
    at = _as_on_linux(file)
    for name, mount in named(list_at(container, "volumeMounts", path), path, "volumeMounts"):
        place = mount.get("mountPath")
        if name in tokens and isinstance(place, str):
            folder = _as_on_linux(place) + "/"
            if at.startswith(folder) and at.removeprefix(folder) in tokens[name]:
                return True
    return False


def _as_on_linux(path: str) -> str:
    return posixpath.normpath(path.removeprefix("C:").replace("\\", "/"))


def _contents(volume: Object) -> set[tuple[str, str, str]]:
    """Return kind, file and content of all in *volume* that is of a kind of ours."""
    found = set()
    for key, entries_key in (("projected", "sources"), ("downwardAPI", "items")):
        parent = volume.get(key)
        entries = parent.get(entries_key) if isinstance(parent, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            token = entry.get("serviceAccountToken") if isinstance(entry, dict) else None
            field = entry.get("fieldRef") if isinstance(entry, dict) else None
            if isinstance(token, dict):
                found.add(("serviceAccountToken", _text(token, "path"), _text(token, "audience")))
            elif isinstance(field, dict):
                found.add(("fieldRef", _text(entry, "path"), _text(field, "fieldPath")))
    return found


def _text(parent: Object, key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def is_name(name: str, plain: str) -> bool:
    """Return whether *name* is one that our volume has which is called *plain* where nothing else is."""
    return name == plain or re.fullmatch(rf"{re.escape(plain[:MAX_STEM_CHARACTERS])}-irsa(-[0-9]+)?", name) is not None


def _free_name(plain: str, taken: Container[str]) -> str:
    stem = f"{plain[:MAX_STEM_CHARACTERS]}-irsa"
    numbered = (f"{stem}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain((plain, stem), numbered) if name not in taken)


def volume_operations(spec: Object, volumes: list[Volume]) -> list[Operation]:
    """Return what adds those of *volumes* that are not there: the first one in front of all, the others last."""
    missing = [volume.document for volume in volumes if not volume.is_there]
    if missing and not isinstance(spec.get("volumes"), list):
        return [{"op": "add", "path": "/spec/volumes", "value": missing}]
    first = volumes[0].document if volumes else None
    return [
        {"op": "add", "path": f"/spec/volumes/{0 if document is first else '-'}", "value": document}
        for document in missing
    ]


def missing_mounts(container: Object, path: str, volume: Volume, *, is_pointed_at: bool) -> list[Object]:
    """Return the mount of *volume* that a *container* lacks, nothing where it is mounted.

    Args:
        container: it is at *path*.
        path: JSON pointer.
        volume: ours.
        is_pointed_at: whether a variable of ours says what is at its place, so that nothing else may be there.

    Raises:
        ConflictError: something else is.
        MalformedPodError: what the container mounts cannot be read.
    """
    is_there = False
    ours, place = volume.name, volume.mount_path
    for name, at, mounted in _places(container, path, name=ours, near=place):
        is_whole = not (mounted.get("subPath") or mounted.get("subPathExpr"))
        is_ours = name == ours and at == place and is_whole
        is_there = is_there or is_ours or (not is_pointed_at and (name == ours or at == place))
        if is_pointed_at and not is_ours and (at == place or at.startswith(f"{place}/")):
            who = f"volume {shown(name)} of container {shown(container['name'])}"
            raise ConflictError(f"mount {who} elsewhere: {place} is for {volume.content}")
    return [] if is_there else [{"name": ours, "readOnly": True, "mountPath": place}]


def _places(container: Object, path: str, *, name: str, near: str) -> list[tuple[str, str, Object]]:
    """Return what is mounted of volume *name* or *near* a path: the volume's name, the cleaned path, the mount."""
    found = []
    for key, where in MOUNTED:
        if key in container:
            mounts = list_at(container, key, path)
            for volume, mounted in zip(names_of(mounts, path, key), mounts, strict=True):
                at = mounted.get(where)
                if isinstance(at, str):
                    # Cleaning costs as much as all the rest, and hardly any path needs it.
                    if at.endswith("/") or "//" in at or "/." in at:
                        at = posixpath.normpath(at)
                    if volume == name or at.startswith(near):
                        found.append((volume, at, mounted))
    return found

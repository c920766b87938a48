"""Which containers of a pod get something, and what system they run on. Pure."""

import functools
import posixpath
from typing import Any, Final

from app.webhook.document import MalformedPodError, Object, list_at, named
from app.webhook.identity import Identity

MAX_CONTAINERS: Final = 1000
"""No node could run so many; a review of 7 MiB has room for 50,000, and its answer would have 170 MB."""

SYSTEM_LABELS: Final = ("kubernetes.io/os", "beta.kubernetes.io/os")
"""Labels of nodes, https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-os."""


def containers(spec: Object, identity: Identity) -> list[tuple[str, Object]]:
    """Return path and document of each container that *identity* is for; those that are skipped are no matter of ours.

    Raises:
        MalformedPodError: there are none, too many, or not in arrays.
    """
    regular, init = list_at(spec, "containers", "/spec"), list_at(spec, "initContainers", "/spec")
    if not regular and not init:
        raise MalformedPodError("write containers at /spec/containers, got none")
    if len(regular) + len(init) > MAX_CONTAINERS:
        raise MalformedPodError(f"write at most {MAX_CONTAINERS} containers, got more")
    but, only = identity.skip_containers, identity.include_containers
    return [
        (f"/spec/{key}/{index}", container)
        for key, containers in (("containers", regular), ("initContainers", init))
        for index, (name, container) in enumerate(named(containers, "/spec", key))
        if name not in but and (only is None or name in only)
    ]


def is_windows(spec: Object) -> bool:
    """Return whether the pod will run on Windows for certain: by its OS, its node selector or its node affinity.

    ``spec.os`` is the pod's own word and wins. An affinity counts where each of its terms, of which one must hold,
    asks for Windows.
    """
    system = spec.get("os")
    if isinstance(system, dict) and "name" in system:
        return bool(system["name"] == "windows")
    selector = spec.get("nodeSelector")
    if isinstance(selector, dict) and "windows" in map(selector.get, SYSTEM_LABELS):
        return True
    affinity = spec.get("affinity")
    return isinstance(affinity, dict) and _wants_windows(affinity)


def _wants_windows(affinity: Object) -> bool:
    found: Any = affinity
    for key in ("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"):
        found = found.get(key) if isinstance(found, dict) else None
    return isinstance(found, list) and bool(found) and all(map(_is_windows_term, found))


def _is_windows_term(term: object) -> bool:
    expressions = term.get("matchExpressions") if isinstance(term, dict) else None
    return any(
        isinstance(one, dict)
        and one.get("key") in SYSTEM_LABELS
        and one.get("operator") == "In"
        and one.get("values") == ["windows"]
        for one in (expressions if isinstance(expressions, list) else ())
    )


@functools.lru_cache(maxsize=16)
def file_in(folder: str, name: str, *, windows: bool) -> str:
    """Return the path of the file *name* in *folder* as the programs of the container write it."""
    # Go's filepath.Join, which cleans the path; POSIX would let two leading slashes stand.
    path = "/" + posixpath.normpath(posixpath.join(folder, name)).lstrip("/")
    return "C:" + path.replace("/", "\\") if windows else path

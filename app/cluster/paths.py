"""Paths of the Kubernetes API: made of names, and put into words. Pure.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

import re
from typing import Final

MAX_NAME_CHARACTERS: Final = 253
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_name(name: str) -> bool:
    """Return whether an object may have this *name*: a DNS subdomain (apimachinery's IsDNS1123Subdomain).

    Ask before a stranger's text becomes a part of a path: ``../secrets/other`` would name another object.
    """
    return len(name) <= MAX_NAME_CHARACTERS and _NAME.fullmatch(name) is not None


def words(path: str) -> str:
    """Return what *path* names: ``configmaps in namespace shop``, ``secrets ca in namespace shop``, ``nodes``."""
    match path.strip("/").split("/"):
        case ["api", _version, *parts] | ["apis", _, _version, *parts] if parts:
            pass
        case _:
            return path
    match parts:
        case ["namespaces", namespace, resource, *rest]:
            return " ".join([resource, *rest, "in namespace", namespace])
        case _:
            return " ".join(parts)

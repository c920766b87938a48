"""What we read of a pod's raw document, and how we say what to add to it. Pure.

The pod stays what the JSON decoder made of it: what this code has never heard of is never read, copied or written back,
so fields newer than it survive.
"""

from operator import itemgetter
from typing import Any, Final

ONLY_STR: Final = frozenset({str})
NAME: Final = itemgetter("name")

Object = dict[str, Any]
Operation = dict[str, Any]
"""One operation of a JSON Patch (RFC 6902)."""


class MalformedPodError(ValueError):
    """A pod with another type than Kubernetes has where we must look. The message says what to write, and where."""


class ConflictError(ValueError):
    """Something in the pod has a place of ours and is not ours. The message says what to change."""


def object_at(parent: Object, key: str, path: str) -> Object:
    """Return the object *key* of *parent*, which is at *path*.

    Raises:
        MalformedPodError: it is none.
    """
    value = parent.get(key)
    if not isinstance(value, dict):
        raise MalformedPodError(f"write an object at {path}/{key}, got {_kind(value)}")
    return value


def list_at(parent: Object, key: str, path: str) -> list[Any]:
    """Return the array *key* of *parent*, which is at *path*; empty where it is absent or null.

    Raises:
        MalformedPodError: it is something else.
    """
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedPodError(f"write an array at {path}/{key}, got {_kind(value)}")
    return value


def names_of(items: list[Any], path: str, key: str) -> list[str]:
    """Return the name of each of *items*, the array *key* at *path*.

    Raises:
        MalformedPodError: one of them has none.
    """
    try:
        names = list(map(NAME, items))
    except (TypeError, KeyError, IndexError):
        names = [None]
    # Both passes run without Python's code for what a JSON decoder gives; YAML's strings are of other classes.
    if not ONLY_STR.issuperset(map(type, names)) and not all(isinstance(name, str) for name in names):
        raise MalformedPodError(f"write objects with a string as name in {path}/{key}")
    return names


def named(items: list[Any], path: str, key: str) -> list[tuple[str, Object]]:
    """Return each of *items*, the array *key* at *path*, with its name.

    Raises:
        MalformedPodError: one of them has none.
    """
    return list(zip(names_of(items, path, key), items, strict=True))


def append(parent: Object, key: str, path: str, values: list[Object]) -> list[Operation]:
    """Return what puts *values* at the end of the array *key* of *parent*, which is at *path*."""
    if not values:
        return []
    if isinstance(parent.get(key), list):
        end = f"{path}/{key}/-"
        return [{"op": "add", "path": end, "value": value} for value in values]
    return [{"op": "add", "path": f"{path}/{key}", "value": values}]


def label(pod: Object, key: str, name: str, value: str) -> list[Operation]:
    """Return what makes *name* have *value* in the labels or annotations (*key*) of *pod*.

    Raises:
        MalformedPodError: the pod's metadata is no object, or these are none.
    """
    if pod.get("metadata") is None:  # of a pod template
        return [{"op": "add", "path": "/metadata", "value": {key: {name: value}}}]
    metadata = object_at(pod, "metadata", "")
    if metadata.get(key) is None:
        return [{"op": "add", "path": f"/metadata/{key}", "value": {name: value}}]
    if object_at(metadata, key, "/metadata").get(name) == value:
        return []
    return [{"op": "add", "path": f"/metadata/{key}/{name.replace('~', '~0').replace('/', '~1')}", "value": value}]


def _kind(value: object) -> str:
    """Return what JSON calls the type of *value*."""
    kinds = ((dict, "an object"), (list, "an array"), (str, "a string"), (bool, "a boolean"), (type(None), "nothing"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number")

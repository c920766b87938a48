"""What the API sends -> changes to a snapshot. Pure.

The decoder fills only the fields that a kind's Struct declares. The rest of an object, ``managedFields`` for the most
part, is skipped and never becomes a Python object.
"""

from collections.abc import Generator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Generic, TypeVar

import msgspec

from app.cluster.decoding import UNREADABLE, problem
from app.cluster.kinds import Item, Kind, ListMeta, ObjectMeta
from app.cluster.paths import words
from app.cluster.snapshot import Snapshot
from app.errors import ClusterError
from app.text import shown

MESSAGE_CHARACTERS: Final = 256
"""Of the API's own words as many are shown."""

T = TypeVar("T")


class _Event(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _Bookmark(msgspec.Struct, gc=False):
    metadata: ObjectMeta


class _Status(msgspec.Struct, gc=False):
    code: int = 0
    message: str = ""


class _List(msgspec.Struct, gc=False):
    metadata: ListMeta
    items: list[msgspec.Raw] | None


_read_list: Final = msgspec.json.Decoder(_List).decode
_read_event: Final = msgspec.json.Decoder(_Event).decode
_read_bookmark: Final = msgspec.json.Decoder(_Bookmark).decode
_read_status: Final = msgspec.json.Decoder(_Status).decode


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of a LIST says of the list; its items are in the snapshot already."""

    resource_version: str
    continue_token: str


@dataclass(frozen=True, slots=True)
class Applied(Generic[T]):
    """The event is in the snapshot, which is now that of *resource_version*."""

    resource_version: str
    change: tuple[str, str, T | None, T | None] | None = None
    """Namespace, name, what was kept and what is now, None for nothing, be it that there was no room for it; no change
    where the two are equal."""


@dataclass(frozen=True, slots=True)
class Relist:
    """The snapshot cannot be kept current from here on: only a new list can tell what is."""

    reason: str


def add_page(snapshot: Snapshot[T], body: bytes, *, known: Snapshot[T], kind: Kind[T]) -> Generator[None, None, Page]:
    """Add the objects on a page of a LIST to *snapshot*, and return the page; yield after each, for others' turn.

    Args:
        snapshot: the one that this list fills.
        body: the list in JSON.
        known: the snapshot that serves until then; what is the same in both is held once.
        kind: says how they are read and what is kept.

    Raises:
        ClusterError: *body* is something else.
    """
    what = words(kind.collection.path)
    namespace, complete = "", set[str]()
    try:
        page = _read_list(body)
        # One by one: to decode 8 MiB of annotations at once takes a third of a second, and 30 MB.
        for raw in page.items or ():
            item = kind.read_item(raw)
            namespace = _add(snapshot, item, what=what, kind=kind)
            complete.add(namespace)
            yield
    except UNREADABLE as error:
        raise ClusterError(f"expected a page of {what}, got {problem(error, MESSAGE_CHARACTERS)}") from error
    if page.metadata.continue_token:
        complete.discard(namespace)  # lists are sorted: the next page may have more of it
    snapshot.share(known, complete)
    if not page.metadata.resource_version:
        raise ClusterError("expected a list with a resourceVersion, got an empty one")
    return Page(page.metadata.resource_version, page.metadata.continue_token)


def _add(snapshot: Snapshot[T], item: Item, *, what: str, kind: Kind[T]) -> str:
    """Add one object, and return its namespace."""
    if not item.metadata.name:
        raise ClusterError(f"expected {what} with names, got one without")
    kept = kind.keep(item)
    if kept is not None:
        snapshot.put(item.metadata.namespace, item.metadata.name, kept)
    return item.metadata.namespace


def apply(snapshot: Snapshot[T], line: bytes, *, kind: Kind[T]) -> Applied[T] | Relist:
    """Apply one watch event to *snapshot*.

    What we cannot read may have been a change, so it asks for a new list instead of being passed over.
    https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes has the types.

    Args:
        snapshot: the current one.
        line: the event in JSON.
        kind: says how its object is read and what is kept.
    """
    try:
        event = _read_event(line)
        match event.type:
            case "ADDED" | "MODIFIED" | "DELETED":
                return _apply(snapshot, kind.read_item(event.object), event.type, kind=kind)
            case "BOOKMARK":
                version = _read_bookmark(event.object).metadata.resource_version
                return Applied(version) if version else _without("resourceVersion", event.type)
            case "ERROR":
                return _refused(_read_status(event.object))
    except UNREADABLE as error:
        return Relist(f"expected a watch event, got {problem(error, MESSAGE_CHARACTERS)}")
    return Relist(f"expected a watch event, got one of type {shown(event.type)}")


def _apply(snapshot: Snapshot[T], item: Item, event_type: str, *, kind: Kind[T]) -> Applied[T] | Relist:
    namespace, name = item.metadata.namespace, item.metadata.name
    if not name:
        return _without("name", event_type)
    if not item.metadata.resource_version:
        return _without("resourceVersion", event_type)
    old = snapshot.get(namespace, name)
    new = kind.keep(item) if event_type != "DELETED" else None
    if new is None:
        snapshot.remove(namespace, name)
    elif new != old and not snapshot.put(namespace, name, new):
        new = None
    change = (namespace, name, old, new) if new != old else None
    return Applied(item.metadata.resource_version, change)


def _without(field: str, event_type: str) -> Relist:
    return Relist(f"expected a watch event with a {field}, got {event_type} without one")


def _refused(status: _Status) -> Relist:
    said = shown(status.message, MESSAGE_CHARACTERS)
    if status.code == HTTPStatus.GONE:
        return Relist(f"resource version is too old: {said}")
    return Relist(f"expected watch events, got an error with code {status.code}: {said}")

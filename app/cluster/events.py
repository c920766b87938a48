"""What the API sends -> changes to a snapshot. Pure.

The decoder fills only the fields that are declared here. The rest of an object's metadata, ``managedFields`` for the
most part, is skipped and never becomes a Python object.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec

from app.cluster.decoding import UNREADABLE, problem
from app.cluster.objects import Keep, service_account
from app.cluster.source import Snapshot
from app.errors import ClusterError
from app.text import shown

MESSAGE_CHARACTERS: Final = 256
"""Of the API's own words as many are shown."""


class _ObjectMeta(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Object(msgspec.Struct, gc=False):
    """An object's metadata or, in an ERROR event, a Status."""

    metadata: _ObjectMeta = msgspec.field(default_factory=_ObjectMeta)
    code: int = 0
    message: str = ""


class _Event(msgspec.Struct, gc=False):
    type: str
    object: _Object


class _ListMeta(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(name="resourceVersion")
    continue_token: str = msgspec.field(name="continue", default="")


class _Item(msgspec.Struct, gc=False):
    metadata: _ObjectMeta


class _List(msgspec.Struct, gc=False):
    metadata: _ListMeta
    items: list[_Item] | None


_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_list: Final = msgspec.json.Decoder(_List).decode


@dataclass(frozen=True, slots=True)
class Page:
    """What a page of a LIST says of the list; its items are in the snapshot already."""

    resource_version: str
    continue_token: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The event is in the snapshot, which is now that of *resource_version*."""

    resource_version: str


@dataclass(frozen=True, slots=True)
class Relist:
    """The snapshot cannot be kept current from here on: only a new list can tell what is."""

    reason: str


def add_page(snapshot: Snapshot, body: bytes, *, known: Snapshot, keep: Keep) -> Page:
    """Add the ServiceAccounts on a page of a LIST to *snapshot*.

    Args:
        snapshot: the one that this list fills.
        body: a ``PartialObjectMetadataList`` in JSON.
        known: the snapshot that serves until then; what is the same in both is held once.
        keep: says which annotations are kept.

    Raises:
        ClusterError: *body* is something else.
    """
    try:
        page = _decode_list(body)
    except UNREADABLE as error:
        raise ClusterError(f"expected a page of ServiceAccounts, got {problem(error, MESSAGE_CHARACTERS)}") from error
    for item in page.items or ():
        if not _put(snapshot, item.metadata, keep):
            raise ClusterError("expected ServiceAccounts with name and namespace, got one without")
    snapshot.share(known, {item.metadata.namespace for item in page.items or ()})
    if not page.metadata.resource_version:
        raise ClusterError("expected a list with a resourceVersion, got an empty one")
    return Page(page.metadata.resource_version, page.metadata.continue_token)


def apply(snapshot: Snapshot, line: bytes, *, keep: Keep) -> Applied | Relist:
    """Apply one watch event to *snapshot*.

    What we cannot read may have been a change, so it asks for a new list instead of being passed over.
    https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes has the types.

    Args:
        snapshot: the current one.
        line: the event in JSON.
        keep: says which annotations are kept.
    """
    try:
        event = _decode_event(line)
    except UNREADABLE as error:
        return Relist(f"expected a watch event, got {problem(error, MESSAGE_CHARACTERS)}")
    if event.type == "ERROR":
        return _refused(event.object)
    metadata = event.object.metadata
    if not metadata.resource_version:
        return Relist(f"expected a watch event with a resourceVersion, got {shown(event.type)} without one")
    match event.type:
        case "ADDED" | "MODIFIED":
            understood = _put(snapshot, metadata, keep)
        case "DELETED":
            understood = bool(metadata.name and metadata.namespace)
            snapshot.remove(metadata.namespace, metadata.name)
        case other:
            understood = other == "BOOKMARK"
    if not understood:
        return Relist(f"expected a change to a ServiceAccount with name and namespace, got {shown(event.type)}")
    return Applied(metadata.resource_version)


def _put(snapshot: Snapshot, metadata: _ObjectMeta, keep: Keep) -> bool:
    if not metadata.name or not metadata.namespace:
        return False
    snapshot.put(metadata.namespace, metadata.name, service_account(metadata.annotations, keep=keep))
    return True


def _refused(status: _Object) -> Relist:
    said = shown(status.message, MESSAGE_CHARACTERS)
    if status.code == HTTPStatus.GONE:
        return Relist(f"resource version is too old: {said}")
    return Relist(f"expected watch events, got an error with code {status.code}: {said}")

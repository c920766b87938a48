"""AdmissionReview bytes in, what somebody creates or changes out. Pure.

Of all kinds of objects and whole, as the hook that only warns needs them; ``review`` reads those of pods, and faster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from app.cluster.decoding import UNREADABLE
from app.webhook.annotations import MAX_ANNOTATIONS
from app.webhook.inject import Object


class _Request(msgspec.Struct, frozen=True):
    operation: str
    object: dict[str, Any]
    old_object: dict[str, Any] | None = msgspec.field(default=None, name="oldObject")
    namespace: str = ""
    sub_resource: str = msgspec.field(default="", name="subResource")


class _Envelope(msgspec.Struct, frozen=True):
    request: _Request


_decoder: Final = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True)
class Change:
    """An object as somebody wants it, and as it was; ``before`` is None where it is new."""

    namespace: str
    after: Object
    before: Object | None = None

    @property
    def kind(self) -> str:
        """Such as Deployment."""
        return _string(self.after.get("kind"))

    @property
    def name(self) -> str:
        """Its name, or its generateName."""
        metadata = metadata_of(self.after)
        return _string(metadata.get("name")) or _string(metadata.get("generateName"))

    @property
    def is_of_a_controller(self) -> bool:
        """Whether another object makes this one, such as a Deployment its ReplicaSets: nobody typed it."""
        owners = metadata_of(self.after).get("ownerReferences")
        return any(isinstance(owner, dict) and owner.get("controller") is True for owner in _items(owners))

    @property
    def is_deletion(self) -> bool:
        """Whether the object is on its way out, and only its finalizers change."""
        return bool(metadata_of(self.after).get("deletionTimestamp"))


def change_of(body: bytes, *, sub_resource: str = "") -> Change | None:
    """Return the creation or update in the AdmissionReview *body*; None where there is none that we could read.

    Args:
        body: the review.
        sub_resource: of which subresource; "" is the object itself.
    """
    try:
        request = _decoder.decode(body).request
    except UNREADABLE:
        return None
    if request.sub_resource != sub_resource or request.operation not in {"CREATE", "UPDATE"}:
        return None
    return Change(request.namespace, request.object, request.old_object if request.operation == "UPDATE" else None)


def metadata_of(document: Object) -> Object:
    """Return the metadata of an object, empty where it has none."""
    metadata = document.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def annotations_of(document: Object) -> dict[str, str]:
    """Return the annotations of an object, empty where it has none, or more than `MAX_ANNOTATIONS`."""
    annotations = metadata_of(document).get("annotations")
    if not isinstance(annotations, dict) or len(annotations) > MAX_ANNOTATIONS:
        return {}
    return {key: value for key, value in annotations.items() if isinstance(value, str)}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _items(value: object) -> Iterator[Any]:
    return iter(value) if isinstance(value, list) else iter(())

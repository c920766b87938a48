"""AdmissionReview bytes in, AdmissionReview bytes out. Pure.

One pass over the bytes reads the few fields that every decision needs (`Head`) and makes no object of the rest; the
whole document is decoded only for a pod that is to be patched. A pod without a role, which most are, costs a tenth of
that. The types are those of https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/.
"""

import re
from typing import Any, Final, Generic, TypeVar

import msgspec

from app.cluster.decoding import UNREADABLE
from app.errors import BadReviewError
from app.text import shown
from app.webhook.decision import Decision, Reason, Subject, malformed
from app.webhook.inject import MalformedPodError, Object

V1: Final = "admission.k8s.io/v1"
VERSIONS: Final = frozenset({V1, "admission.k8s.io/v1beta1"})

_TYPE_ERROR: Final = re.compile(r"Expected `(.+?)`, got `(.+?)`(?: - at `(.+)`)?")

UID_BYTES: Final = 1024
_UID: Final = re.compile(rb'"request"\s*:\s*\{\s*"uid"\s*:\s*"([0-9A-Za-z-]{1,64})"')
"""Where every apiserver writes it: first. So much can be answered to in bytes that are no JSON, or too deep for us."""

T = TypeVar("T")


class _Owner(msgspec.Struct, frozen=True, gc=False):
    uid: str = ""
    controller: bool | None = None


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    generate_name: str | None = msgspec.field(default=None, name="generateName")
    annotations: dict[str, str] | None = None
    owners: list[_Owner] | None = msgspec.field(default=None, name="ownerReferences")


class _Spec(msgspec.Struct, frozen=True, gc=False):
    service_account_name: str | None = msgspec.field(default=None, name="serviceAccountName")
    # The deprecated name of the same; apiservers fill in both, but a patch before us may have set this one only.
    service_account: str | None = msgspec.field(default=None, name="serviceAccount")


class Head(msgspec.Struct, frozen=True, gc=False):
    """What must be known of a pod before the rest of it is looked at."""

    spec: _Spec
    metadata: _Metadata = _Metadata()


class _Request(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """The parts of ``request`` that we read. What stands in Any came as it is: nothing has checked its type."""

    uid: Any = None
    kind: Any = None
    sub_resource: Any = msgspec.field(default=None, name="subResource")
    namespace: Any = None
    operation: Any = None
    object: T = msgspec.field(default=None)  # type: ignore[assignment] # absent where the request is about nothing


class _Envelope(msgspec.Struct, Generic[T], frozen=True, gc=False):
    request: _Request[T]
    version: Any = msgspec.field(default=None, name="apiVersion")


class Review(msgspec.Struct, frozen=True):
    """An AdmissionReview that can be answered."""

    uid: str
    version: str
    """The apiVersion to answer in."""
    request: _Request[Any]
    head: Head | None
    """None where the object is no pod that we could read."""
    problem: str
    """Why there is no head: what to write instead of what."""
    body: bytes


_typed: Final = msgspec.json.Decoder(_Envelope[Head])
_untyped: Final = msgspec.json.Decoder(_Envelope[msgspec.Raw])
_document: Final = msgspec.json.Decoder()


def parse(body: bytes) -> Review:
    """Return the review in *body*.

    Raises:
        BadReviewError: there is no ``request.uid``, so there is nothing to answer to.
    """
    head, problem = None, ""
    try:
        typed = _typed.decode(body)
        request, version, head = typed.request, typed.version, typed.request.object
    except UNREADABLE as error:
        problem = f"write {_difference(error)}"
        request, version = _without_the_object(body, error)
    uid = request.uid
    if not isinstance(uid, str) or not uid:
        raise BadReviewError("expected an AdmissionReview with a string request.uid, got none")
    known = isinstance(version, str) and version in VERSIONS
    return Review(uid, version if known else V1, request, head, problem, body)


def _without_the_object(body: bytes, error: Exception) -> tuple[_Request[Any], Any]:
    """Return request and apiVersion of a *body* whose object cannot be read: then the pod is not ours to judge."""
    try:
        envelope = _untyped.decode(body)
    except UNREADABLE:
        start = body[:UID_BYTES]
        found = _UID.search(start)
        if found is None:
            raise BadReviewError(f"expected {_difference(error)}") from None
        written = [version for version in VERSIONS if f'"{version}"'.encode() in start]
        return _Request(uid=found[1].decode()), written[0] if written else V1
    return envelope.request, envelope.version


def subject_of(review: Review) -> Subject | Decision:
    """Return who asks in *review*, or the decision where it is not for us."""
    request, head = review.request, review.head
    if request.sub_resource or request.operation not in ("CREATE", None):
        return Decision(reason=Reason.NOT_A_CREATION)
    if isinstance(request.kind, dict) and request.kind.get("kind", "Pod") != "Pod":
        return Decision(
            reason=Reason.NOT_A_POD,
            warnings=(f"register this webhook for pods only, it was asked about {shown(request.kind.get('kind'))}",),
        )
    if head is None:
        return malformed(review.problem or "write a pod at request.object, got nothing")
    if not isinstance(request.namespace, str):
        return malformed("write a string at request.namespace")
    return Subject(
        namespace=request.namespace,
        pod=head.metadata.name or head.metadata.generate_name or "",
        service_account=head.spec.service_account_name or head.spec.service_account or "",
        annotations=head.metadata.annotations or {},
        owner_uid=_controller(head.metadata.owners) if head.metadata.owners else "",
    )


def _controller(owners: list[_Owner]) -> str:
    """Return the UID of the owner that controls the pod; there is one at most (apimachinery's GetControllerOf)."""
    for owner in owners:  # a generator would take three times as long, for each pod of a Deployment
        if owner.controller:
            return owner.uid
    return ""


def pod_of(review: Review) -> Object:
    """Return the whole pod of *review*.

    Raises:
        MalformedPodError: it is no JSON object.
    """
    try:
        pod = _document.decode(_untyped.decode(review.body).request.object)
    except UNREADABLE as error:
        raise MalformedPodError(f"write {_difference(error)}") from error
    if not isinstance(pod, dict):
        raise MalformedPodError("write a pod at request.object, got no object")
    return pod


class _Status(msgspec.Struct, frozen=True):
    message: str
    code: int = 403
    reason: str = "Forbidden"


class _Response(msgspec.Struct, frozen=True, omit_defaults=True):
    uid: str
    allowed: bool
    patch_type: str | None = msgspec.field(default=None, name="patchType")
    patch: bytes | None = None
    """base64 on the wire, as Go marshals []byte and as msgspec does."""
    warnings: tuple[str, ...] = ()
    audit_annotations: dict[str, str] | None = msgspec.field(default=None, name="auditAnnotations")
    status: _Status | None = None
    """Why the pod is refused; kubectl prints it."""


class _Answer(msgspec.Struct, frozen=True):
    version: str = msgspec.field(name="apiVersion")
    kind: str
    response: _Response


_encoder: Final = msgspec.json.Encoder()


def answer(review: Review, decision: Decision) -> bytes:
    """Return the AdmissionReview that tells the apiserver the *decision*."""
    patch = _encoder.encode(decision.operations) if decision.operations else None
    response = _Response(
        uid=review.uid,
        allowed=decision.denial is None,
        patch_type="JSONPatch" if patch else None,
        patch=patch,
        warnings=decision.warnings,
        audit_annotations={"reason": decision.reason.value},
        status=None if decision.denial is None else _Status(decision.denial),
    )
    return _encoder.encode(_Answer(review.version, "AdmissionReview", response))


def admission(review: Review, warnings: tuple[str, ...], *, reason: str) -> bytes:
    """Return the AdmissionReview that admits whatever *review* is about, with *warnings*; *reason* is for the audit."""
    response = _Response(uid=review.uid, allowed=True, warnings=warnings, audit_annotations={"reason": reason})
    return _encoder.encode(_Answer(review.version, "AdmissionReview", response))


def _difference(error: Exception) -> str:
    """Return what there should be, "got" and what there is, as msgspec says it: types and places, nothing of a body."""
    if isinstance(error, UnicodeDecodeError):
        return "UTF-8, got other bytes"
    if isinstance(error, RecursionError):
        return "an AdmissionReview, got JSON that is nested too deeply"
    found = _TYPE_ERROR.fullmatch(str(error))
    if found is None:
        return f"an AdmissionReview in JSON, got something else: {shown(str(error), limit=120)}"
    expected, got, place = found.groups()
    return f"{expected} at {(place or '$').removeprefix('$.')}, got {got}"

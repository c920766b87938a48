"""What the webhook says of a pod -> the Event that a person finds where they look. Pure.

Pods of Deployments and Jobs are made by controllers, which throw a review's warnings away. So the same decision is made
once more on each new pod, and what somebody must act on is written on the object that controls the pod: ``kubectl
describe`` shows it there. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ has the
fields; what the API refuses is in pkg/apis/core/validation/events.go.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.access.drift import Judgement, Kind
from app.access.owners import NEVER_ASKED, RESTARTABLE, Controller, remedy
from app.access.pods import Pod
from app.cluster.paths import is_name
from app.controller.micro_time import micro_time
from app.text import escaped, shown
from app.webhook.decision import Reason

REPORTING_CONTROLLER: Final = "irsa/controller"

MAX_NOTE_BYTES: Final = 1024
MAX_KIND_CHARACTERS: Final = 63

ADMITTED_UNPATCHED: Final = "AdmittedUnpatched"
"""The webhook did not see the pod, or knew the ServiceAccount without its role then."""

INVALID_MAPPINGS: Final = "InvalidMappings"

REASONS: Final = {
    Reason.SERVICE_ACCOUNT_NOT_FOUND: "ServiceAccountNotFound",
    Reason.CONFLICT: "Conflict",
    Reason.INVALID_ANNOTATION: "InvalidAnnotation",
    Reason.MALFORMED_POD: "MalformedPod",
}
"""What somebody must act on. Containers that are skipped, and pods that ask for nothing, are as somebody wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regarding:
    """The object that an Event is about.

    Attributes:
        uid: empty where it is not known yet: look it up, or nobody finds the Event.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is to be told.

    Attributes:
        regarding: about what.
        fallback: about what where that is not there; None where it must be.
        reason: one word in CamelCase, of a closed list.
        note: what to do first, then why; escaped, at most `MAX_NOTE_BYTES`.
    """

    regarding: Regarding
    reason: str
    note: str
    fallback: Regarding | None = None

    @property
    def key(self) -> str:
        """The same for what need not be told again."""
        about = self.regarding
        parts = (about.api_version, about.kind, about.namespace, about.name, about.uid, self.reason, self.note)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def event_name(self) -> str:
        """The Event's name: the same after a restart, so that what was told already is there already."""
        return f"{self.regarding.name[:200].rstrip('.-')}.{self.key}"


def findings(pod: Pod, judgement: Judgement) -> Iterator[Finding]:
    """Yield what somebody must act on about a pod that was created a moment ago."""
    decision, drift = judgement.decision, judgement.drift
    if decision.reason is Reason.MALFORMED_POD and not pod.spec:
        return  # its spec is too long for us to keep; the webhook read all of it
    account = shown(f"{pod.namespace}/{pod.service_account}")
    if drift is not None and drift.kind is Kind.UNPATCHED:
        # No name of a pod, so that a hundred of one owner are told of once.
        restarts = pod.owner.kind in RESTARTABLE or pod.namespace == NEVER_ASKED
        what_to_do = remedy(pod.owner, pod.namespace) if restarts else "create the pod again"
        lacks = f"it runs without {shown(drift.gets, 256)}, which ServiceAccount {account} asks for"
        note = f"{what_to_do}: {lacks}"
        yield _finding(pod, ADMITTED_UNPATCHED, note)
    # What has warnings only has a slip in its annotations, or a value that is not used.
    reason = REASONS.get(decision.reason) or (REASONS[Reason.INVALID_ANNOTATION] if decision.warnings else None)
    if reason is not None and decision.warnings:
        yield _finding(pod, reason, "; ".join(decision.warnings))


def mappings_finding(namespace: str, name: str, problem: str, *, is_read: bool = True) -> Finding:
    """Return what to tell about one *problem* in the ConfigMap of an assignment; *is_read* says if any of it could be.

    What was before is in force in replicas of the webhook that had it; others have nothing, and wait for it.
    """
    about = Regarding(api_version="v1", kind="ConfigMap", namespace=namespace, name=name)
    before = "what was before stays in force, and replicas that start now do not become ready"
    in_force = "the rest stays in force" if is_read else before
    return Finding(regarding=about, reason=INVALID_MAPPINGS, note=_cut(f"{problem}; {in_force}"))


def event(finding: Finding, *, uid: str, now: datetime, instance: str) -> dict[str, Any]:
    """Return the Event to create.

    Args:
        finding: what it says.
        uid: of the object that it is about.
        now: the time.
        instance: which controller writes it, at most 128 characters.
    """
    about = finding.regarding
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": finding.event_name, "namespace": about.namespace},
        "eventTime": micro_time(now),
        "reportingController": REPORTING_CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "InjectIdentity",
        "reason": finding.reason,
        "type": "Warning",
        "note": finding.note,
        "regarding": {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": uid,
        },
    }


def series(count: int, now: datetime) -> dict[str, Any]:
    """Return the merge patch that says how often it was seen; of an Event that is there nothing else may change."""
    return {"series": {"count": max(count, 2), "lastObservedTime": micro_time(now)}}


def events_path(namespace: str) -> str:
    """Return the collection that the Events of *namespace* are in."""
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def uid_path(about: Regarding) -> str:
    """Return where the uid of a ServiceAccount or ConfigMap is read."""
    return f"/api/v1/namespaces/{about.namespace}/{about.kind.lower()}s/{about.name}"


def _finding(pod: Pod, reason: str, note: str) -> Finding:
    itself = Regarding(api_version="v1", kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)
    about = _controller(pod.namespace, pod.controller)
    if about is not None:
        return Finding(regarding=about, reason=reason, note=_cut(note))
    if not is_name(pod.service_account):
        return Finding(regarding=itself, reason=reason, note=_cut(note))
    account = Regarding(api_version="v1", kind="ServiceAccount", namespace=pod.namespace, name=pod.service_account)
    return Finding(regarding=account, reason=reason, note=_cut(note), fallback=itself)


def _controller(namespace: str, controller: Controller | None) -> Regarding | None:
    # Nobody checks what is in ownerReferences. What could be no object is passed over; another object of the same
    # namespace may be named there, and whoever can make pods could write an Event on it as well.
    if controller is None or not is_name(controller.name) or not controller.kind.isalnum():
        return None
    if len(controller.kind) > MAX_KIND_CHARACTERS or not controller.kind.isascii():
        return None
    return Regarding(
        api_version=escaped(controller.api_version[:MAX_NOTE_BYTES]),
        kind=controller.kind,
        namespace=namespace,
        name=controller.name,
        uid=controller.uid[:MAX_KIND_CHARACTERS],
    )


def _cut(note: str) -> str:
    """Return *note* without control characters, in at most `MAX_NOTE_BYTES` of UTF-8."""
    encoded = escaped(note).encode("utf-8", "backslashreplace")
    if len(encoded) <= MAX_NOTE_BYTES:
        return encoded.decode()
    return encoded[: MAX_NOTE_BYTES - 3].decode(errors="ignore") + "…"

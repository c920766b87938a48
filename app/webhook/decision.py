"""(pod, ServiceAccount) -> what to do and why. Pure; the webhook and ``irsa inject`` both end here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.cluster.objects import ServiceAccount
from app.text import shown
from app.webhook.annotations import Vocabulary
from app.webhook.identity import Defaults, Identity, identify
from app.webhook.inject import ConflictError, Injection, MalformedPodError, Object, Operation, operations

MIRROR: Final = "kubernetes.io/config.mirror"
"""On the API's image of a static pod, which may have no projected token (plugin/pkg/admission/serviceaccount)."""

MAX_WARNING_CHARACTERS: Final = 256
"""The apiserver cuts longer ones once they are 4,096 together (apiserver's admission/plugin/webhook)."""

MAX_WARNINGS: Final = 6


class Reason(StrEnum):
    """Why a pod was patched or was not: a closed list, for logs, metrics and the audit annotation."""

    PATCHED = "patched"
    ALREADY_PRESENT = "already_present"
    NO_ROLE = "no_role"
    NO_SERVICE_ACCOUNT = "no_service_account"
    SERVICE_ACCOUNT_NOT_FOUND = "service_account_not_found"
    ALL_CONTAINERS_SKIPPED = "all_containers_skipped"
    CONFLICT = "conflict"
    INVALID_ANNOTATION = "invalid_annotation"
    MIRROR_POD = "mirror_pod"
    MALFORMED_POD = "malformed_pod"
    NOT_A_POD = "not_a_pod"
    NOT_A_CREATION = "not_a_creation"
    INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who asks: what must be known of a pod before the rest of it is looked at."""

    namespace: str
    service_account: str
    pod: str = ""
    """Its name, or its generateName where it has none yet."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    owner_uid: str = ""
    """UID of the object that controls the pod (metadata.ownerReferences); empty where a person or tool made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything the operator chose that a decision depends on."""

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    defaults: Defaults = field(default_factory=Defaults)
    injection: Injection = field(default_factory=Injection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with a pod. It is admitted in any case; `operations` are empty unless the reason is PATCHED."""

    reason: Reason
    operations: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()
    role_arn: str | None = None


def decide(
    subject: Subject, service_account: ServiceAccount | None, *, pod: Callable[[], Object], policy: Policy
) -> Decision:
    """Return what a pod of *subject* gets.

    Args:
        subject: the pod's namespace, ServiceAccount and annotations.
        service_account: that ServiceAccount, or None where nobody knows it.
        pod: gives the whole pod. Called only where it is to be patched, which few are; may raise MalformedPodError.
        policy: the operator's choices.
    """
    if MIRROR in subject.annotations:
        return Decision(reason=Reason.MIRROR_POD)
    if not subject.service_account:
        return Decision(reason=Reason.NO_SERVICE_ACCOUNT)
    name = shown(f"{subject.namespace}/{subject.service_account}")
    if service_account is None:
        return _refusal(
            Reason.SERVICE_ACCOUNT_NOT_FOUND, f"create the pod again: ServiceAccount {name} is not known yet"
        )
    identified = identify(
        service_account.annotations, subject.annotations, vocabulary=policy.vocabulary, defaults=policy.defaults
    )
    warnings = tuple(f"{text} (ServiceAccount {name})" for text in identified.warnings)
    if identified.identity is None:
        reason = Reason.INVALID_ANNOTATION if identified.asked else Reason.NO_ROLE
        return Decision(reason=reason, warnings=bounded(warnings))
    return _inject(pod, identified.identity, policy=policy, warnings=warnings)


def _inject(pod: Callable[[], Object], identity: Identity, *, policy: Policy, warnings: tuple[str, ...]) -> Decision:
    try:
        added = operations(pod(), identity, injection=policy.injection)
    except MalformedPodError as error:
        return _refusal(Reason.MALFORMED_POD, str(error), *warnings)
    except ConflictError as error:
        return _refusal(Reason.CONFLICT, str(error), *warnings)
    if added is None:
        return Decision(reason=Reason.ALL_CONTAINERS_SKIPPED, warnings=bounded(warnings))
    reason = Reason.PATCHED if added else Reason.ALREADY_PRESENT
    return Decision(reason=reason, operations=tuple(added), warnings=bounded(warnings), role_arn=identity.role_arn)


def _refusal(reason: Reason, remedy: str, *warnings: str) -> Decision:
    return Decision(reason=reason, warnings=bounded((f"{remedy}: nothing was injected", *warnings)))


def bounded(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """Return *warnings*, each cut to what the apiserver shows, and no more of them than a person reads."""
    return tuple(
        text if len(text) <= MAX_WARNING_CHARACTERS else text[: MAX_WARNING_CHARACTERS - 1] + "…"
        for text in warnings[:MAX_WARNINGS]
    )


def malformed(what: str) -> Decision:
    """Return the decision on a pod that cannot be read: it is not ours to judge, so it is admitted as it is."""
    return _refusal(Reason.MALFORMED_POD, what)

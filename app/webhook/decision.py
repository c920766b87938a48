"""(pod, ServiceAccount) -> what to do and why. Pure; the webhook and ``irsa inject`` both end here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from app.cluster.objects import UNANNOTATED, ServiceAccount
from app.text import shown
from app.webhook.annotations import BOOLEANS, REQUIRE_IDENTITY, Vocabulary
from app.webhook.container_credentials import NO_IDENTITIES, Identities
from app.webhook.identity import Defaults, Identified, Identity, Source, identify, jittered
from app.webhook.inject import (
    ConflictError,
    Injection,
    MalformedPodError,
    Object,
    Operation,
    check_use,
    operations,
    remarks,
)
from app.webhook.mappings import NO_MAPPINGS, Mappings

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
    """What to do with a pod: `operations` are empty unless the reason is PATCHED."""

    reason: Reason
    operations: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()
    role_arn: str | None = None
    """None in container-credentials mode, where the pod does not say it."""
    source: Source | None = None
    """Who asked for an identity."""
    is_without_account: bool = False
    """Whether it was decided by what the operator assigned alone, knowing nothing of the ServiceAccount."""
    denial: str | None = None
    """The sentence with which the pod is refused, the remedy first; None where it is admitted."""


def decide(
    subject: Subject,
    service_account: ServiceAccount | None,
    *,
    pod: Callable[[], Object],
    policy: Policy,
    mappings: Mappings = NO_MAPPINGS,
    container_credentials: Identities = NO_IDENTITIES,
    is_required: bool = False,
) -> Decision:
    """Return what a pod of *subject* gets.

    Args:
        subject: the pod's namespace, ServiceAccount and annotations.
        service_account: that ServiceAccount, or None where nobody knows it.
        pod: gives the whole pod. Called only where it is to be patched, which few are; may raise MalformedPodError.
        policy: the operator's choices.
        mappings: the operator's map of ServiceAccounts to roles.
        container_credentials: the ServiceAccounts of container-credentials mode.
        is_required: whether the pod's namespace wants an identity for each pod. A ServiceAccount may want it too.
    """
    if MIRROR in subject.annotations:
        mirror = Decision(reason=Reason.MIRROR_POD)
        return required(mirror, subject, vocabulary=policy.vocabulary) if is_required else mirror
    is_required = is_required or (service_account is not None and _requires_identity(service_account))
    decision = _decide(
        subject,
        service_account,
        pod=pod,
        policy=policy,
        mappings=mappings,
        container_credentials=container_credentials,
        is_required=is_required,
    )
    return required(decision, subject, vocabulary=policy.vocabulary) if is_required else decision


def _decide(
    subject: Subject,
    service_account: ServiceAccount | None,
    *,
    pod: Callable[[], Object],
    policy: Policy,
    mappings: Mappings,
    container_credentials: Identities,
    is_required: bool,
) -> Decision:
    if not subject.service_account:
        return Decision(reason=Reason.NO_SERVICE_ACCOUNT)
    identified = identify_subject(
        subject,
        service_account or UNANNOTATED,
        policy=policy,
        mappings=mappings,
        container_credentials=container_credentials,
    )
    if service_account is None and identified.source is None:
        return _refusal(Reason.SERVICE_ACCOUNT_NOT_FOUND, f"create the pod again: {_named(subject)} is not known yet")
    warnings = tuple(f"{text} ({_named(subject)})" for text in identified.warnings)
    if identified.identity is None:
        reason = Reason.INVALID_ANNOTATION if identified.source else Reason.NO_ROLE
        return Decision(reason=reason, warnings=bounded(warnings), source=identified.source)
    decision = _injected(pod, identified.identity, policy=policy, is_required=is_required)
    return replace(
        decision,
        warnings=bounded((*decision.warnings, *warnings)),
        source=identified.source,
        is_without_account=service_account is None,
    )


def identify_subject(
    subject: Subject,
    service_account: ServiceAccount,
    *,
    policy: Policy,
    mappings: Mappings = NO_MAPPINGS,
    container_credentials: Identities = NO_IDENTITIES,
) -> Identified:
    """Return the identity that a pod of *subject* is to get, whatever is in the pod."""
    name = (subject.namespace, subject.service_account)
    identified = identify(
        service_account.annotations,
        subject.annotations,
        vocabulary=policy.vocabulary,
        defaults=policy.defaults,
        mapping=mappings.find(*name),
        uses_container_credentials=name in container_credentials,
    )
    if identified.identity is None:
        return identified
    owner = f"{subject.namespace}/{subject.owner_uid or subject.service_account}"
    spread = jittered(identified.identity, defaults=policy.defaults, owner=owner)
    return identified if spread is identified.identity else replace(identified, identity=spread)


def _injected(pod: Callable[[], Object], identity: Identity, *, policy: Policy, is_required: bool) -> Decision:
    """Return what to add to the pod, or why that cannot be."""
    try:
        document = pod()
        added = operations(document, identity, injection=policy.injection)
        said = remarks(document, identity, injection=policy.injection) if added else []
        if is_required and added is not None:
            said += check_use(document, identity, injection=policy.injection)
    except MalformedPodError as error:
        return _refusal(Reason.MALFORMED_POD, str(error))
    except ConflictError as error:
        return _refusal(Reason.CONFLICT, str(error))
    if added is None:
        return Decision(reason=Reason.ALL_CONTAINERS_SKIPPED)
    return Decision(
        reason=Reason.PATCHED if added else Reason.ALREADY_PRESENT,
        operations=tuple(added),
        warnings=tuple(said),
        role_arn=identity.role_arn or None,
    )


ADMITTED: Final = frozenset({Reason.PATCHED, Reason.ALREADY_PRESENT, Reason.NOT_A_POD, Reason.NOT_A_CREATION})
"""Where nothing is refused, whoever wants an identity. What is no creation of a pod is nothing that could have one.
The mirror pods of kubelets never come here from a namespace that wants identities (the chart's matchConditions let
``system:nodes`` by): who says of another pod that it is one would exempt it."""

REMEDIES: Final = {
    Reason.NO_ROLE: "annotate {service_account} with {role_arn}",
    Reason.NO_SERVICE_ACCOUNT: "name a ServiceAccount in spec.serviceAccountName",
    Reason.ALL_CONTAINERS_SKIPPED: "leave one container at least to skip-containers and include-containers",
    Reason.MIRROR_POD: "remove the annotation kubernetes.io/config.mirror",
    Reason.INTERNAL_ERROR: "try again, and then report it to whoever runs the webhook, whose log says more",
}
"""What to do, where no warning says it."""

NOTHING_INJECTED: Final = ": nothing was injected"
REQUIRED: Final = ": this pod must have an AWS identity and would get none"


def required(decision: Decision, subject: Subject | None = None, *, vocabulary: Vocabulary) -> Decision:
    """Return *decision* on a pod that must have an identity: with a denial where it would get none.

    Args:
        decision: what was decided.
        subject: the pod, where it could be read.
        vocabulary: the names to show.
    """
    if decision.reason in ADMITTED:
        return decision
    if decision.reason in REMEDIES:
        whom = _named(subject) if subject else "its ServiceAccount"
        remedy = REMEDIES[decision.reason].format(service_account=whom, role_arn=vocabulary.key("role-arn"))
    else:
        remedy = decision.warnings[0].removesuffix(NOTHING_INJECTED)
    return replace(decision, denial=_cut(remedy, MAX_WARNING_CHARACTERS - len(REQUIRED)) + REQUIRED)


def _requires_identity(service_account: ServiceAccount) -> bool:
    # What is no boolean counts as true: whoever wrote it wanted it, and is warned.
    value = service_account.annotations.get(REQUIRE_IDENTITY, "")
    return bool(value) and BOOLEANS.get(value, True)


DEPENDENT: Final = frozenset(
    {Reason.NO_ROLE, Reason.INVALID_ANNOTATION, Reason.ALL_CONTAINERS_SKIPPED, Reason.CONFLICT}
)
"""Where other annotations on the ServiceAccount could make an identity of it."""


def needs_confirmation(decision: Decision, subject: Subject, *, is_recent: bool) -> bool:
    """Return whether a live look at the ServiceAccount could change *decision*, and is worth its time.

    It is where nothing is known of the ServiceAccount. Where it is known, but not as one with a role of its own, it may
    have been annotated a moment ago. That is likely where a person makes pod and ServiceAccount with one command, so
    the pod has no controller, and where the ServiceAccount is new; and before a pod is refused there is always time.
    Every other pod must not wait.

    Args:
        decision: what was decided by what is known.
        subject: the pod.
        is_recent: whether the ServiceAccount was made or changed a short time ago, as far as is known.
    """
    if decision.reason is Reason.SERVICE_ACCOUNT_NOT_FOUND or decision.is_without_account:
        return True
    if decision.reason not in DEPENDENT and decision.source is not Source.MAPPING:
        return False
    return is_recent or not subject.owner_uid or decision.denial is not None


def _named(subject: Subject) -> str:
    return f"ServiceAccount {shown(f'{subject.namespace}/{subject.service_account}')}"


def _refusal(reason: Reason, remedy: str) -> Decision:
    return Decision(reason=reason, warnings=bounded((remedy + NOTHING_INJECTED,)))


def bounded(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """Return *warnings*, each cut to what the apiserver shows, and no more of them than a person reads."""
    return tuple(_cut(text, MAX_WARNING_CHARACTERS) for text in warnings[:MAX_WARNINGS])


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def malformed(remedy: str) -> Decision:
    """Return the decision on a pod that cannot be read: it is not ours to judge, so nothing is added to it."""
    return _refusal(Reason.MALFORMED_POD, remedy)

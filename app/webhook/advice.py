"""(change, ServiceAccount) -> what the person who makes the change is told. Pure.

Pods are made by controllers, which read no warnings. So what would be said of a pod is said of its ServiceAccount and
of its template, to whoever types those:

- of a ServiceAccount: which of its annotations cannot be used, and that running pods keep what they have;
- of a template: what `decide` says of its pods, and which annotations on the workload itself are in vain.

Nothing is said of what a controller does: of objects that another one owns, and of updates in which neither the
template nor an annotation of ours is another than before. Else the same is said each time.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.cluster.objects import ServiceAccount, service_account
from app.text import shown
from app.webhook.annotations import KNOWN, MAX_ANNOTATIONS, MAX_SLIPS, ON_POD, REQUIRE_IDENTITY, Vocabulary
from app.webhook.change import Change, annotations_of
from app.webhook.decision import (
    NOTHING_INJECTED,
    REMEDIES,
    REQUIRED,
    Reason,
    Subject,
    bounded,
)
from app.webhook.identity import Identified
from app.webhook.inject import MalformedPodError, Object
from app.webhook.rules import Rules
from app.webhook.workloads import DEFAULT_SERVICE_ACCOUNT, Workload, workloads

PODS_GET_NOTHING: Final = ": its pods will get nothing"
PODS_ARE_REFUSED: Final = ": its pods must have an AWS identity and will be refused"
UNTIL_RESTARTED: Final = "restart this ServiceAccount's running pods, irsa drift lists them: until then they "


def subject_of(change: Change, *, vocabulary: Vocabulary) -> Subject | None:
    """Return for whom the pods of *change* will ask, so that their ServiceAccount can be looked up; mostly None."""
    workload = _workload(change.after, change.namespace)
    if workload is None or not _is_news(change, vocabulary):
        return None
    try:
        subject = workload.subject()
    except MalformedPodError:  # the apiserver will say so
        return None
    return subject if len(subject.annotations) <= MAX_ANNOTATIONS else None


def advice(change: Change, known: ServiceAccount | None, *, rules: Rules) -> tuple[str, ...]:
    """Return what to tell the person who makes *change*; mostly nothing.

    Args:
        change: an object of any kind.
        known: the ServiceAccount of `subject_of`; None where there is none.
        rules: the operator's choices.
    """
    if not _is_news(change, rules.vocabulary):
        return ()
    if _is_service_account(change.after):
        return bounded(tuple(_on_service_account(change, rules)))
    workload, subject = _workload(change.after, change.namespace), subject_of(change, vocabulary=rules.vocabulary)
    if workload is None or subject is None:
        return ()
    in_vain = itertools.islice(_in_vain(change, workload, subject, rules.vocabulary), MAX_SLIPS)
    texts = (*_on_pods(workload, subject, known, rules), *in_vain)
    return bounded(tuple(dict.fromkeys(texts)))


def _is_news(change: Change, vocabulary: Vocabulary) -> bool:
    """Return whether somebody typed something that is read here."""
    if change.is_of_a_controller or change.is_deletion:
        return False
    return change.before is None or _read(change.before, vocabulary) != _read(change.after, vocabulary)


def _read(document: Object, vocabulary: Vocabulary) -> tuple[Mapping[str, str], Any]:
    """Return what of an object counts here: annotations of ours and the template."""
    annotations = annotations_of(document)
    workload = _workload(document, "")
    ours = {key: annotations[key] for key in vocabulary.concerning(annotations)}
    return ours, None if workload is None else workload.pod


def _is_service_account(document: Object) -> bool:
    return document.get("apiVersion") == "v1" and document.get("kind") == "ServiceAccount"


def _workload(document: Object, namespace: str) -> Workload | None:
    """Return the workload that *document* is; a pod, which is asked about elsewhere, is none."""
    found = next(workloads(document, namespace=namespace), None)
    return found if found is not None and found.kind != "Pod" else None


def _on_service_account(change: Change, rules: Rules) -> Iterator[str]:
    subject = Subject(namespace=change.namespace, service_account=change.name)
    after = service_account(annotations_of(change.after), keep=rules.vocabulary)
    now = rules.identify(subject, after)
    yield from now.warnings
    if now.source is None and not now.warnings:
        yield from _without_a_role(after.annotations, rules.vocabulary)
    if change.before is not None and (now.identity or now.source is None):
        before = rules.identify(subject, service_account(annotations_of(change.before), keep=rules.vocabulary))
        yield from _until_restarted(before, now)


def _without_a_role(annotations: Mapping[str, str], vocabulary: Vocabulary) -> Iterator[str]:
    key = next(filter(vocabulary.longest().__contains__, annotations), None)
    if key is not None and annotations[key]:
        does = "refuses its pods" if key == REQUIRE_IDENTITY else "does nothing"
        yield f"add {vocabulary.key('role-arn')} to the ServiceAccount: without a role {key} {does}"


def _until_restarted(before: Identified, now: Identified) -> Iterator[str]:
    if before.identity == now.identity:
        return
    if before.identity is None:
        yield f"{UNTIL_RESTARTED}have no role"
    elif now.identity is None or before.identity.role_arn != now.identity.role_arn:
        yield f"{UNTIL_RESTARTED}keep {shown(before.identity.role_arn) if before.identity.role_arn else 'their role'}"
    else:
        yield f"{UNTIL_RESTARTED}keep their settings"


def _on_pods(workload: Workload, subject: Subject, known: ServiceAccount | None, rules: Rules) -> Iterator[str]:
    decision = rules.decide(subject, known, pod=lambda: workload.pod)
    if decision.reason is Reason.SERVICE_ACCOUNT_NOT_FOUND:
        if subject.service_account != DEFAULT_SERVICE_ACCOUNT:  # which every namespace gets in a moment
            name = shown(f"{subject.namespace}/{subject.service_account}")
            yield f"create ServiceAccount {name} too: it is not known yet, and pods cannot be made without it"
        yield from rules.vocabulary.slips(subject.annotations, "pod")
        return
    refused = decision.denial.removesuffix(REQUIRED) if decision.denial else None
    if refused is not None:
        yield refused + PODS_ARE_REFUSED
    elif decision.reason is Reason.ALL_CONTAINERS_SKIPPED:
        yield REMEDIES[decision.reason] + PODS_GET_NOTHING
    for text in decision.warnings:
        remedy = text.removesuffix(NOTHING_INJECTED)
        if remedy != refused:
            yield text if remedy == text else remedy + PODS_GET_NOTHING


def _in_vain(change: Change, workload: Workload, subject: Subject, vocabulary: Vocabulary) -> Iterator[str]:
    """Yield what annotations on the workload itself should be where they are read."""
    for key in vocabulary.concerning(annotations_of(change.after)):
        name = key.partition("/")[2]
        if name not in KNOWN and key != REQUIRE_IDENTITY:
            continue
        meant = key if key == REQUIRE_IDENTITY else vocabulary.key(name)
        to = "pod template" if name in ON_POD else f"ServiceAccount {shown(subject.service_account)}"
        if key == meant:
            yield f"move {key} to the {to}: on the {workload.kind} it is ignored"
        else:
            yield f"write {meant} on the {to} instead of {shown(key)} on the {workload.kind}: it is ignored"

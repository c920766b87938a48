"""Manifests and ServiceAccounts -> the manifests as the webhook would have them, and what to tell the user. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.cluster.manifests import Document, service_accounts_in
from app.cluster.source import ServiceAccounts
from app.manifests import patching, positions
from app.manifests.documents import Manifest
from app.manifests.edits import UneditableError
from app.text import shown
from app.webhook.container_credentials import NO_IDENTITIES, Identities
from app.webhook.decision import Decision, Policy, Reason, malformed
from app.webhook.inject import MalformedPodError, Operation
from app.webhook.mappings import NO_MAPPINGS, Mappings
from app.webhook.rules import Rules
from app.webhook.workloads import Workload, workloads

HOLD_SERVICE_ACCOUNTS: Final = ("List", "ServiceAccount", "ServiceAccountList")

UNEDITABLE: Final = "left alone: write out its aliases, or give each key a line of its own, and try again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """A file after the injection.

    Attributes:
        text: all of it.
        notices: a line for each thing that its user should know.
        complete: whether everything is in it that the webhook would have added.
    """

    text: str
    notices: tuple[str, ...] = ()
    complete: bool = True


def service_accounts(manifests: Iterable[Manifest], *, policy: Policy, namespace: str) -> ServiceAccounts:
    """Return the ServiceAccounts in *manifests*; those that name no namespace are in *namespace*.

    Raises:
        ManifestError: one of them could never be created.
    """
    documents = [
        document
        for manifest in manifests
        for document in manifest.documents
        if isinstance(document.content, dict) and document.content.get("kind") in HOLD_SERVICE_ACCOUNTS
    ]
    return service_accounts_in(documents, keep=policy.vocabulary, namespace=namespace)


def inject(
    manifest: Manifest,
    known: ServiceAccounts,
    *,
    policy: Policy,
    namespace: str,
    mappings: Mappings = NO_MAPPINGS,
    container_credentials: Identities = NO_IDENTITIES,
) -> Injected:
    """Return *manifest* with what the webhook would add to the pods in it.

    Args:
        manifest: the file.
        known: the ServiceAccounts. A pod whose ServiceAccount is not among them is left alone.
        policy: the operator's choices.
        namespace: where objects go that name no namespace.
        mappings: roles of ServiceAccounts that carry none themselves.
        container_credentials: the ServiceAccounts of that mode.
    """
    rules = Rules(policy=policy, mappings=mappings, container_credentials=container_credentials)
    outcomes = [_decisions(document, known, rules, namespace=namespace) for document in manifest.documents]
    text, uneditable = _patched(manifest, [_operations(outcome) for outcome in outcomes])
    notices = [
        f"{workload}: {line}"
        for index, outcome in enumerate(outcomes)
        for workload, decision in outcome
        for line in _lines(decision, is_uneditable=index in uneditable)
    ]
    return Injected(text=text, notices=tuple(notices), complete=not uneditable)


def _lines(decision: Decision, *, is_uneditable: bool) -> Iterator[str]:
    yield from decision.warnings
    if decision.denial:
        yield f"the webhook would refuse it; {decision.denial}"
    if decision.operations and is_uneditable:
        yield UNEDITABLE


_Decided = tuple[Workload, Decision]


def _decisions(document: Document, known: ServiceAccounts, rules: Rules, *, namespace: str) -> list[_Decided]:
    if not isinstance(document.content, dict):
        return []
    found = workloads(document.content, namespace=namespace)
    return [(workload, _decide(workload, known, rules)) for workload in found]


def _decide(workload: Workload, known: ServiceAccounts, rules: Rules) -> Decision:
    try:
        subject = workload.subject()
    except MalformedPodError as error:
        return malformed(str(error))
    service_account = known.get(subject.namespace, subject.service_account)
    decision = rules.decide(subject, service_account, pod=lambda: workload.pod)
    if decision.reason is Reason.SERVICE_ACCOUNT_NOT_FOUND:
        name = shown(f"{subject.namespace}/{subject.service_account}")
        # The webhook's advice is for a pod that came before its ServiceAccount.
        text = f"left alone: no manifest has ServiceAccount {name}; name its folder with --service-accounts"
        return replace(decision, warnings=(text,))
    return decision


def _operations(outcome: Sequence[_Decided]) -> list[Operation]:
    return [
        {**operation, "path": workload.path + operation["path"]}
        for workload, decision in outcome
        for operation in decision.operations
    ]


def _patched(manifest: Manifest, operations: Sequence[Sequence[Operation]]) -> tuple[str, set[int]]:
    """Return the text with *operations* on each document, and which documents cannot be edited."""
    if not any(operations):
        return manifest.text, set()
    pairs = list(zip(manifest.documents, operations, strict=True))
    if manifest.json:
        texts = [patching.patched_json(document.content, added) for document, added in pairs]
        return "\n".join(texts) + ("\n" if manifest.text.endswith("\n") else ""), set()
    texts = positions.split(manifest.text) if len(pairs) > 1 else [manifest.text]
    uneditable: set[int] = set()
    for index, (document, added) in enumerate(pairs):
        try:
            texts[index] = patching.patched_yaml(texts[index], document.content, added) if added else texts[index]
        except UneditableError:
            uneditable.add(index)
    return "".join(texts), uneditable

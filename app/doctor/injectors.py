"""Who else gives pods of the cluster their roles: by names and images of what runs. Pure."""

from collections.abc import Iterator
from typing import Final

from app.doctor.findings import Finding, ok, unknown, warning
from app.doctor.record import WEBHOOK, Document, Several, Unread, dig, listed
from app.text import shown

OTHERS: Final = "other injectors"

INJECTORS: Final = {
    "amazon-eks-pod-identity-webhook": "AWS's own webhook",
    "pod-identity-webhook": "AWS's own webhook",
    "kube2iam": "kube2iam",
    "kiam": "kiam",
}
"""Words in names and images of those who do the same, and who they are."""


def others(configurations: Several, daemon_sets: Several, deployments: Several) -> Finding:
    """Return who is among a cluster's MutatingWebhookConfigurations, DaemonSets and Deployments besides us."""
    kinds = {
        "MutatingWebhookConfiguration": configurations,
        "DaemonSet": daemon_sets,
        "Deployment": deployments,
    }
    found = list(dict.fromkeys(who for kind, several in kinds.items() for who in _injectors(kind, several)))
    if found:
        return warning(
            OTHERS,
            shown(listed(found), 300),
            meaning="two give pods of one cluster their roles: AWS's webhook reads the same annotations as ours, and"
            " kube2iam and kiam answer pods that have no role of ours",
            remedy="move one namespace after the other, see that `irsa access` shows no legacy annotation, then remove"
            " the other one",
        )
    unread = next((several for several in kinds.values() if isinstance(several, Unread)), None)
    return unknown(OTHERS, unread) if unread else ok(OTHERS, "none")


def _injectors(kind: str, several: Several) -> Iterator[str]:
    for document in () if isinstance(several, Unread) else several:
        who = _injector(document)
        if who:
            namespace, name = document["metadata"].get("namespace"), document["metadata"]["name"]
            yield f"{kind} {f'{namespace}/' if namespace else ''}{name} ({who})"


def _injector(document: Document) -> str | None:
    name = document["metadata"]["name"]
    if name == WEBHOOK:
        return None
    containers = dig(document, "spec", "template", "spec", "containers") or ()
    images = [str(container.get("image") or "").rpartition("/")[2] for container in containers]
    words = [word.partition(":")[0].partition("@")[0] for word in (name, *images)]
    return next((who for mark, who in INJECTORS.items() if any(_is_of(word, mark) for word in words)), None)


def _is_of(word: str, mark: str) -> bool:
    return word == mark or word.startswith(f"{mark}-") or word.endswith(f"-{mark}")

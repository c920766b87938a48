"""Pods that drifted -> what a person is told and does: one entry for each owner and difference. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from app.access.drift import Drift
from app.access.output import inert
from app.access.owners import Owner, remedy
from app.access.pods import Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """Pods of one owner that differ alike from what they would get today."""

    namespace: str
    owner: Owner
    service_account: str
    drift: Drift
    pods: tuple[str, ...]


def grouped(found: Iterable[tuple[Pod, Drift]]) -> list[Drifted]:
    """Return *found* by owner and difference, sorted by namespace and owner."""
    groups: dict[tuple[str, Owner, str, Drift], list[str]] = {}
    for pod, drift in found:
        groups.setdefault((pod.namespace, pod.owner, pod.service_account, drift), []).append(pod.name)
    return [
        Drifted(
            namespace=namespace,
            owner=owner,
            service_account=service_account,
            drift=drift,
            pods=tuple(sorted(groups[namespace, owner, service_account, drift])),
        )
        for namespace, owner, service_account, drift in sorted(
            groups, key=lambda key: (key[0], key[1].kind, key[1].name, key[2], str(key[3]))
        )
    ]


def lines(found: Iterable[Drifted]) -> Iterator[str]:
    """Yield what to tell a person: each entry, and below it what mends it."""
    for one in found:
        count = "1 pod" if len(one.pods) == 1 else f"{len(one.pods)} pods"
        yield f"{inert(one.namespace)} {one.owner} ({count}, {one.drift.kind}) {inert(str(one.drift))}"
        yield f"  {remedy(one.owner, one.namespace)}"


def as_object(one: Drifted) -> dict[str, Any]:
    """Return *one* for JSON."""
    return {
        "namespace": one.namespace,
        "owner": {"kind": one.owner.kind, "name": one.owner.name},
        "service_account": one.service_account,
        "pods": one.pods,
        "kind": one.drift.kind.value,
        "field": one.drift.field,
        "has": one.drift.has,
        "would_get": one.drift.gets,
        "remedy": remedy(one.owner, one.namespace),
    }

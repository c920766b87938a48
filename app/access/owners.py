"""A pod's metadata -> the object that controls it, and what a person restarts to have it anew. Pure.

Nothing but the pod is read: a Deployment's ReplicaSet has the Deployment's name and a hash, which the pod has as a
label (pkg/controller/deployment/sync.go); a CronJob's Job has the CronJob's name and the minutes since 1970
(pkg/controller/cronjob/cronjob_controllerv2.go, getJobName).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from app.cluster.paths import is_name
from app.text import shown

TEMPLATE_HASH: Final = "pod-template-hash"

SCHEDULED_JOB: Final = re.compile(r"(.+)-[0-9]{8}")
"""Minutes since 1970 have eight digits from 1989 to 2160."""

NEVER_ASKED: Final = "kube-system"
"""The chart excludes it, so that no webhook locks a cluster: there a restart changes nothing."""

RESTARTABLE: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""What ``kubectl rollout restart`` restarts (kubectl's polymorphichelpers/objectrestarter.go)."""

REMEDIES: Final = {
    "CronJob": "wait for the next Job of {}, or delete the one that runs",
    "Job": "delete {} and create it again: a Job's pods are never replaced",
    "Pod": "delete {} and create it again: nothing controls it",
}
OTHER_REMEDY: Final = "delete the pods of {}: their controller makes new ones"


class Reference(Protocol):
    """An item of ``metadata.ownerReferences``."""

    @property
    def api_version(self) -> str:
        """Group and version."""

    @property
    def kind(self) -> str:
        """Its kind."""

    @property
    def name(self) -> str:
        """Its name, in the pod's namespace."""

    @property
    def uid(self) -> str:
        """Its UID."""

    @property
    def controller(self) -> bool | None:
        """Whether it controls the pod; of one pod at most one owner does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """The object that made the pod and makes it again; an Event about the pod is written on it."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a person knows the pod by and restarts: a Deployment, not its ReplicaSet. A bare pod is its own."""

    kind: str
    name: str

    def __str__(self) -> str:
        name = self.name if is_name(self.name) else shown(self.name)
        return f"{self.kind if self.kind.isalnum() and self.kind.isascii() else shown(self.kind)}/{name}"


def controller_of(references: Iterable[Reference]) -> Controller | None:
    """Return the one of *references* that controls the pod, or None."""
    for one in references:
        if one.controller:
            return Controller(api_version=one.api_version, kind=one.kind, name=one.name, uid=one.uid)
    return None


def owner_of(controller: Controller, template_hash: str | None) -> Owner:
    """Return what a person restarts.

    Args:
        controller: what controls the pod.
        template_hash: the pod's label `TEMPLATE_HASH`.
    """
    group = controller.api_version.partition("/")[0]
    if (group, controller.kind) == ("apps", "ReplicaSet") and template_hash:
        name = controller.name.removesuffix(f"-{template_hash}")
        if name != controller.name:
            return Owner(kind="Deployment", name=name)
    if (group, controller.kind) == ("batch", "Job") and (scheduled := SCHEDULED_JOB.fullmatch(controller.name)):
        return Owner(kind="CronJob", name=scheduled[1])
    return Owner(kind=controller.kind, name=controller.name)


def remedy(owner: Owner, namespace: str) -> str:
    """Return the command that makes the pods of *owner* anew, or the sentence that says how; one line, inert.

    Nobody checks the names in ownerReferences, so one that is no name comes into no command.
    """
    if not is_name(owner.name) or not is_name(namespace):
        return f"delete the pods of {owner} ({shown(namespace)}): no object can have that name"
    if namespace == NEVER_ASKED:
        return f"move {owner} out of {namespace}: the webhook is never asked about pods there"
    if owner.kind in RESTARTABLE:
        return f"kubectl rollout restart {owner.kind.lower()}/{owner.name} -n {namespace}"
    return REMEDIES.get(owner.kind, OTHER_REMEDY).format(f"{owner} ({namespace})")

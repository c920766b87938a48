"""A Kubernetes object -> the pods that it is or makes. Pure.

=======================================  =====================================
kind                                     its pod
=======================================  =====================================
Pod                                      the object itself
PodTemplate                              /template
CronJob                                  /spec/jobTemplate/spec/template
Deployment, StatefulSet, DaemonSet,      /spec/template
ReplicaSet, ReplicationController, Job
List, DeploymentList, ...                of each of its /items
=======================================  =====================================

The group counts and the version does not: versions that are gone had the pod at the same place, and a custom resource
that is called Job has it somewhere else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.text import shown
from app.webhook.decision import Subject
from app.webhook.inject import MalformedPodError

PODS: Final[Mapping[tuple[str, str], str]] = {
    ("", "Pod"): "",
    ("", "PodTemplate"): "/template",
    ("", "ReplicationController"): "/spec/template",
    ("apps", "DaemonSet"): "/spec/template",
    ("apps", "Deployment"): "/spec/template",
    ("apps", "ReplicaSet"): "/spec/template",
    ("apps", "StatefulSet"): "/spec/template",
    ("batch", "CronJob"): "/spec/jobTemplate/spec/template",
    ("batch", "Job"): "/spec/template",
    ("extensions", "DaemonSet"): "/spec/template",
    ("extensions", "Deployment"): "/spec/template",
    ("extensions", "ReplicaSet"): "/spec/template",
}
"""(API group, kind) -> JSON pointer to the pod."""

DEFAULT_SERVICE_ACCOUNT: Final = "default"
"""What kube-apiserver gives a pod that names none (plugin/pkg/admission/serviceaccount)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """An object that is a pod or makes pods.

    Attributes:
        kind: such as Deployment.
        name: its name, or its generateName.
        namespace: where it will be.
        path: JSON pointer from the document to the pod.
        pod: the pod or pod template, whatever stands there.
    """

    kind: str
    name: str
    namespace: str
    path: str
    pod: Any

    def __str__(self) -> str:
        return f"{self.kind}/{_shown(self.name)} ({_shown(self.namespace)})"

    def subject(self) -> Subject:
        """Return who asks for an injection.

        Raises:
            MalformedPodError: there is no pod, or it says so in other types than Kubernetes has.
        """
        pod = _object(self.pod, "a pod template", self.path)
        spec = _object(pod.get("spec"), "an object", f"{self.path}/spec")
        names = [_string(spec, key, f"{self.path}/spec") for key in ("serviceAccountName", "serviceAccount")]
        metadata = _object(pod.get("metadata") or {}, "an object", f"{self.path}/metadata")
        annotations = _object(metadata.get("annotations") or {}, "an object", f"{self.path}/metadata/annotations")
        return Subject(
            namespace=self.namespace,
            service_account=names[0] or names[1] or DEFAULT_SERVICE_ACCOUNT,
            pod=self.name,
            annotations={key: _string(annotations, key, f"{self.path}/metadata/annotations") for key in annotations},
        )


def workloads(manifest: Mapping[str, Any], *, namespace: str) -> Iterator[Workload]:
    """Yield the workloads in one document, those in a list included.

    Args:
        manifest: the document.
        namespace: where objects go that name no namespace.
    """
    group, kind = _group(manifest.get("apiVersion")), str(manifest.get("kind"))
    items, listed = manifest.get("items"), kind.removesuffix("List")
    if isinstance(items, list) and ((group, kind) == ("", "List") or (kind != listed and (group, listed) in PODS)):
        # Items of a typed list need not say their kind again.
        given = {} if kind == "List" else {"apiVersion": manifest.get("apiVersion"), "kind": listed}
        for index, item in enumerate(items):
            if isinstance(item, dict):
                yield from _workload({**given, **item}, f"/items/{index}", namespace=namespace)
    else:
        yield from _workload(manifest, "", namespace=namespace)


def _workload(manifest: Mapping[str, Any], path: str, *, namespace: str) -> Iterator[Workload]:
    kind = str(manifest.get("kind"))
    to_pod = PODS.get((_group(manifest.get("apiVersion")), kind))
    if to_pod is None:
        return
    metadata = manifest.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    pod: Any = manifest
    for key in to_pod.split("/")[1:]:
        pod = pod.get(key) if isinstance(pod, dict) else None
    yield Workload(
        kind=kind,
        name=str(metadata.get("name") or metadata.get("generateName") or "(no name)"),
        namespace=str(metadata.get("namespace") or namespace),
        path=path + to_pod,
        pod=pod,
    )


def _group(version: object) -> str:
    group, slash, _ = str(version).partition("/")
    return group if slash else ""


def _object(value: Any, what: str, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedPodError(f"write {what} at {path}")
    return value


def _string(parent: dict[str, Any], key: str, path: str) -> str:
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedPodError(f"write a string at {path}/{shown(key)[1:-1]}")
    return value


def _shown(name: str) -> str:
    """Return *name* as it is if it could be one, so that a line of output stays a line."""
    quoted = shown(name)
    return name if quoted[1:-1] == name else quoted

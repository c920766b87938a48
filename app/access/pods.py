"""A pod of the API -> what we keep of it. Pure.

A cluster has 100,000 pods and most are replicas of another one, so what a decision reads of the spec is kept as JSON
text, interned: the replicas of a Deployment share one. Values of variables are kept for `KEPT_VALUES` only, of others
not even the name: they may hold secrets.
"""

import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from app.access.owners import TEMPLATE_HASH, Controller, Owner, controller_of, owner_of
from app.cluster.api import Collection
from app.cluster.kinds import PODS, Kind, ObjectMeta
from app.cluster.objects import MAX_VALUE_CHARACTERS, bytes_of, kept_annotations
from app.text import SHOWN_CHARACTERS
from app.webhook.annotations import Vocabulary
from app.webhook.decision import MIRROR, Subject
from app.webhook.inject import LABEL, MalformedPodError, Object
from app.webhook.plan import CONFIG_ANNOTATION

OPTED_OUT: Final = "eks.amazonaws.com/skip-pod-identity-webhook"
"""On pods that no webhook is asked about, by a condition of the chart as of the AWS webhook's manifests."""

KEPT_LABELS: Final = (LABEL, OPTED_OUT)

LEGACY_ROLE: Final = "iam.amazonaws.com/role"
"""The pod annotation of kube2iam and kiam."""

KEPT_VALUES: Final = frozenset(
    {
        "AWS_CONFIG_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    }
)
"""Variables that say who the pod is in AWS, none of them a secret; NO_PROXY is a list of names."""

KEPT_NAMES: Final = ("AWS_", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
"""Beginnings of the names of variables that a decision asks for."""

FURTHER: Final = {LEGACY_ROLE: MAX_VALUE_CHARACTERS, CONFIG_ANNOTATION: 16_384}
"""Annotations that are kept besides those that the webhook reads, and characters of each that can be good, all of them
ASCII: a config file with 16 profiles has 4,000. What is another is cut, and then differs."""

API_ACCESS: Final = "kube-api-access-"
"""Before the random end of the volume that every pod has (plugin/pkg/admission/serviceaccount)."""

OS: Final = frozenset({"kubernetes.io/os", "beta.kubernetes.io/os"})
"""Labels of nodes that say which system they run."""

MAX_SPEC_CHARACTERS: Final = 32_768
"""Of what is kept of a spec; ten containers with a dozen mounts each take 10,000. Of a longer one nothing is kept. With
one emoji a character of Python's text takes four bytes, and so four of these."""

MAX_GENERATED_BEGINNING: Final = 58
GENERATED_END: Final = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{5}")
"""How kube-apiserver makes a name (apiserver's storage/names and apimachinery's util/rand)."""

RUNNING: Final = frozenset({"Pending", "Running"})

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class _Variable(msgspec.Struct, omit_defaults=True, gc=False):
    name: str
    value: str | None = None
    value_from: Any = msgspec.field(default=None, name="valueFrom")


class _Mount(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    name: str
    mount_path: str = ""
    sub_path: str | None = None
    sub_path_expr: str | None = None
    read_only: bool | None = None


class _Device(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    name: str
    device_path: str = ""


class _Container(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    name: str
    env: list[_Variable] | None = None
    volume_mounts: list[_Mount] | None = None
    volume_devices: list[_Device] | None = None


class _Volume(msgspec.Struct, rename={"downward_api": "downwardAPI"}, omit_defaults=True, gc=False):
    name: str
    projected: Any = None
    downward_api: Any = None


class _Affinity(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    node_affinity: Any = None


class _Spec(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    containers: list[_Container]
    init_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    os: dict[str, Any] | None = None
    node_selector: dict[str, str] | None = None
    affinity: _Affinity | None = None
    service_account_name: str | None = None
    service_account: str | None = None


class _Status(msgspec.Struct, gc=False):
    phase: str = ""


class _OwnerReference(msgspec.Struct, rename="camel", gc=False):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class _Metadata(ObjectMeta):
    generate_name: str = ""
    uid: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_OwnerReference] | None = None


class Document(msgspec.Struct, gc=False):
    """A pod as the API sends it: the fields that are read here, and no others."""

    metadata: _Metadata
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What we keep of a pod.

    Attributes:
        generate_name: the beginning of its name, where the API has made up the rest; else empty.
        created: seconds since 1970.
        labels: `KEPT_LABELS`.
        annotations: those that are read, or that somebody must be told of.
        spec: what a decision reads of the spec, as JSON; empty where the spec is too long.
    """

    namespace: str
    name: str
    generate_name: str
    uid: str
    created: float
    service_account: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    controller: Controller | None
    owner: Owner
    spec: str

    @property
    def subject(self) -> Subject:
        """Who asked for an injection when the pod was created."""
        return Subject(
            namespace=self.namespace,
            service_account=self.service_account,
            pod=self.generate_name or self.name,
            annotations=self.annotations,
            owner_uid=self.controller.uid if self.controller else "",
        )

    def document(self) -> Object:
        """Return the pod as far as a decision reads it, a new one each time: as it was before the API named it.

        Raises:
            MalformedPodError: its spec is too long.
        """
        if not self.spec:
            raise MalformedPodError(f"write a spec of at most {MAX_SPEC_CHARACTERS} characters, got more")
        metadata: Object = {"generateName": self.generate_name} if self.generate_name else {"name": self.name}
        metadata["namespace"] = self.namespace
        if self.labels:
            metadata["labels"] = dict(self.labels)
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        if self.controller is not None:
            owner = self.controller
            reference = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
            metadata["ownerReferences"] = [{**reference, "controller": True}]
        return {"kind": "Pod", "metadata": metadata, "spec": msgspec.json.decode(self.spec)}


def running_pods(vocabulary: Vocabulary, *, namespace: str = "") -> Kind[Pod]:
    """Return the kind of the pods that run or will, of one *namespace* or of all.

    Args:
        vocabulary: says which annotations are kept.
        namespace: whose; empty for all.
    """
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else PODS
    return Kind("pods", Collection(path=path), item=Document, keep=lambda document: running_pod(document, vocabulary))


def running_pod(document: Document, vocabulary: Vocabulary) -> Pod | None:
    """Return what we keep of a pod; None where it has ended, is being deleted, or is the image of a static pod."""
    metadata, spec = document.metadata, document.spec
    is_static = MIRROR in (metadata.annotations or NOTHING)
    if is_static or metadata.deletion_timestamp or document.status.phase not in RUNNING:
        return None
    labels = metadata.labels or NOTHING
    controller, owner = _made_by(controller_of(metadata.owner_references or ()), labels.get(TEMPLATE_HASH))
    return Pod(
        namespace=sys.intern(metadata.namespace),
        name=metadata.name,
        generate_name=_generate_name(metadata),
        uid=metadata.uid,
        created=_seconds(metadata.creation_timestamp),
        service_account=sys.intern(spec.service_account_name or spec.service_account or ""),
        labels={key: labels[key] for key in KEPT_LABELS if key in labels} or NOTHING,
        annotations=_annotations(metadata.annotations, vocabulary),
        controller=controller,
        owner=owner or Owner(kind="Pod", name=metadata.name),
        spec=_reduced(spec),
    )


@functools.lru_cache(maxsize=4096)
def _made_by(controller: Controller | None, template_hash: str | None) -> tuple[Controller | None, Owner | None]:
    # The same two objects for all replicas, which come one behind the other in a list: 40 MB less of 100,000 pods.
    return controller, None if controller is None else owner_of(controller, template_hash)


def _generate_name(metadata: _Metadata) -> str:
    """Return the generateName of a pod that the API named; who makes a StatefulSet's pods sets both names."""
    beginning = metadata.generate_name[:MAX_GENERATED_BEGINNING]
    end = metadata.name.removeprefix(beginning)
    return sys.intern(metadata.generate_name) if beginning and GENERATED_END.fullmatch(end) else ""


def _annotations(annotations: Mapping[str, str] | None, vocabulary: Vocabulary) -> Mapping[str, str]:
    if not annotations:
        return NOTHING
    found = kept_annotations(annotations, keep=vocabulary)
    for key in FURTHER.keys() & annotations.keys():
        value = annotations[key]
        found[key] = value[: (FURTHER[key] if value.isascii() else SHOWN_CHARACTERS) + 1]
    return {key: sys.intern(value) for key, value in found.items()} or NOTHING


def _reduced(spec: _Spec) -> str:
    for container in (*spec.containers, *(spec.init_containers or ())):
        if container.env:
            container.env = [_variable(one) for one in container.env if one.name.startswith(KEPT_NAMES)] or None
        for mount in container.volume_mounts or ():
            mount.name = _without_random_end(mount.name)
    for volume in spec.volumes or ():
        name = _without_random_end(volume.name)
        if name != volume.name:
            volume.name, volume.projected = name, None
    spec.node_selector = {key: value for key, value in (spec.node_selector or {}).items() if key in OS} or None
    if spec.affinity and b"kubernetes.io/os" not in msgspec.json.encode(spec.affinity):
        spec.affinity = None
    text = msgspec.json.encode(spec).decode()
    return sys.intern(text) if bytes_of(text) <= MAX_SPEC_CHARACTERS else ""


def _variable(one: _Variable) -> _Variable:
    # Where a value comes from is no secret, and whether there is one counts.
    return one if one.name in KEPT_VALUES or one.name.upper() == "NO_PROXY" else _Variable(one.name)


def _without_random_end(name: str) -> str:
    return API_ACCESS if name.startswith(API_ACCESS) else name


def _seconds(timestamp: str | None) -> float:
    """Return an RFC 3339 *timestamp* as seconds since 1970, 0 where it is none."""
    try:
        return datetime.fromisoformat(timestamp or "").timestamp()
    except ValueError:
        return 0.0

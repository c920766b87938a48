"""Pods with every field of the Pod API, made from the OpenAPI document of an API server. Pure.

The document says types, and of some strings which there are. What an API server wants besides is in the tables here, by
the names of types and fields. What is newer than them still gets a value of its type.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Object = dict[str, Any]

POD_SPEC: Final = "io.k8s.api.core.v1.PodSpec"
ONLY_LATER: Final = ("spec", "ephemeralContainers")
"""What nobody can create a pod with."""

SMALLEST: Final[Object] = {
    "serviceAccountName": "app",
    "automountServiceAccountToken": False,
    "schedulingGates": [{"name": "irsa.test/never"}],
    "containers": [{"name": "app", "image": "example.invalid/app"}],
}
"""A pod that no kubelet runs: it is its admission that is tested."""

RUNTIME_CLASS: Final = "irsa-test"
"""Must be there, with an overhead of one processor."""

CLAIM: Final[Object] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
TERM: Final[Object] = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
RUN: Final[Object] = {"exec": {"command": ["a"]}}
NAME: Final[Object] = {"name": "a"}
KEY: Final[Object] = {"name": "a", "key": "a"}
REQUIREMENT: Final[Object] = {"key": "a", "operator": "In", "values": ["b"]}
SIGNER: Final = "example.com/a"
ISCSI: Final = "iqn.2026-01.example:a"

COMPANY: Final[Mapping[str, Object]] = {
    "AppArmorProfile": {"type": "Localhost", "localhostProfile": "a"},
    "AzureDiskVolumeSource": {"diskName": "a", "diskURI": "https://a.blob.core.windows.net/a/a.vhd"},
    "ClusterTrustBundleProjection": {"path": "a", "signerName": SIGNER},
    "ConfigMapEnvSource": NAME,
    "ConfigMapKeySelector": KEY,
    "ConfigMapProjection": NAME,
    "ConfigMapVolumeSource": NAME,
    "Container": {"name": "app", "image": "example.invalid/app"},
    "ContainerResizePolicy": {"resourceName": "cpu", "restartPolicy": "NotRequired"},
    "ContainerRestartRule": {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}},
    "ContainerRestartRuleOnExitCodes": {"operator": "In", "values": [1]},
    "DownwardAPIVolumeFile": {"path": "a", "fieldRef": {"fieldPath": "metadata.name"}},
    "EnvFromSource": {"configMapRef": NAME},
    "EnvVarSource": {"secretKeyRef": KEY},
    "EphemeralVolumeSource": {"volumeClaimTemplate": {"spec": CLAIM}},
    "ExecAction": {"command": ["a"]},
    "FCVolumeSource": {"targetWWNs": ["a"], "lun": 1},
    "FlockerVolumeSource": {"datasetName": "a"},
    "HostAlias": {"ip": "10.0.0.1", "hostnames": ["a"]},
    "ISCSIVolumeSource": {"targetPortal": "a", "iqn": ISCSI, "lun": 1, "secretRef": NAME},
    "ImageVolumeSource": {"reference": "example.invalid/app"},
    "LabelSelectorRequirement": REQUIREMENT,
    "LifecycleHandler": RUN,
    "LocalObjectReference": NAME,
    "NodeSelectorRequirement": REQUIREMENT,
    "PersistentVolumeClaimSpec": CLAIM,
    "PodAffinityTerm": TERM,
    "PodCertificateProjection": {"signerName": SIGNER, "keyType": "ED25519", "credentialBundlePath": "a"},
    "PodDNSConfigOption": NAME,
    "PodResourceClaim": {"name": "a", "resourceClaimName": "a"},
    "PodSchedulingGroup": {"podGroupName": "a"},
    "Probe": RUN,
    "ResourceFieldSelector": {"resource": "limits.cpu", "containerName": "app"},
    "ScaleIOVolumeSource": {"gateway": "a", "system": "a", "secretRef": NAME, "volumeName": "a"},
    "SeccompProfile": {"type": "Localhost", "localhostProfile": "a"},
    "SecretEnvSource": NAME,
    "SecretKeySelector": KEY,
    "SecretProjection": NAME,
    "SecretVolumeSource": {"secretName": "a"},
    "StorageOSVolumeSource": {"volumeName": "a", "secretRef": NAME},
    "Toleration": {"key": "a", "operator": "Exists", "effect": "NoExecute"},
    "TopologySpreadConstraint": TERM | {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
    "TypedLocalObjectReference": {"kind": "PersistentVolumeClaim", "name": "a"},
    "TypedObjectReference": {"kind": "PersistentVolumeClaim", "name": "a"},
    "VolumeResourceRequirements": {"requests": {"storage": "1Gi"}},
    "initContainers": {"name": "setup", "image": "example.invalid/app", "restartPolicy": "Always"},
    "matchFields": REQUIREMENT | {"key": "metadata.name"},
}
"""What an object has besides the field in question, where that is more than what the document says is required."""

ALTERNATIVES: Final[Mapping[str, frozenset[str]]] = {
    "ClusterTrustBundleProjection": frozenset({"name", "signerName"}),
    "DownwardAPIVolumeFile": frozenset({"fieldRef", "resourceFieldRef"}),
    "EnvFromSource": frozenset({"configMapRef", "secretRef"}),
    "EnvVarSource": frozenset({"configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"}),
    "FCVolumeSource": frozenset({"targetWWNs", "wwids"}),
    "FlockerVolumeSource": frozenset({"datasetName", "datasetUUID"}),
    "LifecycleHandler": frozenset({"exec", "httpGet", "sleep", "tcpSocket"}),
    "PodResourceClaim": frozenset({"resourceClaimName", "resourceClaimTemplateName"}),
    "Probe": frozenset({"exec", "grpc", "httpGet", "tcpSocket"}),
    "Toleration": frozenset({"operator", "value"}),
}
"""Of these fields an object has one."""

EXAMPLES: Final[Mapping[str, Any]] = {
    "AzureDiskVolumeSource.diskURI": "https://a.blob.core.windows.net/a/a.vhd",
    "AzureDiskVolumeSource.kind": "Dedicated",
    "ClusterTrustBundleProjection.signerName": SIGNER,
    "Container.restartPolicy": "Always",
    "ContainerResizePolicy.resourceName": "cpu",
    "ContainerResizePolicy.restartPolicy": "NotRequired",
    "ContainerRestartRule.action": "Restart",
    "HostAlias.ip": "10.0.0.1",
    "ISCSIVolumeSource.initiatorName": ISCSI,
    "ISCSIVolumeSource.iqn": ISCSI,
    "NFSVolumeSource.path": "/a",
    "NodeSelectorRequirement.key": "metadata.name",
    "ObjectFieldSelector.apiVersion": "v1",
    "ObjectFieldSelector.fieldPath": "metadata.name",
    "PodCertificateProjection.certificateChainPath": "b",
    "PodCertificateProjection.keyPath": "c",
    "PodCertificateProjection.keyType": "ED25519",
    "PodCertificateProjection.maxExpirationSeconds": 3600,
    "PodCertificateProjection.signerName": SIGNER,
    "PodCertificateProjection.userAnnotations": {"example.com/a": "a"},
    "PodDNSConfig.nameservers": ["10.0.0.1"],
    "PodOS.name": "linux",
    "PodSecurityContext.seLinuxChangePolicy": "Recursive",
    "PodSpec.automountServiceAccountToken": False,
    "PodSpec.overhead": {"cpu": "1"},
    "PodSpec.preemptionPolicy": "PreemptLowerPriority",
    "PodSpec.priority": 0,
    "PodSpec.priorityClassName": "system-node-critical",
    "PodSpec.runtimeClassName": RUNTIME_CLASS,
    "QuobyteVolumeSource.registry": "a:1",
    "ResourceFieldSelector.resource": "limits.cpu",
    "ResourceRequirements.limits": {"cpu": "1"},
    "ResourceRequirements.requests": {"cpu": "1"},
    "ServiceAccountTokenProjection.expirationSeconds": 600,
    "Toleration.operator": "Exists",
    "TypedLocalObjectReference.kind": "PersistentVolumeClaim",
    "TypedObjectReference.kind": "PersistentVolumeClaim",
    "VolumeMount.mountPropagation": "HostToContainer",
    "VolumeMount.recursiveReadOnly": "Disabled",
    "VolumeResourceRequirements.requests": {"storage": "1Gi"},
    "accessModes": ["ReadWriteOnce"],
    "operator": "In",
    "serviceAccount": "app",
    "serviceAccountName": "app",
}
"""Values of fields, where not any of their type will do."""

BESIDE: Final[Mapping[str, Object]] = {"restartPolicyRules": {"restartPolicy": "Never"}}
"""What an object has beside a field of that name."""

NEEDS: Final[Mapping[str, Object]] = {
    "claims": {"resourceClaims": [{"name": "a", "resourceClaimName": "a"}]},
    "fileKeyRef": {"volumes": [{"name": "a", "emptyDir": {}}]},
    "hostProcess": {"hostNetwork": True},
    "nodeName": {"schedulingGates": []},
    "overhead": {"runtimeClassName": RUNTIME_CLASS},
    "stopSignal": {"os": {"name": "linux"}},
    "volumeDevices": {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "a"}}]},
    "volumeMounts": {"volumes": [{"name": "a", "emptyDir": {}}]},
}
"""What the pod has, where a field of that name is on the way to the one in question."""

BY_TYPE: Final[Mapping[str, Any]] = {"string": "a", "integer": 1, "number": 1, "boolean": True}


@dataclass(frozen=True)
class Shape:
    """The smallest pod that has a field."""

    field: str
    """The way to it, with dots between names."""
    spec: Object

    def pod(self, name: str) -> Object:
        """Return the pod under a name."""
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": self.spec}

    def is_in(self, pod: Any) -> bool:
        """Return whether *pod* has the field."""
        return _has(pod, self.field.split("."))


@dataclass(frozen=True)
class PodApi:
    """What ``/openapi/v3/api/v1`` of an API server says of pods."""

    schemas: Mapping[str, Any]

    def shapes(self) -> list[Shape]:
        """Return one for every field that a pod can be created with, however deep."""
        ways = (way for way in self._ways(POD_SPEC, ("spec",)) if way[:2] != ONLY_LATER)
        return [Shape(".".join(way), self._spec(way[1:])) for way in ways]

    def everything(self) -> Object:
        """Return a pod that no API server takes: it has all fields, and in each object one that nobody knows."""
        spec = self._filled(POD_SPEC) | {"serviceAccountName": "app"}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, "spec": spec}

    def _spec(self, way: tuple[str, ...]) -> Object:
        needed: Object = {}
        for name, extra in NEEDS.items():
            if name in way:
                needed |= extra
        return copy.deepcopy(SMALLEST | needed | self._with(POD_SPEC, way))

    def _ways(self, kind: str, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for field, schema in self._fields(kind).items():
            yield (*above, field)
            if below := self._kind_of(schema):
                yield from self._ways(below, (*above, field))

    def _with(self, kind: str, way: tuple[str, ...]) -> Object:
        """Return the smallest object that has what is at the end of *way*."""
        field, *rest = way
        schema = self._fields(kind)[field]
        below = self._kind_of(schema)
        if below is None:
            return {field: self._example(kind, field)} | BESIDE.get(field, {})
        company = self._company(field, below)
        if rest:
            instead = ALTERNATIVES.get(_short(below), frozenset())
            if rest[0] in instead:
                company = {name: value for name, value in company.items() if name not in instead}
            company |= self._with(below, tuple(rest))
        return {field: _placed(schema, company)} | BESIDE.get(field, {})

    def _company(self, field: str, kind: str) -> Object:
        """Return the smallest object of a kind, as the value of a field."""
        for name in (field, _short(kind)):
            if name in COMPANY:
                return dict(COMPANY[name])
        required = self.schemas[kind].get("required", ())
        return {name: value for name in required for value in self._with(kind, (name,)).values()}

    def _example(self, kind: str, field: str) -> Any:
        """Return a value for a field that has no fields of its own."""
        for name in (f"{_short(kind)}.{field}", field):
            if name in EXAMPLES:
                return EXAMPLES[name]
        return self._value(self._fields(kind)[field])

    def _value(self, schema: Any) -> Any:
        if named := _reference(schema):
            schema = self.schemas[named]
        if "enum" in schema:
            return next(value for value in schema["enum"] if value)
        if "oneOf" in schema:
            return 80 if schema.get("format") == "int-or-string" else "1"
        if schema["type"] == "array":
            return [self._value(schema["items"])]
        if schema["type"] == "object":
            return {"a": self._value(schema["additionalProperties"])} if "additionalProperties" in schema else {}
        return "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else BY_TYPE[schema["type"]]

    def _filled(self, kind: str) -> Object:
        made: Object = {"newerThanUs": [{"of": None}]}
        for field, schema in self._fields(kind).items():
            below = self._kind_of(schema)
            made[field] = self._value(schema) if below is None else _placed(schema, self._filled(below))
        return made

    def _fields(self, kind: str) -> Mapping[str, Any]:
        fields: Mapping[str, Any] = self.schemas[kind].get("properties", {})
        return fields

    def _kind_of(self, schema: Any) -> str | None:
        """Return the type of a field's value or of its items, where that has fields."""
        kind = _reference(schema) or _reference(schema.get("items", {}))
        return kind if kind and self._fields(kind) else None


def _reference(schema: Any) -> str | None:
    inner = schema["allOf"][0] if "allOf" in schema else schema
    return inner["$ref"].rpartition("/")[2] if "$ref" in inner else None


def _placed(schema: Any, value: Object) -> Any:
    return [value] if schema.get("type") == "array" else value


def _short(kind: str) -> str:
    return kind.rpartition(".")[2]


def _has(value: Any, way: list[str]) -> bool:
    if isinstance(value, list):
        return any(_has(item, way) for item in value)
    if not way:
        return True
    return isinstance(value, dict) and way[0] in value and _has(value[way[0]], way[1:])

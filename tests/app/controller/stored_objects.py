"""The objects that the controller writes, as the chart makes them, in a cluster in memory."""

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.controller.objects import CertificateObjects
from app.controller.rotation import CertificatePolicy
from app.controller.stored import Stored, read_authority, read_bundles, read_serving
from tests.app.cluster.fake_cluster import FakeCluster, Object

AUTHORITY = "/api/v1/namespaces/irsa-system/secrets/irsa-webhook-ca"
SERVING = "/api/v1/namespaces/irsa-system/secrets/irsa-webhook-tls"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/irsa-webhook"
OBJECTS = CertificateObjects(authority=AUTHORITY, serving=SERVING, configuration=CONFIGURATION)

START = datetime(2026, 11, 25, 12, tzinfo=UTC)
SETTLES, RELOADS = timedelta(seconds=60), timedelta(minutes=10)
POLICY = CertificatePolicy(
    names=frozenset({"irsa-webhook.irsa-system.svc", "127.0.0.1"}),
    ca_lifetime=timedelta(days=730),
    certificate_lifetime=timedelta(days=90),
    bundle_settles=SETTLES,
    certificate_reloads=RELOADS,
)


def secret(data: Mapping[str, bytes]) -> Object:
    """A Secret with *data*."""
    return {"kind": "Secret", "data": {name: base64.b64encode(value).decode() for name, value in data.items()}}


def configuration(*bundles: bytes) -> Object:
    """A configuration with one webhook for each of *bundles*; of an empty one there is no caBundle."""
    return {
        "kind": "MutatingWebhookConfiguration",
        "webhooks": [
            {
                "name": f"{number}.webhook.irsa",
                "clientConfig": {"service": {"name": "irsa-webhook"}}
                | ({"caBundle": base64.b64encode(bundle).decode()} if bundle else {}),
            }
            for number, bundle in enumerate(bundles)
        ],
    }


def as_the_chart_made_it() -> dict[str, Object]:
    """Empty Secrets, and two webhooks without a caBundle."""
    return {AUTHORITY: {"kind": "Secret"}, SERVING: {"kind": "Secret"}, CONFIGURATION: configuration(b"", b"")}


@dataclass
class StoredObjects(FakeCluster):
    """A cluster with what the controller writes.

    Attributes:
        on_change: called after each change.
    """

    on_change: Callable[[], None] = field(default=lambda: None)

    @classmethod
    def of(cls, objects: Mapping[str, Object]) -> "StoredObjects":
        cluster = cls()
        for path, document in objects.items():
            cluster.put(path, document)
        return cluster

    def put(self, path: str, document: Mapping[str, Any] | None = None) -> Object:
        stored = super().put(path, document)
        self.on_change()
        return stored

    def document(self, path: str) -> Object:
        return copy.deepcopy(self.objects[path])

    def stored(self) -> Stored:
        """What the three objects hold."""
        return Stored(
            authority=read_authority(self._body(AUTHORITY)),
            serving=read_serving(self._body(SERVING)),
            configuration=read_bundles(self._body(CONFIGURATION)),
        )

    def written(self) -> list[str]:
        """Names of the objects that were changed, in order."""
        return [path.rpartition("/")[2] for verb, path in self.requests if verb == "patch"]

    def _body(self, path: str) -> bytes:
        return json.dumps(self.objects[path]).encode()

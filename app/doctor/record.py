"""What was read of a cluster, for findings to be made of. Pure.

Documents are the API's own, as raw dictionaries: an API server has checked them. Of Secrets there is nothing here but
certificates and the names of keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from app.doctor.counts import Counts

WEBHOOK: Final = "irsa-webhook"
CONTROLLER: Final = "irsa-controller"
TLS_SECRET: Final = "irsa-webhook-tls"  # noqa: S105 - a name
CA_SECRET: Final = "irsa-webhook-ca"  # noqa: S105 - a name
INJECT: Final = "inject.webhook.irsa"
REQUIRE: Final = "require.webhook.irsa"
EPHEMERAL: Final = "ephemeral.webhook.irsa"
WARN: Final = "warn.webhook.irsa"

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

Document: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read."""

    why: str
    is_forbidden: bool = False
    """Whether it is for missing rights."""


Read: TypeAlias = Document | Unread | None
"""One object; None where there is none."""

Several: TypeAlias = tuple[Document, ...] | Unread
"""All objects of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What we keep of a Secret.

    Attributes:
        certificates: its PEM certificates by key, ``tls.crt`` and ``ca.crt``.
        filled: the keys that have a value.
    """

    certificates: Mapping[str, bytes] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """For whom a dry-run pod asks.

    Attributes:
        labels: of the namespace.
        role_arn: what such a pod should get; empty in container-credentials mode, None where it should get nothing.
        container: a name of a container that should get it.
    """

    namespace: str
    service_account: str
    labels: Mapping[str, str] = field(default_factory=dict)
    role_arn: str | None = None
    container: str = "irsa-doctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A dry-run pod, and what came of it.

    Attributes:
        expected: the warning that our webhook, and nobody else, has for it.
        answer: the pod as it would be stored; None where it was refused.
        warnings: what the API server said beside it.
        refusal: with what words it was refused; empty where it was not.
        is_forbidden: whether it is the caller who must not make pods there.
    """

    target: Target
    expected: str
    answer: Document | None = None
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    is_forbidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """All that is looked at to judge an installation.

    Attributes:
        namespace: of the chart.
        now: when this was read.
        configuration: the MutatingWebhookConfiguration.
        service: the webhook's Service.
        slices: its EndpointSlices.
        pods: those of the namespace.
        webhook: its Deployment.
        controller: its Deployment.
        policies: NetworkPolicies of the namespace.
        probe: the dry-run pod; why there was none.
        serving: the Secret of the serving certificate, and its name.
        authority: the Secret of the controller's CA.
        lease: the controller's.
        readiness: what pods that are not ready say at ``/readyz``, by name.
        strict: another one, for the Fail hook, whose failures are told; only where the first was in vain.
        counts: what the API server counted while *probe* was made again; None where nobody asked.
        proxied: how the API server fared when it was to call the Service for us; empty where it got through, None where
            nobody asked.
    """

    namespace: str
    now: datetime
    configuration: Read
    service: Read
    slices: Several
    pods: Several
    webhook: Read
    controller: Read
    policies: Several
    probe: Probe | Unread
    serving: Secret | Unread | None
    serving_name: str = TLS_SECRET
    authority: Secret | Unread | None = None
    lease: Read = None
    readiness: Mapping[str, str] = field(default_factory=dict)
    strict: Probe | None = None
    counts: Counts | Unread | None = None
    proxied: str | Unread | None = None

    def hooks(self) -> dict[str, Document]:
        """Return the hooks of the configuration by name; empty where it cannot be read."""
        return {hook["name"]: hook for hook in known(self.configuration).get("webhooks") or ()}

    def has_url(self) -> bool:
        """Return whether the API server asks at a URL, and Service, endpoints and pods do not count."""
        return any("url" in hook["clientConfig"] for hook in self.hooks().values())

    def is_empty(self) -> bool:
        """Return whether nothing of us is in the namespace, where something should be."""
        return self.service is self.webhook is self.controller is None and not self.has_url()

    def webhook_pods(self) -> list[Document]:
        """Return the pods that the webhook's Deployment made, those that are being deleted left out."""
        wanted = dig(known(self.webhook), "spec", "selector", "matchLabels")
        if isinstance(self.pods, Unread) or not wanted:
            return []
        return [
            pod
            for pod in self.pods
            if not pod["metadata"].get("deletionTimestamp")
            and wanted.items() <= (pod["metadata"].get("labels") or NOTHING).items()
        ]


def known(read: Read) -> Document:
    """Return the object that was read, an empty one where there is none or it could not be read."""
    return {} if read is None or isinstance(read, Unread) else read


def dig(document: Document, *keys: str) -> Any:
    """Return what is behind *keys*, one in the other; None where one of them is missing."""
    found: Any = document
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def listed(items: Sequence[str]) -> str:
    """Return *items* with commas between them."""
    return ", ".join(items)

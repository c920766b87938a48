"""For whom a dry-run pod asks: a ServiceAccount with a role, in a namespace that the hooks are for. A shell."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import msgspec

from app.cluster.api import Collection
from app.cluster.decoding import UNREADABLE
from app.cluster.kinds import SERVICE_ACCOUNTS
from app.cluster.pages import every
from app.doctor.hooks import asked
from app.doctor.reading import Reader, unread
from app.doctor.record import INJECT, REQUIRE, Document, Target, Unread
from app.errors import ClusterError, ConfigurationError, RefusedError
from app.webhook.identity import Identity

SEARCH_SECONDS: Final = 20.0
"""A list of 100,000 ServiceAccounts takes ten; then the best one so far will do."""

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
NAMESPACES: Final = "/api/v1/namespaces"
REQUIRED: Final = "irsa/require-identity=true"

NONE: Final = Unread(
    "no ServiceAccount was found: make one with kubectl create serviceaccount, and name it with --service-account"
)

Identify = Callable[[str, str, Mapping[str, str]], Identity | None]
"""(namespace, name, annotations) -> what pods of that ServiceAccount get."""

Labels = Mapping[str, Mapping[str, str]]


class Targets:
    """Finds them.

    Args:
        reader: how to read.
        hooks: of the webhook configuration, by name.
        identify: the webhook's own decision.
    """

    def __init__(self, reader: Reader, hooks: Mapping[str, Document], *, identify: Identify) -> None:
        self._reader = reader
        self._hooks = hooks
        self._identify = identify

    async def named(self, namespace: str, name: str) -> Target:
        """Return the target of one ServiceAccount.

        Raises:
            ConfigurationError: there is no such ServiceAccount.
            ClusterError: it cannot be read.
        """
        path = f"{NAMESPACES}/{namespace}/serviceaccounts/{name}"
        try:
            document = msgspec.json.decode(await self._reader.api.get(path, metadata_only=True), type=dict[str, Any])
        except RefusedError as error:
            if error.is_not_found:
                raise ConfigurationError(
                    f"--service-account: expected one that exists, got {namespace}/{name}; "
                    f"kubectl create serviceaccount {name} -n {namespace} makes it"
                ) from error
            raise
        except UNREADABLE as error:
            raise ClusterError(f"expected ServiceAccount {namespace}/{name} as JSON, got something else") from error
        return self._target({namespace: await self._labels_of(namespace)}, document)

    async def found(self) -> Target | Unread:
        """Return the first target that lacks nothing, or else the best one."""
        best: Target | Unread = NONE
        try:
            async with asyncio.timeout(SEARCH_SECONDS):
                async for target in self._all():
                    if isinstance(best, Unread) or self._merit(target) > self._merit(best):
                        best = target
                    if self._merit(best) == self._merit(None):
                        break
        except (ClusterError, TimeoutError) as error:
            return unread(error) if isinstance(best, Unread) else best
        return best

    async def strict(self) -> Target | None:
        """Return any target of a namespace whose pods the Fail hook is asked about, None where there is none."""
        for name, labels in (await self._namespaces(label_selector=REQUIRED) or {}).items():
            accounts = await self._reader.several(f"{NAMESPACES}/{name}/serviceaccounts")
            for account in () if isinstance(accounts, Unread) else accounts:
                target = self._target({name: labels}, account)
                if asked(self._hooks, target) == REQUIRE:
                    return target
        return None

    async def _all(self) -> AsyncIterator[Target]:
        namespaces = await self._namespaces()
        async for account in every(self._reader.api, Collection(path=SERVICE_ACCOUNTS, metadata_only=True)):
            if namespaces is None or account["metadata"]["namespace"] in namespaces:
                yield self._target(namespaces or {}, account)

    async def _namespaces(self, *, label_selector: str = "") -> Labels | None:
        """Return the labels of the namespaces that pods can be made in; None where we may not see them."""
        found = await self._reader.several(NAMESPACES, label_selector=label_selector)
        if isinstance(found, Unread):
            return None
        return {one["metadata"]["name"]: _labels(one) for one in found if not one["metadata"].get("deletionTimestamp")}

    async def _labels_of(self, namespace: str) -> Mapping[str, str]:
        found = await self._reader.one(f"{NAMESPACES}/{namespace}")
        return {NAMESPACE_NAME: namespace} if found is None or isinstance(found, Unread) else _labels(found)

    def _target(self, labels: Labels, account: Document) -> Target:
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        identity = self._identify(namespace, name, metadata.get("annotations") or {})
        return Target(
            namespace=namespace,
            service_account=name,
            labels=labels.get(namespace, {NAMESPACE_NAME: namespace}),
            role_arn=None if identity is None else identity.role_arn,
            container=_container(identity),
        )

    def _merit(self, target: Target | None) -> tuple[bool, bool]:
        """Return how good *target* is; None is one that lacks nothing."""
        if target is None:
            return (True, True)
        # A pod of a strict namespace is refused where it gets nothing, and then shows nothing.
        return (asked(self._hooks, target) == INJECT, target.role_arn is not None)


def _container(identity: Identity | None) -> str:
    """Return a name that the annotations about containers let have something."""
    if identity is not None and identity.include_containers:
        return min(identity.include_containers - identity.skip_containers, default="irsa-doctor")
    return "irsa-doctor"


def _labels(namespace: Document) -> Mapping[str, str]:
    metadata = namespace["metadata"]
    return {NAMESPACE_NAME: metadata["name"]} | (metadata.get("labels") or {})

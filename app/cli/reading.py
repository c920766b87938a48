"""What ``irsa access`` and ``irsa drift`` read of a cluster: ServiceAccounts, assignments, pods a page at a time."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from pydantic import ConfigDict, Field

from app.access.known import Known
from app.access.output import inert
from app.access.pods import Document, Pod, running_pod, running_pods
from app.assignments import is_file
from app.cli.assignments import read_identities
from app.cluster.api import Collection, ReadingApi
from app.cluster.client import KubernetesApi
from app.cluster.configuration import configured
from app.cluster.decoding import UNREADABLE
from app.cluster.kinds import SERVICE_ACCOUNTS, ConfigMap, config_map
from app.cluster.objects import ServiceAccount, service_account
from app.cluster.pages import every
from app.cluster.paths import is_name
from app.cluster.snapshot import Snapshot
from app.errors import ClusterError, ConfigurationError, RefusedError
from app.policy import policy
from app.settings import CONFIG_MAP, AssignmentSettings
from app.text import shown
from app.webhook.container_credentials import NO_IDENTITIES, Identities, parse_identities
from app.webhook.mappings import NO_MAPPINGS, parse_mappings
from app.webhook.rules import Rules

DISCOVERY: Final = "/.well-known/openid-configuration"


class ReadingSettings(AssignmentSettings):
    """What decides about injections, which must be as the webhook has it, and where the cluster is."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # an account in YAML, where it may be a number

    mappings: str | None = Field(default="irsa-system/irsa-mappings", pattern=CONFIG_MAP)
    """NAMESPACE/NAME of the ConfigMap with the roles of ServiceAccounts that carry no annotation, if it is there."""

    settings: str = Field(default="irsa-system/irsa-settings", pattern=CONFIG_MAP)
    """NAMESPACE/NAME of the ConfigMap with the installed webhook's settings, for those not given here."""

    kubeconfig: Path | None = None
    """How to reach the cluster; by default as kubectl finds it."""


def cluster(settings: ReadingSettings) -> KubernetesApi:
    """Return the API of the cluster that *settings* or the environment name, to be entered."""
    return KubernetesApi(configured(settings.kubeconfig, os.environ))


def checked_namespace(namespace: str | None) -> str:
    """Return *namespace*, empty for all.

    Raises:
        ConfigurationError: no namespace can have that name.
    """
    if namespace is not None and not is_name(namespace):
        raise ConfigurationError(f"--namespace: expected the name of a namespace, got {shown(namespace)}")
    return namespace or ""


async def service_accounts(api: ReadingApi, settings: ReadingSettings, *, namespace: str) -> Snapshot[ServiceAccount]:
    """Return the ServiceAccounts of one *namespace*, or of all where it is empty."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts" if namespace else SERVICE_ACCOUNTS
    found: Snapshot[ServiceAccount] = Snapshot()
    vocabulary = policy(settings).vocabulary
    async for item in every(api, Collection(path=path, metadata_only=True)):
        metadata = item["metadata"]
        found.put(
            metadata["namespace"], metadata["name"], service_account(metadata.get("annotations"), keep=vocabulary)
        )
    return found


async def known(api: ReadingApi, settings: ReadingSettings, accounts: Snapshot[ServiceAccount]) -> Known:
    """Return what decides about pods; what is wrong with the assignments is said on standard error."""
    chosen = policy(settings)
    mappings = parse_mappings(await config_map_data(api, settings.mappings), account=chosen.defaults.account)
    _tell(settings.mappings, mappings.problems)
    identities = await _identities(api, settings.container_credentials)
    rules = Rules(policy=chosen, mappings=mappings.mappings or NO_MAPPINGS, container_credentials=identities)
    return Known(find=accounts.get, rules=rules)


async def pods(api: ReadingApi, settings: ReadingSettings, *, namespace: str) -> AsyncIterator[Pod]:
    """Yield the pods that run, of one *namespace* or of all where it is empty; a page is in memory at a time."""
    vocabulary = policy(settings).vocabulary
    async for item in every(api, running_pods(vocabulary, namespace=namespace).collection):
        try:
            pod = running_pod(msgspec.convert(item, Document), vocabulary)
        except msgspec.ValidationError as error:
            raise ClusterError(f"expected pods as Kubernetes has them, got {shown(str(error))}") from error
        if pod is not None:
            yield pod


async def issuer(api: ReadingApi) -> str:
    """Return the issuer that the cluster's tokens name.

    Raises:
        ClusterError: the API does not say it.
    """
    try:
        document = msgspec.json.decode(await api.get(DISCOVERY))
    except UNREADABLE as error:
        raise ClusterError(f"expected a discovery document at {DISCOVERY}, got something else") from error
    found = document.get("issuer") if isinstance(document, dict) else None
    if not isinstance(found, str):
        raise ClusterError(f"expected an issuer in the document at {DISCOVERY}, got none; name it with --issuer")
    return found


async def _identities(api: ReadingApi, place: str | None) -> Identities:
    if place is not None and is_file(place):
        return await asyncio.to_thread(read_identities, Path(place))
    parsed = parse_identities(await config_map_data(api, place))
    _tell(place, parsed.problems)
    return parsed.identities or NO_IDENTITIES


async def config_map_data(api: ReadingApi, place: str | None) -> Mapping[str, str]:
    """Return the data of the ConfigMap at *place*; nothing where there is none, or none that we may read."""
    if place is None:
        return {}
    namespace, _, name = place.partition("/")
    kind = config_map(namespace, name)
    try:
        found: ConfigMap | None = kind.keep(kind.read_item(await api.get(f"{kind.collection.path}/{name}")))
    except RefusedError as error:
        if not error.is_not_found:
            print(f"irsa: {place} counts as empty: {inert(str(error))}", file=sys.stderr)
        return {}
    return found.data if found is not None else {}


def _tell(place: str | None, problems: Iterable[str]) -> None:
    for problem in problems:
        print(f"irsa: {place}: {problem}", file=sys.stderr)

"""``irsa doctor install`` and ``irsa doctor cluster``."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Annotated, Final

from cyclopts import Parameter

from app.access.output import inert, json_text
from app.cli import reading, tables
from app.cli.installed import as_installed
from app.cli.reading import ReadingSettings
from app.cli.tables import Column, Styled
from app.cluster.client import KubernetesApi
from app.cluster.objects import ServiceAccount, service_account
from app.cluster.paths import is_name
from app.cluster.snapshot import Snapshot
from app.doctor import read_cluster, read_install
from app.doctor.cluster import findings as cluster_findings
from app.doctor.findings import Finding, State, as_object, verdict
from app.doctor.install import findings as install_findings
from app.doctor.probe import DRY_RUN
from app.doctor.reading import Api
from app.errors import ConfigurationError
from app.policy import policy
from app.text import shown
from app.webhook.identity import Identity

NAMESPACE: Final = "irsa-system"

COLUMNS: Final = (Column(title="LINK", folds=False), Column(title="STATE", folds=False), Column(title="SEEN"))

STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.UNKNOWN: "yellow", State.BROKEN: "bold red"}


def install(
    *,
    namespace: Annotated[str, Parameter(name=("--namespace", "-n"))] = NAMESPACE,
    service_account: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    settings: Annotated[ReadingSettings, Parameter(name="*")] | None = None,
) -> int:
    """See whether pods get their roles: create one as a dry run, and look at each link between it and the webhook.

    Nothing is made or changed. The exit status is 1 where a link is broken, or no dry run could be made.

    Args:
        namespace: Where the chart is installed.
        service_account: NAMESPACE/NAME of the ServiceAccount of the dry-run pod; by default one that has a role.
        as_json: Print JSON.
        settings: The webhook's flags that decide about the result, and how to reach the cluster.
    """
    settings = settings or ReadingSettings()
    wanted = _wanted(service_account)
    checked = reading.checked_namespace(namespace)
    return _told(asyncio.run(_installation(settings, checked, wanted)), as_json=as_json)


def cluster(
    *,
    namespace: Annotated[str, Parameter(name=("--namespace", "-n"))] = NAMESPACE,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    settings: Annotated[ReadingSettings, Parameter(name="*")] | None = None,
) -> int:
    """Name what a cluster lacks, before or after something is installed.

    The exit status is 1 where that keeps pods from their roles.

    Args:
        namespace: Where the chart is to be installed.
        as_json: Print JSON.
        settings: How to reach the cluster.
    """
    settings = settings or ReadingSettings()
    checked = reading.checked_namespace(namespace)
    return _told(asyncio.run(_cluster(settings, checked)), as_json=as_json)


async def _installation(settings: ReadingSettings, namespace: str, wanted: tuple[str, str] | None) -> Sequence[Finding]:
    async with reading.cluster(settings) as api:
        await _answers(api)
        now = datetime.now(UTC)
        settings = await as_installed(api, settings, namespace=namespace)
        return await examine_installation(api, settings, namespace=namespace, now=now, wanted=wanted)


async def _cluster(settings: ReadingSettings, namespace: str) -> Sequence[Finding]:
    async with reading.cluster(settings) as api:
        await _answers(api)
        return cluster_findings(await read_cluster.read(api, namespace=namespace, now=datetime.now(UTC)))


async def examine_installation(
    api: Api, settings: ReadingSettings, *, namespace: str, now: datetime, wanted: tuple[str, str] | None = None
) -> Sequence[Finding]:
    """Return how each link of the installation in *namespace* is."""
    rules = policy(settings)
    accounts: Snapshot[ServiceAccount] = Snapshot()
    known = await reading.known(api, settings, accounts)

    def identify(account_namespace: str, name: str, annotations: Mapping[str, str]) -> Identity | None:
        accounts.put(account_namespace, name, service_account(annotations, keep=rules.vocabulary))
        return known.identified(account_namespace, name).identity

    found = await read_install.read(
        api, namespace=namespace, now=now, vocabulary=rules.vocabulary, identify=identify, wanted=wanted
    )
    return install_findings(found)


async def _answers(api: KubernetesApi) -> None:
    """Ask the API for what everybody may read, or every finding would say that there is no API.

    Raises:
        ClusterError: it does not answer.
    """
    await api.get("/version")


def _wanted(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    namespace, _, name = text.partition("/")
    if not (is_name(namespace) and is_name(name)):
        raise ConfigurationError(f"--service-account: expected NAMESPACE/NAME, got {shown(text)}")
    return namespace, name


def _told(findings: Sequence[Finding], *, as_json: bool) -> int:
    if as_json:
        print(json_text(map(as_object, findings)), end="")
    else:
        show(findings, sys.stdout)
    is_unproven = any(one.link == DRY_RUN and one.state is State.UNKNOWN for one in findings)
    return 1 if verdict(findings) or is_unproven else 0


def show(findings: Sequence[Finding], stream: IO[str]) -> None:
    """Write *findings* as a table, and below it the first broken one."""
    rows = ((one.link, Styled(one.state.value, STYLES[one.state]), one.seen) for one in findings)
    tables.show(COLUMNS, rows, stream=stream)
    for line in summary(findings):
        print(line, file=stream)


def summary(findings: Sequence[Finding]) -> list[str]:
    """Return what to do first, and what to know; one line each."""
    first = verdict(findings)
    lines = []
    if first is not None:
        lines += ["", f"broken: {first.link}: {inert(first.meaning)}", f"  {inert(first.remedy)}"]
    for finding in findings:
        if finding.state is State.WARNING:
            lines += ["", f"warning: {finding.link}: {inert(finding.meaning)}", f"  {inert(finding.remedy)}"]
    unseen = [finding.link for finding in findings if finding.state is State.UNKNOWN]
    if unseen:
        lines += ["", f"not looked at: {', '.join(unseen)}"]
    return lines or ["", "Nothing is broken."]

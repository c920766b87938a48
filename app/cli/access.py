"""``irsa access``."""

import asyncio
import sys
from collections.abc import Iterable
from typing import IO, Annotated, Final

from cyclopts import Parameter

from app.access import trust
from app.access.output import HEADER, as_object, cells, csv_text, json_text
from app.access.rows import AccessMap, Row, Wanted
from app.cli import reading, tables
from app.cli.installed import as_installed
from app.cli.reading import ReadingSettings
from app.cli.tables import Column
from app.cluster.api import ReadingApi
from app.errors import ConfigurationError

COLUMNS: Final = tuple(
    Column(title=name.replace("_", " ").upper(), justify="right" if name == "pods" else "left") for name in HEADER
)


def access(
    *,
    role: str | None = None,
    namespace: Annotated[str | None, Parameter(name=("--namespace", "-n"))] = None,
    account: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    as_csv: Annotated[bool, Parameter(name="--csv", negative=())] = False,
    aws: Annotated[bool, Parameter(negative=())] = False,
    issuer: str | None = None,
    settings: Annotated[ReadingSettings, Parameter(name="*")] | None = None,
) -> None:
    """List who in the cluster asks for which AWS role, how, and what is odd about it.

    Args:
        role: Only roles that this glob fits; ? is one character, * any number of them.
        namespace: Only ServiceAccounts of this namespace.
        account: Only roles of this AWS account.
        as_json: Print JSON.
        as_csv: Print CSV.
        aws: Ask IAM for the account's roles, say whom their trust policies refuse, and list whom they trust besides.
        issuer: The issuer of the cluster's tokens, for --aws; by default what the API server says.
        settings: The webhook's flags that decide about the result, and how to reach the cluster.
    """
    if as_json and as_csv:
        raise ConfigurationError("expected one of --json and --csv, got both: leave one out")
    settings = settings or ReadingSettings()
    wanted = Wanted(role=role, namespace=reading.checked_namespace(namespace) or None, account=account)
    rows = asyncio.run(_rows(settings, wanted, aws=aws, issuer=issuer))
    if as_json:
        print(json_text(map(as_object, rows)), end="")
    elif as_csv:
        print(csv_text(HEADER, map(cells, rows)), end="")
    else:
        show(rows, sys.stdout)


async def _rows(settings: ReadingSettings, wanted: Wanted, *, aws: bool, issuer: str | None) -> list[Row]:
    async with reading.cluster(settings) as api:
        settings = await as_installed(api, settings)
        rows = [row for row in await find(api, settings, namespace=wanted.namespace or "") if wanted.has(row)]
        if not aws:
            return rows
        from app.cli.aws_roles import iam, trusts  # noqa: PLC0415 - boto3: 30 MB and a second

        issuer = issuer or await reading.issuer(api)
    roles = {row.role_arn for row in rows if row.audience}
    found = await asyncio.to_thread(lambda: trusts(roles, issuer=issuer, iam=iam()))
    return [row for row in trust.judged(rows, found) if wanted.has(row)]


async def find(api: ReadingApi, settings: ReadingSettings, *, namespace: str = "") -> list[Row]:
    """Return the access map of one *namespace*, or of all where it is empty."""
    accounts = await reading.service_accounts(api, settings, namespace=namespace)
    access_map = AccessMap(await reading.known(api, settings, accounts))
    for account_namespace, name, _ in accounts:
        access_map.add_service_account(account_namespace, name)
    async for pod in reading.pods(api, settings, namespace=namespace):
        access_map.add_pod(pod)
    return list(access_map.rows())


def show(rows: Iterable[Row], stream: IO[str]) -> None:
    """Write *rows* as a table."""
    tables.show(COLUMNS, map(cells, rows), stream=stream)

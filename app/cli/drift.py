"""``irsa drift``."""

import asyncio
from typing import Annotated

from cyclopts import Parameter

from app.access import drifted
from app.access.drifted import Drifted, grouped
from app.access.known import Judging
from app.access.output import json_text
from app.cli import reading
from app.cli.installed import as_installed
from app.cli.reading import ReadingSettings
from app.cluster.api import ReadingApi


def drift(
    *,
    namespace: Annotated[str | None, Parameter(name=("--namespace", "-n"))] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    settings: Annotated[ReadingSettings, Parameter(name="*")] | None = None,
) -> int:
    """List running pods whose AWS identity is another than they would get today, and how to make them anew.

    The exit status is 1 where there are any.

    Args:
        namespace: Only pods of this namespace.
        as_json: Print JSON.
        settings: The webhook's flags that decide about the result, and how to reach the cluster.
    """
    settings = settings or ReadingSettings()
    found = asyncio.run(_found(settings, reading.checked_namespace(namespace)))
    print(json_text(map(drifted.as_object, found)) if as_json else text(found), end="")
    return 1 if found else 0


async def _found(settings: ReadingSettings, namespace: str) -> list[Drifted]:
    async with reading.cluster(settings) as api:
        return await find(api, await as_installed(api, settings), namespace=namespace)


async def find(api: ReadingApi, settings: ReadingSettings, *, namespace: str = "") -> list[Drifted]:
    """Return what drifted, in one *namespace* or in all where it is empty."""
    accounts = await reading.service_accounts(api, settings, namespace=namespace)
    judging = Judging(await reading.known(api, settings, accounts))
    found = []
    async for pod in reading.pods(api, settings, namespace=namespace):
        difference = judging.judge(pod).drift
        if difference is not None:
            found.append((pod, difference))
    return grouped(found)


def text(found: list[Drifted]) -> str:
    """Return what a person reads."""
    lines = list(drifted.lines(found)) or ["Every running pod has the AWS identity that it would get today."]
    return "".join(f"{line}\n" for line in lines)

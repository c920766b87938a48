"""``irsa demo``."""

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from app.demo.quiet import Quiet
from app.demo.run import run
from app.demo.screen import Screen
from app.demo.seaweedfs import find_binary
from app.demo.story import Report
from app.errors import ConfigurationError


def demo(
    *,
    keep: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Run the whole chain on this machine: issuer, webhook, and a real STS and S3, for a pod that only has a role.

    Everything listens on 127.0.0.1, on free ports, with files in a temporary folder, and is gone afterwards.

    Args:
        keep: Leave everything running until Ctrl-C, and print how to talk to it.
        json: Print one JSON object and nothing else.
    """
    weed = find_binary()
    if json:
        quiet = Quiet()
        report = run(quiet, weed=weed, keep=keep)
        quiet.finish(report)
    else:
        with Screen(Console()) as screen:
            report = run(screen, weed=weed, keep=keep)
            screen.finish(report)
    return _status(report)


def _status(report: Report) -> int:
    if report.ok:
        return 0
    return 2 if isinstance(report.error, ConfigurationError) else 1

"""``irsa demo``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from app.demo.processes import Processes
from app.demo.quiet import Quiet
from app.demo.run import Chain, run
from app.demo.screen import Screen
from app.demo.seaweedfs import find_binary
from app.demo.steps import Steps
from app.demo.story import Report, Story
from app.errors import ConfigurationError


def demo(
    *,
    keep: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
    cluster: Annotated[bool, Parameter(negative=())] = False,
    image: str | None = None,
    address: str = "",
) -> int:
    """Run the whole chain against a real STS and S3: issuer, webhook, and a pod that only has a role.

    Everything listens on 127.0.0.1, on free ports, with files in a temporary folder, and is gone afterwards. With
    --cluster the pods run in the cluster that KUBECONFIG names: kubectl and helm must be on PATH, and what was made
    there is removed again.

    Args:
        keep: Leave everything running until Ctrl-C, and print how to talk to it.
        json: Print one JSON object and nothing else.
        cluster: Run the pods in a cluster: installs the chart, and runs the example as a Job.
        image: Our image, as the cluster's nodes know it. Needed with --cluster.
        address: Address of this machine as pods of the cluster see it; found out where it is not given.
    """
    weed = find_binary()
    if cluster and not image:
        raise ConfigurationError("expected --image with --cluster, got none; build it: see Image in the README")

    def make(story: Story, processes: Processes, folder: Path) -> Chain:
        if cluster and image:
            from app.demo.cluster_steps import ClusterSteps  # noqa: PLC0415 - 0.2 s that one machine has no use for

            return ClusterSteps(
                story=story, processes=processes, folder=folder, weed=weed, image=image, address=address
            )
        return Steps(story=story, processes=processes, folder=folder, weed=weed)

    if json:
        quiet = Quiet()
        report = run(quiet, make, keep=keep)
        quiet.finish(report)
    else:
        with Screen(Console()) as screen:
            report = run(screen, make, keep=keep)
            screen.finish(report)
    return _status(report)


def _status(report: Report) -> int:
    if report.ok:
        return 0
    return 2 if isinstance(report.error, ConfigurationError) else 1

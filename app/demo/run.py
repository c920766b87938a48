"""One run of the demo, from its folder to its end: whatever happens, nothing is left behind."""

import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from app.demo.processes import ProcessError, Processes
from app.demo.signals import Signals
from app.demo.steps import Running, Steps
from app.demo.story import Audience, Report, Story
from app.errors import IrsaError


class Host(Audience, Protocol):
    """An audience that can also be asked to stay."""

    def kept(self, running: Running, report: Report, folder: Path) -> None:
        """Tell how to talk to what keeps running."""


def run(host: Host, *, weed: Path, keep: bool) -> Report:
    """Run the demo; with *keep*, and if all went well, leave it running until SIGINT.

    Raises:
        KeyboardInterrupt: it was interrupted before it was through.
        SystemExit: it was told to end.
    """
    story = Story(host)
    error: IrsaError | None = None
    with (
        Signals() as signals,
        tempfile.TemporaryDirectory(prefix="irsa-demo-") as name,
        Processes(Path(name) / "processes", signals) as processes,
    ):
        folder = Path(name)
        with signals.raised():
            try:
                running = Steps(story=story, processes=processes, folder=folder, weed=weed).run()
            except IrsaError as caught:
                error = caught
                if isinstance(caught, ProcessError):
                    host.blamed(caught.process.name, caught.process.tail())
            else:
                if keep:
                    host.kept(running, story.report(), folder)
                    _wait_for_interrupt()
        with story.step("stop", "Stop everything, remove everything") as note:
            stopped = processes.stop()
            shutil.rmtree(folder)
            note.detail = f"{stopped} processes stopped, nothing left behind"
    return story.report(error)


def _wait_for_interrupt() -> None:
    with suppress(KeyboardInterrupt):
        while True:
            signal.pause()

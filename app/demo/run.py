"""One run of the demo, from its folder to its end: whatever happens, nothing is left behind."""

import shutil
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from app.demo.processes import ProcessError, Processes
from app.demo.signals import Signals
from app.demo.story import Audience, Report, Story
from app.errors import IrsaError


class Host(Audience, Protocol):
    """An audience that can also be asked to stay."""

    def kept(self, instructions: str, report: Report) -> None:
        """Tell how to talk to what keeps running."""


class Chain(Protocol):
    """The steps of a demo, and what takes them back."""

    def run(self) -> str:
        """Run all of them, and return how to talk to what there is then.

        Raises:
            IrsaError: one did not do what it should; the story has which.
        """

    def remove(self) -> None:
        """Remove what the steps made outside their folder, as far as they came."""


def run(host: Host, make: Callable[[Story, Processes, Path], Chain], *, keep: bool) -> Report:
    """Run a demo; with *keep*, and if all went well, leave it running until SIGINT.

    Args:
        host: is told of everything.
        make: makes the steps, of the story that hears of them, the children, and a folder that is theirs.
        keep: whether it stays.

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
        chain = make(story, processes, folder)
        with signals.raised():
            try:
                instructions = chain.run()
            except IrsaError as caught:
                error = caught
                if isinstance(caught, ProcessError):
                    host.blamed(caught.process.name, caught.process.tail())
            else:
                if keep:
                    host.kept(instructions, story.report())
                    _wait_for_interrupt()
        try:
            with story.step("stop", "Stop everything, remove everything") as note:
                try:
                    chain.remove()
                finally:
                    stopped = processes.stop()
                    shutil.rmtree(folder)
                note.detail = f"{stopped} processes stopped, nothing left behind"
        except IrsaError as caught:
            error = error or caught
    return story.report(error)


def _wait_for_interrupt() -> None:
    with suppress(KeyboardInterrupt):
        while True:
            signal.pause()

"""Child processes: started in sessions of their own, waited for, stopped, and heard when they fail.

Nothing of our environment reaches them but where programs are found: a variable such as AWS_PROFILE, HTTPS_PROXY or
IRSA_PORT would change what the demo shows.
"""

import os
import signal
import site
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

from app.demo.signals import Signals
from app.errors import DemoError

READY_SECONDS: Final = 60.0
"""Ten times what the slowest takes on a machine that does nothing else."""

POLL_SECONDS: Final = 0.03
GRACE_SECONDS: Final = 2.0


class ProcessError(DemoError):
    """A process ended or went silent before it did what it should."""

    def __init__(self, message: str, process: "Process") -> None:
        super().__init__(message)
        self.process = process


class Process:
    """One child. What it wrote is in two files of the folder that it was started in.

    Attributes:
        name: what messages call it.
        grace: seconds that it may take to end when it is asked to.
    """

    def __init__(
        self, name: str, popen: "subprocess.Popen[bytes]", *, folder: Path, grace: float, leftovers: Sequence[Path]
    ) -> None:
        self.name = name
        self.grace = grace
        self._leftovers = leftovers
        self._popen = popen
        self._folder = folder
        self._ended = False

    @property
    def pid(self) -> int:
        """Return its process id, which is also that of its session and group."""
        return self._popen.pid

    def stdout(self) -> str:
        """Return what it wrote to its standard output so far."""
        return (self._folder / "stdout").read_text(errors="replace")

    def stderr(self) -> str:
        """Return what it wrote to its standard error so far."""
        return (self._folder / "stderr").read_text(errors="replace")

    def tail(self, lines: int = 8) -> list[str]:
        """Return the last lines of its standard error."""
        return list(deque(self.stderr().splitlines(), lines))

    def status(self) -> int | None:
        """Return its exit status, or None while it runs."""
        status = self._popen.poll()
        if status is not None and not self._ended:
            self._ended = True
            # What it started itself is not to outlive it. Only now: later the number may be somebody else's.
            self._signal(signal.SIGKILL)
        return status

    def ask_to_end(self) -> None:
        """Send SIGTERM to it and all that it started."""
        if self.status() is None:
            self._signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait until it ends, kill it at *deadline* (on ``time.monotonic``), and kill all that it started."""
        while self.status() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if self.status() is None:
            self._signal(signal.SIGKILL)
            self._popen.wait()
            self.status()
        for path in self._leftovers:
            path.unlink(missing_ok=True)

    def _signal(self, number: int) -> None:
        # On macOS a group of zombies is EPERM.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Processes:
    """All children of the demo. They are stopped when the context closes, whatever closes it."""

    def __init__(self, folder: Path, signals: Signals) -> None:
        self._folder = folder
        self._signals = signals
        self._children: list[Process] = []
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        grace: float = GRACE_SECONDS,
        leftovers: Sequence[Path] = (),
    ) -> Process:
        """Start *command* with this *environment* and nothing else of ours, in a folder of its own.

        Args:
            name: what messages call it.
            command: program and arguments.
            environment: all of it.
            grace: seconds that it may take to end when it is asked to.
            leftovers: files outside our folder that it may leave behind, removed after its end.

        Raises:
            DemoError: there is no such program.
        """
        self._number += 1
        folder = self._folder / f"{self._number}-{name}"
        folder.mkdir(mode=0o700, parents=True)
        with ExitStack() as files, self._signals.held():
            stdout, stderr = (files.enter_context((folder / file).open("wb")) for file in ("stdout", "stderr"))
            try:
                popen = subprocess.Popen(  # noqa: S603 - our own commands, and the one of the manifests, which is the point
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env=dict(environment),
                    cwd=folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise DemoError(f"{name}: expected to run {command[0]}, got: {error.strerror}") from error
            child = Process(name, popen, folder=folder, grace=grace, leftovers=leftovers)
            self._children.append(child)
        return child

    def stop(self) -> int:
        """Stop all children, and return how many had not ended by themselves."""
        with self._signals.held():
            running = sum(child.status() is None for child in self._children)
            for child in self._children:
                child.ask_to_end()
            asked = time.monotonic()
            for child in self._children:
                child.end(asked + child.grace)
            self._children.clear()
        return running


def wait(process: Process, is_done: Callable[[], bool], *, what: str, seconds: float = READY_SECONDS) -> None:
    """Ask *is_done* again and again until it says so; an OSError of its own is a no.

    Raises:
        ProcessError: *process* ended first, or did not do *what* in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        status = process.status()
        with suppress(OSError):
            if is_done():
                return
        if status is not None:
            raise ProcessError(f"{process.name}: expected it to {what}, got its end with status {status}", process)
        if time.monotonic() > deadline:
            raise ProcessError(f"{process.name}: expected it to {what} within {seconds:.0f} s, got nothing", process)
        time.sleep(POLL_SECONDS)


def bare_environment(home: Path) -> dict[str, str]:
    """Return what a child needs to find programs, and our Python its packages.

    Args:
        home: its home, and its place for temporary files.
    """
    binaries = Path(sys.executable).parent
    environment = {"PATH": os.pathsep.join((str(binaries), os.defpath)), "HOME": str(home), "TMPDIR": str(home)}
    if site.ENABLE_USER_SITE:
        # `pip install --user`: Python would look for it below the home that we do not give.
        environment["PYTHONUSERBASE"] = site.getuserbase()
    return environment

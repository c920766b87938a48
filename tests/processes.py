"""Real processes of ours, for tests that need what a user would have."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

BOUND_SECONDS = 30.0
"""For a start, and for a stop. Two busy cores have taken eight."""


class Process:
    """A running `irsa` and the log lines that it has written so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """Return the first log line of this *event* that has these *fields*."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._find(event, fields) is not None or not self._reader.is_alive(), timeout=BOUND_SECONDS
            )
            found = self._find(event, fields)
        assert found is not None, f"no {event} with {fields} in:\n{self.log}"
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end and return the exit status."""
        try:
            status = self._process.wait(BOUND_SECONDS)
        finally:
            self._process.kill()
        self._reader.join(BOUND_SECONDS)
        return status

    def _find(self, event: str, fields: dict[str, Any]) -> dict[str, Any] | None:
        wanted = {"event": event, **fields}
        found = (json.loads(line) for line in self._lines if line.startswith("{"))
        return next((line for line in found if wanted.items() <= line.items()), None)

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


@contextmanager
def irsa(
    *arguments: str, command: Sequence[str] = (sys.executable, "-m", "app"), stdout: IO[str] | int = subprocess.DEVNULL
) -> Iterator[Process]:
    """Run `irsa` with *arguments* until the context is left."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IRSA_")}
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment
    ) as started:
        process = Process(started)
        try:
            yield process
        finally:
            if started.poll() is None:
                process.stop()

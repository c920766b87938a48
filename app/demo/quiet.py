"""The demo for programs: one JSON object on standard output when it is over, and nothing else there."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from app.demo.program import Answer
from app.demo.story import Refusal, Report, Step
from app.demo.text import plain

Object = dict[str, Any]


class Quiet:
    """A `Host` that says nothing until the end. What helps a person goes to standard error."""

    def __init__(self) -> None:
        self._is_printed = False

    def began(self, title: str) -> None:
        """Say nothing."""

    def ended(self, step: Step) -> None:
        """Say nothing."""

    def injected(self, operations: Sequence[Object]) -> None:
        """Say nothing."""

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Say nothing."""

    def answered(self, answer: Answer) -> None:
        """Say nothing."""

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """Say nothing."""

    def blamed(self, process: str, lines: Sequence[str]) -> None:
        """Print the last lines of a process, for a person who reads the log of the program."""
        print(f"the last lines of {process}:", plain("\n".join(lines)), sep="\n", file=sys.stderr)

    def kept(self, instructions: str, report: Report) -> None:
        """Print the report now: who reads it will stop us by a signal."""
        self._print(report)
        print(instructions, file=sys.stderr, flush=True)

    def finish(self, report: Report) -> None:
        """Print the report, once."""
        if not self._is_printed:
            self._print(report)

    def _print(self, report: Report) -> None:
        self._is_printed = True
        print(json.dumps(report.document()), flush=True)

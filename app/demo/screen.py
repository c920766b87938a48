"""The demo for people: one line a step, and in between what is worth seeing."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, RenderableType
from rich.status import Status
from rich.table import Table
from rich.text import Text

from app.demo.pods import added
from app.demo.program import Answer
from app.demo.story import Refusal, Report, Step
from app.demo.text import plain

Object = dict[str, Any]

TITLE: Final = "irsa demo"
SUBTITLE: Final = "a pod that only annotates its ServiceAccount assumes its IAM role"
MAX_WIDTH: Final = 120
INDENT: Final = 2


class Screen:
    """A `Host` that prints to a terminal, or to whatever stands in for one.

    Nothing that it prints is read as markup: all of it is `Text`, and what others wrote goes through `plain`.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._console.width = min(console.width, MAX_WIDTH)
        self._status: Status | None = None

    def __enter__(self) -> Self:
        self._print(Text.assemble((TITLE, "bold"), ": ", SUBTITLE))
        self._print(Text())
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._stop_status()

    def began(self, title: str) -> None:
        """Show that a step is under way, where that can be taken away again."""
        if self._console.is_terminal:
            self._status = self._console.status(Text(title))
            self._status.start()

    def ended(self, step: Step) -> None:
        """Print a step with its time."""
        self._stop_status()
        mark = ("✓", "bold green") if step.ok else ("✗", "bold red")
        line = Table.grid(expand=True, padding=(0, 1))
        line.add_column(width=1)
        line.add_column(ratio=1)
        line.add_column(justify="right", no_wrap=True)
        line.add_row(Text(*mark), Text(step.title, "bold"), Text(f"{step.seconds:.2f} s", "cyan"))
        self._print(line)
        if step.detail:
            self._indented(Text(plain(step.detail), "" if step.ok else "red"))

    def injected(self, operations: Sequence[Object]) -> None:
        """Print what the webhook added to the pod."""
        self.rows([row for operation in operations for row in added(operation)])

    def answered(self, answer: Answer) -> None:
        """Print who the pod was, and what it did in S3."""
        self.rows([*answer.identity.items(), ("S3", f"wrote {answer.object}, read {answer.content!r}")])

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """Print what each of the pods was told."""
        for each in refusals:
            self._indented(Text.assemble(each.title, ": ", (plain(each.code), "yellow")))
            self._indented(Text(plain(each.message), "dim"), by=2 * INDENT)

    def blamed(self, process: str, lines: Sequence[str]) -> None:
        """Print the last lines of a process."""
        self._indented(Text(f"the last lines of {process}:"))
        self._indented(Text(plain("\n".join(lines)), "dim"), by=2 * INDENT)

    def kept(self, instructions: str, report: Report) -> None:
        """Print how to talk to what keeps running."""
        del report
        self._print(Text())
        self._console.print(instructions, soft_wrap=True, markup=False, highlight=False)

    def finish(self, report: Report) -> None:
        """Print how it ended."""
        self._print(Text())
        verdict = ("The whole chain works, in ", "bold green") if report.ok else ("It failed, after ", "bold red")
        self._print(Text.assemble(verdict, (f"{report.seconds:.1f} s", verdict[1]), "."))

    def _stop_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print names and values in two columns; a value that would not fit goes below its name, in one piece."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            fits = INDENT + width + INDENT + len(value) <= self._console.width
            between = " " * (width - len(name) + INDENT) if fits else "\n  "
            self._indented(Text.assemble((plain(name), "green"), between, plain(value)))

    def _indented(self, content: Text, by: int = INDENT) -> None:
        for line in content.wrap(self._console, self._console.width - by):
            line.rstrip()
            self._print(Text.assemble(" " * by, line))

    def _print(self, content: RenderableType) -> None:
        self._console.print(content, markup=False, highlight=False)

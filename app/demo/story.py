"""What happened in one run: steps with their times, the caller identity, the refusals. Pure, but for the clock."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.demo.program import Answer
from app.errors import DemoError, IrsaError

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One step that ended.

    Attributes:
        name: for programs.
        title: for people.
        ok: whether it did what it should.
        seconds: how long it took.
        detail: what came of it, or what went wrong; may have several lines.
    """

    name: str
    title: str
    ok: bool
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A pod that must not get the role, and what it was told instead.

    Attributes:
        name: for programs.
        title: for people.
        expected: the error code that it must be refused with.
        code: the one that came; empty where there was none.
        message: the whole message, as the pod's log has it.
    """

    name: str
    title: str
    expected: str
    code: str
    message: str

    @property
    def ok(self) -> bool:
        """Return whether it was refused for the reason that it should be refused for."""
        return self.code == self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole run.

    Attributes:
        seconds: from its begin to its end.
        steps: in order.
        identity: UserId, Account and Arn that the pod had; empty where it came to none.
        refusals: in order.
        error: what ended it early.
    """

    seconds: float
    steps: Sequence[Step]
    identity: Mapping[str, str]
    refusals: Sequence[Refusal]
    error: IrsaError | None = None

    @property
    def ok(self) -> bool:
        """Return whether every step did what it should."""
        return self.error is None

    def document(self) -> Object:
        """Return the object that ``irsa demo --json`` prints."""
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "steps": [
                {"name": step.name, "ok": step.ok, "seconds": round(step.seconds, 3), "detail": step.detail}
                for step in self.steps
            ],
            "identity": dict(self.identity),
            "refusals": [
                {"name": each.name, "ok": each.ok, "code": each.code, "message": each.message} for each in self.refusals
            ],
        }


class Audience(Protocol):
    """Who is told while it happens."""

    def began(self, title: str) -> None:
        """Hear that a step began."""

    def ended(self, step: Step) -> None:
        """Hear that it ended, well or not."""

    def injected(self, operations: Sequence[Object]) -> None:
        """See what the webhook added to the pod."""

    def rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """See names and values of a pod."""

    def answered(self, answer: Answer) -> None:
        """See what the program in the pod printed."""

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """See what became of the pods that must not get the role."""

    def blamed(self, process: str, lines: Sequence[str]) -> None:
        """See the last lines of the process because of which a step did not do what it should."""


@dataclass(slots=True)
class Note:
    """What a step has to say when it ends."""

    detail: str = ""


@dataclass(slots=True)
class Story:
    """Writes the report, step by step."""

    audience: Audience
    began: float = field(default_factory=time.monotonic)
    steps: list[Step] = field(default_factory=list)
    answer: Answer | None = None
    refusals: Sequence[Refusal] = ()

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Note]:
        """Time what happens while this is open. An error of ours is what came of it, and goes on."""
        self.audience.began(title)
        began, note = time.monotonic(), Note()

        def end(detail: str, *, ok: bool) -> None:
            step = Step(name, title, ok, time.monotonic() - began, detail)
            self.steps.append(step)
            self.audience.ended(step)

        try:
            yield note
        except IrsaError as error:
            end(str(error), ok=False)
            raise
        except OSError as error:
            problem = DemoError(f"{name}: expected this machine to do its part, got: {error.strerror or error}")
            end(str(problem), ok=False)
            raise problem from error
        end(note.detail, ok=True)

    def report(self, error: IrsaError | None = None) -> Report:
        """Return all of it; *error* is what ended it early."""
        return Report(
            seconds=time.monotonic() - self.began,
            steps=tuple(self.steps),
            identity=self.answer.identity if self.answer else {},
            refusals=tuple(self.refusals),
            error=error,
        )

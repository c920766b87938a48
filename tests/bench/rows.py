"""What one measurement says: its samples, what they are compared with, and what they must reach. Pure."""

import statistics
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["lower", "higher"]
Verdict = Literal["met", "missed", "not measured", ""]


class NotMeasuredError(Exception):
    """Something that was to be measured could not be. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        group: what it belongs to: throughput, memory and so on.
        what: what was measured.
        unit: ``/s``, ``ms``, ``µs``, ``s`` or ``MB`` (10**6 bytes).
        samples: one a run; the median is the result.
        reference: what the reference app reached in the same runs, in the same order. The result is a ratio then, the
            median of the runs' ratios: a neighbour on the machine slows both halves of a run.
        better: which way is better, and so on which side of `must` the result has to be.
        must: the bound, of the ratio where there is a reference.
        problem: why there are no samples.
    """

    group: str
    what: str
    unit: str = ""
    samples: tuple[float, ...] = ()
    reference: tuple[float, ...] = ()
    better: Better = "lower"
    must: float | None = None
    problem: str = ""

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        """The best sample: what the code takes when nobody disturbs it."""
        return min(self.samples) if self.better == "lower" else max(self.samples)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours divided by the reference's, run by run; empty where there is no reference."""
        return tuple(ours / theirs for ours, theirs in zip(self.samples, self.reference, strict=bool(self.reference)))

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return statistics.median(self.ratios)

    @property
    def noise(self) -> float:
        """How far the judged numbers are apart: half of their range, as a part of their median."""
        judged = self.ratios or self.samples
        return (max(judged) - min(judged)) / 2 / statistics.median(judged)

    @property
    def verdict(self) -> Verdict:
        """Whether the median is on the right side of `must`."""
        if self.problem:
            return "not measured"
        if self.must is None:
            return ""
        value = self.ratio if self.reference else self.median
        return "met" if (value <= self.must if self.better == "lower" else value >= self.must) else "missed"

    def document(self) -> dict[str, Any]:
        """Return the row as it stands in the JSON."""
        document: dict[str, Any] = {"group": self.group, "what": self.what, "verdict": self.verdict}
        if self.problem:
            return document | {"problem": self.problem}
        document |= {"unit": self.unit, "better": self.better, "median": self.median, "best": self.best}
        document |= {"noise": self.noise, "must": self.must, "samples": self.samples}
        if self.reference:
            document |= {"ratio": self.ratio, "reference": self.reference}
        return document

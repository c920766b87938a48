"""What a doctor says: one finding a link of the chain, in the chain's order. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.doctor.record import Unread


class State(StrEnum):
    """How a link is: a closed list."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should know."""
    UNKNOWN = "unknown"
    """It could not be looked at."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One link, and how it is.

    Attributes:
        link: its name.
        state: how it is.
        seen: what was seen; text from strangers is in it.
        meaning: what follows from that; empty where it is as it should be.
        remedy: what to do, a command where one does it; empty where there is nothing to do.
    """

    link: str
    state: State
    seen: str
    meaning: str = ""
    remedy: str = ""


def ok(link: str, seen: str) -> Finding:
    """Return that *link* is as it should be."""
    return Finding(link=link, state=State.OK, seen=seen)


def broken(link: str, seen: str, *, meaning: str, remedy: str) -> Finding:
    """Return that *link* is broken."""
    return Finding(link=link, state=State.BROKEN, seen=seen, meaning=meaning, remedy=remedy)


def warning(link: str, seen: str, *, meaning: str, remedy: str) -> Finding:
    """Return that *link* holds, and what should be known of it."""
    return Finding(link=link, state=State.WARNING, seen=seen, meaning=meaning, remedy=remedy)


def unknown(link: str, unread: Unread, *, remedy: str = "try again") -> Finding:
    """Return that *link* could not be looked at, and why."""
    remedy = "run this with a user who has that right" if unread.is_forbidden else remedy
    return Finding(link=link, state=State.UNKNOWN, seen=unread.why, remedy=remedy)


def verdict(findings: Iterable[Finding]) -> Finding | None:
    """Return the first broken link: what comes behind it may be broken by nothing else. None where all hold."""
    return next((finding for finding in findings if finding.state is State.BROKEN), None)


def as_object(finding: Finding) -> dict[str, Any]:
    """Return *finding* for JSON."""
    return {
        "link": finding.link,
        "state": finding.state.value,
        "seen": finding.seen,
        "meaning": finding.meaning,
        "remedy": finding.remedy,
    }

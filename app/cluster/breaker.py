"""Whether an API that gave no answer is worth asking again: a circuit breaker. Pure: time is an argument."""

from typing import Final

OPEN_SECONDS: Final = 5.0
"""Of six seconds then one is spent on waiting, by one review."""


class Breaker:
    """Opens with a question that got no answer, and closes with one that did.

    While it is open, one question is let through each `OPEN_SECONDS` (others call that half-open).
    """

    __slots__ = ("_open_until",)

    def __init__(self) -> None:
        self._open_until: float | None = None

    def is_open(self, now: float) -> bool:
        """Return whether it is in vain to ask at *now*, as far as is known."""
        return self._open_until is not None and now < self._open_until

    def asked(self, now: float) -> None:
        """Say that somebody asks. Where nobody had an answer before, the others leave it at that one question."""
        if self._open_until is not None:
            self._open_until = now + OPEN_SECONDS

    def unanswered(self, now: float) -> None:
        """Say that there was no answer, or no connection."""
        self._open_until = now + OPEN_SECONDS

    def answered(self) -> None:
        """Say that there was an answer, whatever it says."""
        self._open_until = None

"""SIGINT, SIGTERM and SIGHUP as exceptions, and never in the middle of a start or a stop.

A child that was started and not yet written down would be left behind, and so would all that come after an
interrupted stop. So signals are only noted, and raised where `Signals.raised` says that they may be; the first one that
is raised ends that, and a second Ctrl-C cannot interrupt the cleaning up.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Self

NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Handles the signals while its context is open. For the main thread."""

    def __init__(self) -> None:
        self._raising = False
        self._noted: int | None = None
        self._before = {number: signal.getsignal(number) for number in NUMBERS}

    def __enter__(self) -> Self:
        for number in NUMBERS:
            signal.signal(number, self._handle)
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if error_type is None:
            self._raise_noted()

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Raise KeyboardInterrupt, or SystemExit with 128 and the signal's number, while this is open."""
        self._raising = True
        try:
            self._raise_noted()
            yield
        finally:
            self._raising = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only note signals while this is open, and raise one of them at its end."""
        before, self._raising = self._raising, False
        try:
            yield
        finally:
            self._raising = before
        if before:
            self._raise_noted()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._noted = self._noted or number
        if self._raising:
            self._raise_noted()

    def _raise_noted(self) -> None:
        if self._noted is None:
            return
        number, self._noted, self._raising = self._noted, None, False
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

"""How a server ends, step by step, and who asks for it."""

import asyncio
import signal
from enum import IntEnum
from typing import Final

import structlog

log = structlog.get_logger()


class Stage(IntEnum):
    """What a server does; it never goes back."""

    SERVING = 0
    DRAINING = 1
    """It serves as before, says that it is not ready, and sends connections away with their next answer."""
    FINISHING = 2
    """It takes no more connections, and ends those that are open when their answer is sent."""
    LEAVING = 3
    """It ends them now."""


class Shutdown:
    """Where a server is on its way to its end. `app.server.serve` follows it, and `/readyz` tells of it.

    SIGTERM begins to drain: whoever sends it (the kubelet) has us removed from the endpoints at the same time, and
    that takes a moment to reach all who use them. SIGINT comes from a person, who need not wait for that. Each further
    signal is one step ahead.

    Attributes:
        stage: how far it is.
        interrupted: SIGINT was the first signal.
    """

    def __init__(self) -> None:
        self.stage = Stage.SERVING
        self.interrupted = False
        self._reached: Final = {stage: asyncio.Event() for stage in Stage}

    def signalled(self, number: int) -> None:
        """Go on because of a signal."""
        first = self.stage is Stage.SERVING
        self.interrupted = self.interrupted or (first and number == signal.SIGINT)
        at_least = Stage.FINISHING if number == signal.SIGINT else Stage.DRAINING
        self.advance(max(at_least, Stage(min(self.stage + 1, Stage.LEAVING))))

    def advance(self, stage: Stage) -> None:
        """Go on to *stage*, if it is not reached yet."""
        for each in Stage:
            if self.stage < each <= stage:
                self._reached[each].set()
        self.stage = max(self.stage, stage)

    async def reached(self, stage: Stage, *, seconds: float | None = None) -> None:
        """Wait until *stage* is reached, or so many seconds have passed."""
        try:
            async with asyncio.timeout(seconds):
                await self._reached[stage].wait()
        except TimeoutError:
            return

    def missing(self) -> str | None:
        """Return that it ends, or None: a check for ``/readyz``."""
        return None if self.stage is Stage.SERVING else "shutting down"

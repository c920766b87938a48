"""Background loops: named, guarded, started and stopped together.

A loop that ends is a bug, whether by an error or by returning. A server that goes on without it answers from a state
that nobody keeps current, so the whole process ends instead: SIGTERM to itself, which uvicorn takes as its signal to
finish what it has and stop.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Self

import structlog

STOP_SECONDS: Final = 5.0
"""How long a cancelled loop may take to clean up before we go on without it."""

log = structlog.get_logger()


class BackgroundLoops:
    """Runs loops while its context is open; ``app.server.serve`` opens and checks it.

    Attributes:
        ended: name of the first loop that ended although nobody stopped it, empty while there is none. Whoever runs the
            server exits with a non-zero status then.
    """

    def __init__(
        self, loops: Mapping[str, Callable[[], Awaitable[None]]], *, stop_seconds: float = STOP_SECONDS
    ) -> None:
        self.ended = ""
        self._stop_seconds = stop_seconds
        self._loops = loops
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._guard(name, loop), name=name) for name, loop in self._loops.items()]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _done, pending = await asyncio.wait(self._tasks, timeout=self._stop_seconds)
            for task in pending:
                log.error("background_loop_does_not_stop", loop=task.get_name(), waited_seconds=self._stop_seconds)

    async def _guard(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except asyncio.CancelledError:
            if self._stopping:
                raise
            log.error("background_loop_cancelled", loop=name)  # noqa: TRY400 - where it was cancelled says nothing
        except Exception:
            # Whatever it is, it goes to the log with its traceback, and the process with it.
            if not self._stopping:
                log.exception("background_loop_died", loop=name)
        else:
            log.error("background_loop_returned", loop=name)
        if not self._stopping:
            self.ended = self.ended or name
            signal.raise_signal(signal.SIGTERM)

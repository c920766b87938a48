"""Waits for a state, with a bound. For what really happens elsewhere: another task, a thread, a server."""

import asyncio
from collections.abc import Callable


async def eventually(state: Callable[[], bool], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not state():  # noqa: ASYNC110 - the state is another thread's or process's as well: nobody sets an event
            await asyncio.sleep(0.005)

"""An asyncio program beside a test that is none."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")

BOUND_SECONDS = 30.0


@contextmanager
def in_a_thread(program: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Enter *program* in an event loop of its own, which turns until the context is left."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        made = asyncio.run_coroutine_threadsafe(program.__aenter__(), loop).result(BOUND_SECONDS)
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(program.__aexit__(None, None, None), loop).result(BOUND_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(BOUND_SECONDS)
        loop.close()

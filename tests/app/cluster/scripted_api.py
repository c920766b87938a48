"""A `ReadingApi` that answers what a test wrote down, and a clock that a test moves by hand."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from app.cluster.api import ANSWER_SECONDS, Collection, ReadingApi
from app.errors import ClusterError

Step = bytes | ClusterError | Callable[[], object]
"""A page or a line; a failure; or something to do between two of them."""


class ManualClock:
    """Seconds that pass only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class ScriptedApi(ReadingApi):
    """Answers LISTs from *lists* and WATCHes from *watches*; when a script is at its end it waits forever.

    Attributes:
        lists: a page or a failure for each request.
        watches: what each watch does: lines, a failure, then the end. A failure alone refuses the watch.
        asked: the requests, as ``("list", limit, continue_token)`` and ``("watch", resource_version)``.
        timeouts: the timeoutSeconds of each watch.
        collections: what was listed and watched.
        at_end: set when all that was written down has happened.
    """

    lists: Sequence[Step] = ()
    watches: Sequence[Sequence[Step]] = ()
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    timeouts: list[int] = field(default_factory=list)
    collections: set[Collection] = field(default_factory=set)
    at_end: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._lists = deque(self.lists)
        self._watches = deque(self.watches)

    async def list_page(self, collection: Collection, *, limit: int, continue_token: str) -> bytes:
        self.collections.add(collection)
        self.asked.append(("list", limit, continue_token))
        while self._lists:
            if (body := _do(self._lists.popleft())) is not None:
                return body
        return await self._wait_forever()

    @asynccontextmanager
    async def watch(
        self, collection: Collection, resource_version: str, *, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.collections.add(collection)
        self.asked.append(("watch", resource_version))
        self.timeouts.append(timeout_seconds)
        steps = deque(self._watches.popleft()) if self._watches else None
        if steps and isinstance(steps[0], ClusterError):
            raise steps[0]
        yield self._lines(steps)

    async def get(self, path: str, *, metadata_only: bool = False, timeout_seconds: float = ANSWER_SECONDS) -> bytes:
        raise NotImplementedError(path)

    async def _lines(self, steps: deque[Step] | None) -> AsyncIterator[bytes]:
        if steps is None:
            await self._wait_forever()
        for step in steps or ():
            if (line := _do(step)) is not None:
                yield line

    async def _wait_forever(self) -> bytes:
        self.at_end.set()
        await asyncio.Event().wait()
        return b""


def _do(step: Step) -> bytes | None:
    if isinstance(step, ClusterError):
        raise step
    if isinstance(step, bytes):
        return step
    step()
    return None


def page(version: str, *names: str, continue_token: str = "") -> bytes:
    items = [{"metadata": {"name": name, "namespace": "shop"}} for name in names]
    return json.dumps({"metadata": {"resourceVersion": version, "continue": continue_token}, "items": items}).encode()


def event(kind: str, version: str, name: str = "", **metadata: Any) -> bytes:
    described = {"name": name, "namespace": "shop", "resourceVersion": version} | metadata
    return json.dumps({"type": kind, "object": {"metadata": described}}).encode()

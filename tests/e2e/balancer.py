"""What a Service is to an API server: one address, behind it the replicas that are ready."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.e2e.serving import Replica

PROBE_SECONDS = 0.5
"""A kubelet's probe of a container that died and the EndpointSlice behind it take one to two seconds."""


@dataclass
class Balancer:
    """As kube-proxy does it: each new connection goes to a ready replica, and stays there whatever becomes of that."""

    replicas: Sequence[Replica]
    host: str = ""
    port: int = 0
    _ready: list[Replica] = field(default_factory=list)
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)
    _connections: "set[asyncio.Task[None]]" = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Balancer"]:
        """Listen on a free port of `host`, or else of the replicas' one."""
        await self._look()
        server = await asyncio.start_server(self._connected, self.host or self.replicas[0].host, 0)
        self.port = server.sockets[0].getsockname()[1]
        probing = asyncio.create_task(self._probe())
        try:
            yield self
        finally:
            server.close()
            for task in (probing, *self._connections):
                task.cancel()
            await asyncio.gather(probing, *self._connections, return_exceptions=True)

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            await self._look()

    async def _look(self) -> None:
        answers = await asyncio.gather(*map(_is_ready, self.replicas))
        self._ready = [one for one, is_ready in zip(self.replicas, answers, strict=True) if is_ready]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with suppress(OSError, asyncio.CancelledError):
            if self._ready:
                chosen = self._ready[next(self._turn) % len(self._ready)]
                await _joined(reader, writer, *await asyncio.open_connection(chosen.host, chosen.port))
        writer.transport.abort()


async def _joined(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
    other_reader: asyncio.StreamReader, other_writer: asyncio.StreamWriter,
) -> None:  # fmt: skip
    """Carry bytes both ways until one side has no more."""
    ways = [asyncio.create_task(_carry(reader, other_writer)), asyncio.create_task(_carry(other_reader, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        other_writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()


async def _is_ready(replica: Replica) -> bool:
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(replica.host, replica.metrics_port)
            writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
            line = await reader.readline()
            writer.transport.abort()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in line

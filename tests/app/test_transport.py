"""Our HTTP protocol under a real server: one write a response, and nothing kept of a connection that was reset."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app import transport
from app.transport import HttpProtocol, OneWrite


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    body = b"x" * 1_000_000 if scope["path"] == "/large" else b"answered"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(keep_alive: int = 60) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        answer, http=HttpProtocol, ws="none", lifespan="off", log_config=None, timeout_keep_alive=keep_alive
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


REQUEST = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


async def response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


@pytest.mark.anyio
async def test_head_and_body_arrive_together() -> None:
    class Recorder(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[bytes | str] = []

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.calls.append(bytes(data))

        def close(self) -> None:
            self.calls.append("closed")

    recorder = Recorder()
    transport = OneWrite(recorder)
    transport.write(b"head")
    transport.write(b"body")
    await asyncio.sleep(0)
    transport.write(b"next")
    transport.close()
    await asyncio.sleep(0)

    assert recorder.calls == [b"headbody", b"next", "closed"]


@pytest.mark.anyio
async def test_requests_that_come_at_once_are_answered_in_order_and_whole() -> None:
    async with asyncio.timeout(20), serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST % b"/" + REQUEST % b"/large" + REQUEST % b"/")

        assert await response(reader) == b"answered"
        assert await response(reader) == b"x" * 1_000_000
        assert await response(reader) == b"answered"
        writer.close()


@pytest.mark.anyio
async def test_nothing_is_kept_of_a_connection_that_was_reset() -> None:
    def protocols() -> int:
        gc.collect()
        return sum(isinstance(found, HttpProtocol) for found in gc.get_objects())

    async with asyncio.timeout(20), serving() as port:
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST % b"/")
            await response(reader)
            # Closing with SO_LINGER 0 sends a reset.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.close()
            await writer.wait_closed()

        while protocols():  # noqa: ASYNC110 - nobody tells when a server has noticed a reset
            await asyncio.sleep(0.01)


@pytest.mark.anyio
async def test_connection_that_asks_nothing_is_closed() -> None:
    async with asyncio.timeout(20), serving(keep_alive=0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        assert await reader.read() == b""
        writer.close()


@pytest.mark.anyio
async def test_head_that_does_not_end_is_given_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "HEAD_SECONDS", 0.2)
    async with asyncio.timeout(20), serving() as port:
        slow, slow_writer = await asyncio.open_connection("127.0.0.1", port)
        good, good_writer = await asyncio.open_connection("127.0.0.1", port)
        good_writer.write(b"GET / HT")
        await asyncio.sleep(0.05)
        good_writer.write(b"TP/1.1\r\nHost: x\r\n\r\n")
        assert await response(good) == b"answered"

        # A byte now and then keeps nobody waiting any longer.
        slow_writer.write(b"GET / HTTP/1.1\r\nX: ")
        ended = asyncio.create_task(slow.read())
        while not ended.done():
            slow_writer.write(b"x")
            await asyncio.sleep(0.02)
        assert ended.result() == b""

        # What came in parts, but in time, is no worse off than the rest.
        good_writer.write(REQUEST % b"/")
        assert await response(good) == b"answered"
        for writer in (slow_writer, good_writer):
            writer.close()

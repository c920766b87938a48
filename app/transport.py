"""Status line, headers and body of an HTTP response in one write: one TLS record, one packet, one system call.

uvicorn writes the head when the application starts its response and the body when that comes. Over TLS the second write
costs a fifth of a small request (measured), and where Nagle's algorithm and a delayed acknowledgement meet, 40 ms.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of request line and headers. An apiserver sends half a kilobyte; a 100 MB header held up everybody for 5 s (seen)."""

HEAD_SECONDS: Final = 10.0
"""For a whole head to arrive once it has begun: what an apiserver waits for its answer."""


NOT_FOUND: Final = b"not found\n"


def by_path(endpoints: Mapping[str, ASGIApp]) -> ASGIApp:
    """Return an application of these endpoints by path, and 404 elsewhere.

    The hot path goes around the framework, whose routing and middleware took a quarter of a review's time.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoints.get(scope["path"], not_found)(scope, receive, send)

    return application


async def not_found(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer 404, and leave with the connection what body there may be."""
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(NOT_FOUND)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": NOT_FOUND})


class OneWrite:
    """A transport that collects what is written in one turn of the event loop, and writes it at the turn's end.

    Everything else is the transport's own; `close` writes first.
    """

    __slots__ = ("_call_soon", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._call_soon = asyncio.get_running_loop().call_soon

    def write(self, data: bytes) -> None:
        """Write *data* at the end of this turn."""
        if not self._parts:
            self._call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Write what is left, and close when it is sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol for HTTP/1.1 over httptools, on `OneWrite`, with bounds for the head of a request.

    Attributes:
        is_connected: there was a connection, over TLS after its handshake.
        on_lost: called when the connection is gone.
    """

    is_connected = False
    on_lost: Callable[[], None] | None = None
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        """Begin to serve a connection, and to wait for its first request: uvicorn would wait for ever."""
        super().connection_made(cast("asyncio.Transport", OneWrite(transport)))
        self.is_connected = True
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Read what came; refuse a head without end, which httptools would put together ever more slowly."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._head_bytes = 0
            self._stop_head_timer()
            return
        # No request is under way, so these bytes were part of a head, or of a body that was refused.
        self._head_bytes += len(data)
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("expected a shorter request head, got more")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection, however it ended.

        After a reset uvicorn would leave its timer for idle connections running, and with it 130 kB for `KEEP_ALIVE`:
        whoever resets connections in a loop would choose our memory (measured).
        """
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._stop_head_timer()
        if self.on_lost is not None:
            self.on_lost()

    def importance(self) -> int:
        """Return 2 while a request is under way, 1 between two, and 0 where there was none yet."""
        return 0 if self.cycle is None else 1 if self.cycle.response_complete else 2

    def drain(self) -> None:
        """Have the answer to the request under way, if there is one, be the last of its connection."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection after the request that is under way, of which there may be a part of the head only."""
        if not self._head_timer:
            super().shutdown()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

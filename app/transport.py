"""Status line, headers and body of an HTTP response in one write: one TLS record, one packet, one system call.

uvicorn writes the head when the application starts its response and the body when that comes. Over TLS the second write
costs a fifth of a small request (measured), and where Nagle's algorithm and a delayed acknowledgement meet, 40 ms.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""Of request line and headers. An apiserver sends half a kilobyte; a 100 MB header held up everybody for 5 s (seen)."""


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
    """uvicorn's protocol for HTTP/1.1 over httptools, on `OneWrite`, with a bound for the head of a request."""

    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        """Begin to serve a connection."""
        super().connection_made(cast("asyncio.Transport", OneWrite(transport)))

    def data_received(self, data: bytes) -> None:
        """Read what came; refuse a head without end, which httptools would put together ever more slowly."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._head_bytes = 0
            return
        # No request is under way, so these bytes were part of a head, or of a body that was refused.
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("expected a shorter request head, got more")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection, however it ended.

        After a reset uvicorn would leave its timer for idle connections running, and with it 130 kB for `KEEP_ALIVE`:
        whoever resets connections in a loop would choose our memory (measured).
        """
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

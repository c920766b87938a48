"""One port: accepts connections within bounds, serves them with uvicorn's HTTP protocol, ends them in good order."""

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from app.connections import Connections
from app.serving_certificate import ServingCertificate
from app.shutdown import Shutdown, Stage
from app.transport import HttpProtocol

KEEP_ALIVE_SECONDS: Final = 120
"""Longer than the 90 seconds after which client-go drops an idle connection (apimachinery's SetTransportDefaults).

Were it shorter, we would close a connection in the moment in which the apiserver sends a review on it.
"""

HANDSHAKE_SECONDS: Final = 10.0
"""An apiserver gives its whole review no longer than that."""

CLOSE_SECONDS: Final = 5.0
"""For the peer to say goodbye, when we have (close_notify)."""

FINISH_SECONDS: Final = 10.0
"""How long requests under way may take when we end; an apiserver waits no longer than its webhook timeout."""

SETTLE_SECONDS: Final = 0.2
"""Between the last connection that is accepted and the end of those that are idle: its request may be on its way."""

MAX_CONNECTIONS: Final = 1024
"""Three API servers with 200 changes under way each (--max-mutating-requests-inflight) need 600. An open connection
over TLS costs 75 to 130 kB (measured)."""

MAX_METRICS_CONNECTIONS: Final = 128

BACKLOG: Final = 2048
ACCEPTS_AT_ONCE: Final = 16
"""In one turn of the event loop: requests under way must not wait for a crowd at the door."""

NO_DESCRIPTOR_SECONDS: Final = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What is served where.

    Attributes:
        application: answers.
        number: of the port; 0 takes a free one, which the log names.
        certificate: serves TLS with it, and only when it is there; None serves plain HTTP.
        name: of the port, for the metrics.
        event: what the log calls the beginning.
        connections: those that are open.
    """

    application: ASGIApp
    number: int
    certificate: ServingCertificate | None = None
    name: str = "https"
    event: str = "listening"
    connections: Connections = field(default_factory=lambda: Connections(MAX_CONNECTIONS))


def metrics_port(application: ASGIApp, *, number: int) -> Port:
    """Return the plain port for metrics and probes, with connections for a handful of those who ask for them."""
    return Port(
        application=application,
        number=number,
        name="http",
        event="metrics_listening",
        connections=Connections(MAX_METRICS_CONNECTIONS),
    )


def configuration(application: ASGIApp) -> uvicorn.Config:
    """Return how uvicorn's protocol is to serve *application*."""
    return uvicorn.Config(
        application,
        http=HttpProtocol,
        ws="none",  # the library for them is not even imported
        lifespan="off",  # what a role runs beside its requests is in `client` and `loops`
        log_config=None,
        access_log=False,
        proxy_headers=False,  # uvicorn would believe X-Forwarded-For from loopback
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


@dataclass(eq=False, slots=True)
class _Accepted:
    """A connection, from the moment it is accepted."""

    address: str
    protocol: HttpProtocol
    handshake: asyncio.Task[None] | None = None

    def importance(self) -> int:
        return self.protocol.importance()

    def abort(self) -> None:
        if self.handshake is not None:
            self.handshake.cancel()
        else:
            self.protocol.transport.abort()


class Listener:
    """Serves a `Port` on a socket that is bound to it, in the running event loop."""

    def __init__(self, port: Port, bound: socket.socket) -> None:
        self._port = port
        self._socket = bound
        self._config = configuration(port.application)
        self._config.load()
        self._state = ServerState()
        self._loop = asyncio.get_running_loop()
        self._clock: asyncio.TimerHandle | None = None
        self._goodbye: list[tuple[bytes, bytes]] = []
        self._is_open = True
        self._empty = asyncio.Event()

    def open(self) -> None:
        """Accept connections, as soon as there is a certificate."""
        self._tell_time()
        if self._port.certificate is None:
            self._listen()
        else:
            self._port.certificate.when_loaded(self._listen)

    def drain(self) -> None:
        """Serve on, but have every answer be the last of its connection."""
        self._goodbye = [(b"connection", b"close")]
        self._tell_time()
        for protocol in self._state.connections:
            cast("HttpProtocol", protocol).drain()

    async def close(self, shutdown: Shutdown) -> None:
        """Accept no more, let what is under way come to its end, and end the rest; at LEAVING all of it."""
        self.drain()
        self._is_open = False
        self._loop.remove_reader(self._socket)
        self._socket.close()
        await shutdown.reached(Stage.LEAVING, seconds=SETTLE_SECONDS)
        for protocol in list(self._state.connections):
            protocol.shutdown()
        if self._port.connections:
            finished = self._loop.create_task(self._empty.wait())
            leaving = self._loop.create_task(shutdown.reached(Stage.LEAVING))
            await asyncio.wait({finished, leaving}, timeout=FINISH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finished.cancel()
            leaving.cancel()
        await self._end()

    async def _end(self) -> None:
        """End what is left."""
        if self._port.connections:
            log.error("connections_cut", port=self._port.name, connections=len(self._port.connections))
        for connection in self._port.connections:
            connection.abort()
        for task in (tasks := list(self._state.tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._clock is not None:
            self._clock.cancel()

    def _listen(self) -> None:
        if not self._is_open:
            return
        self._socket.setblocking(False)
        self._socket.listen(BACKLOG)
        self._loop.add_reader(self._socket, self._accept)
        host, number = self._socket.getsockname()[:2]
        log.info(self._port.event, host=host, port=number, tls=self._port.certificate is not None)

    def _tell_time(self) -> None:
        """Have the answers of the next second say what time it is (RFC 9110, section 6.6.1)."""
        if self._clock is not None:
            self._clock.cancel()
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode()), *self._goodbye]
        self._clock = self._loop.call_later(1, self._tell_time)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # No file descriptors, or no memory: the connection stays in line, and would be reported for ever.
                log.error("accept_failed", port=self._port.name, problem=error.strerror)  # noqa: TRY400 - says all
                self._loop.remove_reader(self._socket)
                self._loop.call_later(NO_DESCRIPTOR_SECONDS, self._accept_again)
                return
            self._begin(accepted, str(peer[0]))

    def _accept_again(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._socket, self._accept)

    def _begin(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        protocol = HttpProtocol(self._config, self._state, {}, self._loop)
        connection = _Accepted(address, protocol)
        protocol.on_lost = lambda: self._lost(connection)
        connection.handshake = self._loop.create_task(self._handshake(connection, accepted))
        self._port.connections.add(connection)

    async def _handshake(self, connection: _Accepted, accepted: socket.socket) -> None:
        certificate = self._port.certificate
        tls: dict[str, Any] = {}
        if certificate is not None:
            tls = {
                "ssl": certificate.context,
                "ssl_handshake_timeout": HANDSHAKE_SECONDS,
                "ssl_shutdown_timeout": CLOSE_SECONDS,
            }
        try:
            await self._loop.connect_accepted_socket(lambda: connection.protocol, accepted, **tls)
        except (OSError, ssl.SSLError):
            # A scanner, a client that does not trust us, or one that left: nothing to say but how many.
            self._port.connections.failed_handshakes += 1
        finally:
            connection.handshake = None
            if not connection.protocol.is_connected:
                accepted.close()
                self._lost(connection)

    def _lost(self, connection: _Accepted) -> None:
        connection.protocol.on_lost = None  # it refers to the connection, which refers to it
        self._port.connections.remove(connection)
        if not self._is_open and not self._port.connections:
            self._empty.set()

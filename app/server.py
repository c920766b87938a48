"""One HTTP server for every role that serves: bound before it starts, stopped by a signal, in good order."""

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, nullcontext
from types import FrameType
from typing import Any, Final

import structlog

from app.errors import ConfigurationError, IrsaError
from app.listener import BACKLOG, MAX_CONNECTIONS, Listener, Port, configuration
from app.loops import BackgroundLoops
from app.shutdown import Shutdown, Stage
from app.text import shown

DESCRIPTORS: Final = 4 * MAX_CONNECTIONS
"""How many files we want to be able to open: two ports, and what else a role holds."""

RECEIVE_BYTES: Final = 32 * 1024
"""Of a connection that the kernel holds for us (it doubles that, for its own bookkeeping). A review has 7 kB.

What one read finds there is copied by uvloop's TLS, OpenSSL and uvicorn each, and the first two keep the room: 100
bodies at once cost 1 MB each beside what is held of them, and cost 0.3 MB with this (measured).
"""

log = structlog.get_logger()


def serve(
    ports: Sequence[Port],
    *,
    host: str,
    loops: BackgroundLoops,
    client: AbstractAsyncContextManager[Any] | None = None,
    shutdown: Shutdown | None = None,
    drain_seconds: float = 0.0,
) -> None:
    """Serve *ports* until SIGTERM or SIGINT.

    Args:
        ports: they end in this order, so the one that is asked for our state comes last.
        host: address of all of them.
        loops: entered before the first request and left after the last one, in the loop of the server.
        client: as *loops*, and around them.
        shutdown: who else wants to know how far we are: ``/readyz``.
        drain_seconds: how long we serve on after SIGTERM.

    Raises:
        ConfigurationError: an address cannot be bound; and what entering *client* raises.
        IrsaError: one of *loops* ended, which stops the server too.
        KeyboardInterrupt: SIGINT was what stopped it.
    """
    shutdown = shutdown or Shutdown()
    _raise_descriptor_limit()
    with ExitStack() as stack:
        bound = [(port, stack.enter_context(_bound(host, port))) for port in ports]
        # What the imports made lives until the end: the collector need not look at it again, which took it up to 64 ms
        # with every request waiting (seen in the webhook).
        gc.collect()
        gc.freeze()
        _on_signals(shutdown)
        loop_factory = configuration(ports[0].application).get_loop_factory()
        runner = stack.enter_context(asyncio.Runner(loop_factory=loop_factory))
        runner.run(_serve(bound, client or nullcontext(), loops=loops, shutdown=shutdown, drain_seconds=drain_seconds))
    log.info("stopped")
    if loops.ended:
        raise IrsaError(f"expected the loop {loops.ended} to run until the end, it ended; the log above says why")
    if shutdown.interrupted:
        raise KeyboardInterrupt


async def _serve(
    bound: Sequence[tuple[Port, socket.socket]],
    client: AbstractAsyncContextManager[Any],
    *,
    loops: BackgroundLoops,
    shutdown: Shutdown,
    drain_seconds: float,
) -> None:
    async with client, loops:
        listeners = [Listener(port, listener) for port, listener in bound]
        for listener in listeners:
            listener.open()
        await shutdown.reached(Stage.DRAINING)
        if shutdown.stage is Stage.DRAINING and drain_seconds:
            log.info("draining", seconds=drain_seconds)
            for listener in listeners:
                listener.drain()
            await shutdown.reached(Stage.FINISHING, seconds=drain_seconds)
        shutdown.advance(Stage.FINISHING)
        for listener in listeners:
            await listener.close(shutdown)


def _on_signals(shutdown: Shutdown) -> None:
    def on_signal(number: int, _frame: FrameType | None) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            shutdown.signalled(number)
        else:
            # Nothing else wakes a loop that has nothing to do.
            loop.call_soon_threadsafe(shutdown.signalled, number)

    # For good: a signal before the loop runs must not be lost, and one after it must not end us before we have left
    # `client` and `loops`.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


def _raise_descriptor_limit() -> None:
    """Take as many file descriptors as we need and may have; who uses select() wants few by default, and we do not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bound(host: str, port: Port) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    try:
        listener.bind((host, port.number))
        if port.certificate is None or port.certificate.context is not None:
            listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"expected to listen on {shown(host)} port {port.number}, got: {error.strerror or error}"
        ) from error
    return listener

"""One HTTP server for every role that serves: uvicorn, bound before it starts, stopped by SIGTERM."""

import asyncio
import gc
import signal
import socket
import ssl
from contextlib import AbstractAsyncContextManager, nullcontext
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from app.errors import ConfigurationError, IrsaError
from app.loops import BackgroundLoops
from app.text import shown
from app.transport import HttpProtocol

KEEP_ALIVE_SECONDS: Final = 120
"""Longer than the 90 seconds after which client-go drops an idle connection (apimachinery's SetTransportDefaults).

Were it shorter, we would close a connection in the moment in which the apiserver sends a review on it.
"""

SHUTDOWN_SECONDS: Final = 10
"""How long requests under way may take after SIGTERM; an apiserver waits no longer than its webhook timeout."""

log = structlog.get_logger()


def serve(
    application: ASGIApp,
    *,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    loops: BackgroundLoops,
    client: AbstractAsyncContextManager[Any] | None = None,
) -> None:
    """Serve *application* until SIGTERM or SIGINT. *port* 0 takes a free one; the log says which.

    *client* and *loops* are entered before the first request and left after the last one, in the loop of the server.

    Raises:
        ConfigurationError: the address cannot be bound; and what entering *client* raises.
        IrsaError: one of *loops* ended, which stops the server too.
    """
    listener = _bound(host, port)
    config = uvicorn.Config(
        application,
        http=HttpProtocol,
        ws="none",  # the library for them is not even imported
        lifespan="off",  # what a role runs beside its requests is in `client` and `loops`
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # uvicorn would believe X-Forwarded-For from loopback
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    # What the imports made lives until the end: the collector need not look at it again, which took it up to 64 ms with
    # every request waiting (seen in the webhook).
    gc.collect()
    gc.freeze()
    server = uvicorn.Server(config)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn has a handler of its own, but while it serves only: a signal before that must not be lost. After that it
    # raises the signal once more, and the default would end us before we have left `client` and `loops`.
    signal.signal(signal.SIGTERM, stop)
    with listener, asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(server, listener, client=client or nullcontext(), loops=loops))
    log.info("stopped")
    if loops.ended:
        raise IrsaError(f"expected the loop {loops.ended} to run until the end, it ended; the log above says why")


async def _serve(
    server: uvicorn.Server,
    listener: socket.socket,
    *,
    client: AbstractAsyncContextManager[Any],
    loops: BackgroundLoops,
) -> None:
    async with client, loops:
        address = listener.getsockname()
        log.info("listening", host=address[0], port=address[1], tls=server.config.is_ssl)
        await server.serve(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"expected to listen on {shown(host)} port {port}, got: {error.strerror or error}"
        ) from error
    return listener

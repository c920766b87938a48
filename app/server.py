"""One HTTP server for every role that serves: uvicorn, bound before it starts, stopped by SIGTERM."""

import socket
import ssl
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from app import loops
from app.errors import ConfigurationError, IrsaError

KEEP_ALIVE_SECONDS: Final = 120
"""Longer than the 90 seconds after which client-go drops an idle connection (apimachinery's SetTransportDefaults).

Were it shorter, we would close a connection in the moment in which the apiserver sends a review on it.
"""

SHUTDOWN_SECONDS: Final = 10
"""How long requests under way may take after SIGTERM; an apiserver waits no longer than its webhook timeout."""

log = structlog.get_logger()


def serve(application: ASGIApp, *, host: str, port: int, tls: ssl.SSLContext | None) -> None:
    """Serve *application* until SIGTERM or SIGINT. *port* 0 takes a free one; the log says which.

    Raises:
        ConfigurationError: the address cannot be bound.
        IrsaError: a background loop ended, or the application did not start.
    """
    listener = _bound(host, port)
    config = uvicorn.Config(
        application,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # uvicorn would believe X-Forwarded-For from loopback
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    address = listener.getsockname()
    log.info("listening", host=address[0], port=address[1], tls=tls is not None)
    server = uvicorn.Server(config)
    with listener:
        server.run(sockets=[listener])
    if not server.started:
        raise IrsaError("expected the server to start, got a failure; the log above says which")
    loops.raise_if_one_ended()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"expected to listen on {host} port {port}, got: {error.strerror}") from error
    return listener

"""An ASGI application behind a real TLS socket, and a client that sees whole responses."""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import trustme
import uvicorn
from starlette.types import ASGIApp


@dataclass(frozen=True)
class Answer:
    """A response, without the date."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Client:
    """Speaks HTTPS to one port of loopback and trusts one authority."""

    port: int
    tls: ssl.SSLContext

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=10)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            kept = {name: value for name, value in response.getheaders() if name.lower() != "date"}
            return Answer(response.status, kept, response.read())
        finally:
            connection.close()


@contextmanager
def serving(application: ASGIApp) -> Iterator[Client]:
    """Serve *application* on a free port of loopback while the context is open."""
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    config = uvicorn.Config(
        application,
        ssl_context_factory=lambda _config, _default: server_tls,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Client(listener.getsockname()[1], client_tls)
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            assert not thread.is_alive()

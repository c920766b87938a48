"""Ask an ASGI application without a socket, one request at a time: for properties, which take thousands."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def get(application: ASGIApp, path: str) -> Reply:
    """Return the application's reply to a GET."""
    return ask(application, "GET", path)


def ask(application: ASGIApp, method: str, path: str) -> Reply:
    """Return the application's reply to a request without a body."""
    return _ask(application, method, path, [b""], {})


def post(
    application: ASGIApp,
    path: str,
    body: bytes | Iterable[bytes],
    *,
    content_type: str | None = "application/json",
    headers: dict[str, str] | None = None,
) -> Reply:
    """Return the application's reply to a POST. A *body* in pieces arrives in pieces."""
    named = ({"content-type": content_type} if content_type is not None else {}) | (headers or {})
    return _ask(application, "POST", path, [body] if isinstance(body, bytes) else body, named)


def _ask(application: ASGIApp, method: str, path: str, pieces: Iterable[bytes], named: dict[str, str]) -> Reply:
    return asyncio.run(exchange(application, method, path, pieces, named))


async def exchange(
    application: ASGIApp, method: str, path: str, pieces: Iterable[bytes], named: dict[str, str]
) -> Reply:
    """Return the reply to one request; several may be under way at once."""
    incoming = iter(pieces)
    sent: list[Message] = []

    async def receive() -> Any:
        piece = next(incoming, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    await application(scope, receive, send)
    start, *rest = sent
    return Reply(
        status=start["status"],
        headers={name.decode(): value.decode() for name, value in start["headers"]},
        body=b"".join(message.get("body", b"") for message in rest),
    )

"""Documents -> an ASGI application that serves them at the issuer's path."""

import hashlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from oidc.documents import Documents
from oidc.issuer import Issuer

NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI would send spans and the texts of exceptions wherever OTEL_* variables say."""


def create_app(issuer: Issuer, current: Callable[[], Documents], *, max_age: int) -> FastAPI:
    """Return the application that serves one issuer, and ``/healthz``.

    Args:
        issuer: says at which paths.
        current: returns what to serve now; called for each request, so it must do no I/O.
        max_age: seconds that anybody may keep a document. A new key must be published for longer before it signs.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False, telemetry=NO_TELEMETRY)
    cache_control = f"public, max-age={max_age}, must-revalidate"
    app.router.routes += [
        Route(
            issuer.discovery_path,
            _Document(lambda: current().discovery, media_type="application/json", cache_control=cache_control),
        ),
        Route(
            issuer.jwks_path,
            _Document(lambda: current().jwks, media_type="application/jwk-set+json", cache_control=cache_control),
        ),
        Route("/healthz", _Document(lambda: b"ok\n", media_type="text/plain", cache_control="no-store")),
    ]
    return app


class _Document:
    """One document at one path: GET, HEAD and If-None-Match (RFC 9110); every other method is 405."""

    def __init__(self, body: Callable[[], bytes], *, media_type: str, cache_control: str) -> None:
        self._body = body
        self._media_type = media_type
        self._cache_control = cache_control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._respond(Request(scope))(scope, receive, send)

    def _respond(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            return PlainTextResponse(
                "method not allowed\n", status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": "GET, HEAD"}
            )
        body = self._body()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        headers = {"cache-control": self._cache_control, "etag": etag}
        if _matches(",".join(request.headers.getlist("if-none-match")), etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        # The body of an answer to HEAD is left out by the HTTP server, which has to know that rule anyway.
        return Response(body, headers=headers | {"content-type": self._media_type})


def _matches(if_none_match: str, etag: str) -> bool:
    """Return whether the client has this representation (RFC 9110 section 13.1.2; the comparison is the weak one)."""
    candidates = {candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")}
    return etag in candidates or "*" in candidates

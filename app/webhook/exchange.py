"""What every endpoint of the webhook does around its own work: a body in within bounds, one answer out.

Plain ASGI, past the per-route machinery of the framework: one admission review is the hot path.
"""

import asyncio
import traceback
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import structlog
from starlette.types import Receive, Scope, Send

from app.errors import BadReviewError
from app.webhook.metrics import BadStatus, WebhookMetrics

MAX_BODY_BYTES: Final = 7 * 1024 * 1024
"""An object in etcd has at most 1.5 MiB (3 MiB of request to the apiserver). A review of an update carries it twice,
and in JSON it may be twice as long as it is in protobuf; 7 MiB is what controller-runtime allows."""

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of all bodies, until they are answered; then the largest is told to come again. Every pod can reach us."""

MAX_LOGGED_CHARACTERS: Final = 253
"""The longest name in Kubernetes (apimachinery's DNS1123SubdomainMaxLength); who reaches us can send longer ones."""

BODY_SECONDS: Final = 10.0
"""For a whole body to arrive: what an apiserver waits for its answer unless told otherwise (timeoutSeconds)."""

log = structlog.get_logger()


class HttpError(Exception):
    """A request that is answered with an HTTP error and one line."""

    def __init__(self, status: BadStatus, line: str) -> None:
        super().__init__(line)
        self.status: BadStatus = status


@dataclass(eq=False, slots=True)
class Body:
    """A body that is held. *timeout* ends its reading."""

    timeout: asyncio.Timeout
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    is_given_up: bool = False

    def whole(self) -> bytes:
        """Return all of it."""
        if len(self.chunks) > 1:
            self.chunks = [b"".join(self.chunks)]
        return self.chunks[0]


class Bodies:
    """Reads the bodies of requests. A process has one, so that what all of its endpoints hold is bounded together.

    Where they would be too much, the largest is given up: whoever sends the most cannot keep an apiserver, whose
    reviews are small, from being read.
    """

    def __init__(self) -> None:
        self._held_bytes = 0
        self._bodies: set[Body] = set()

    async def read(self, scope: Scope, receive: Receive) -> Body:
        """Return the body when all of it is there; give up at the first byte too many, without keeping what came.

        It is held until it is `let_go`.

        Raises:
            HttpError: it is no POST of JSON, too large, too slow, or one of too many.
        """
        _check_head(scope)
        body, is_whole = Body(asyncio.timeout(BODY_SECONDS)), False
        try:
            async with body.timeout:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpError(400, "expected the whole body, got a part of it")
                    self._hold(body, message.get("body", b""))
                    if not message.get("more_body", False):
                        is_whole = True
                        self._bodies.discard(body)
                        return body
        except TimeoutError:
            if body.is_given_up:
                raise _too_many() from None
            raise HttpError(408, f"expected the whole body within {BODY_SECONDS:.0f} s, got a part of it") from None
        finally:
            if not is_whole:
                self.let_go(body)

    def _hold(self, body: Body, chunk: bytes) -> None:
        if body.is_given_up:
            raise _too_many()
        self._bodies.add(body)
        body.chunks.append(chunk)
        body.size += len(chunk)
        self._held_bytes += len(chunk)
        if body.size > MAX_BODY_BYTES:
            raise _too_large()
        if self._held_bytes > MAX_HELD_BYTES:
            # Of those that are being read; what is whole already has its answer soon.
            largest = max(self._bodies, key=lambda each: each.size)
            self.let_go(largest)
            largest.is_given_up = True
            if largest is body:
                raise _too_many()
            largest.timeout.reschedule(0)

    def let_go(self, body: Body) -> None:
        """Forget a body, which is answered or never will be."""
        self._held_bytes -= body.size
        self._bodies.discard(body)
        body.chunks, body.size = [], 0


class ReviewEndpoint(ABC):
    """An endpoint that takes AdmissionReviews. Each says how it answers one."""

    def __init__(self, *, bodies: Bodies, metrics: WebhookMetrics) -> None:
        self._bodies = bodies
        self._metrics = metrics
        # Bound once: the lazy logger of a module looks up its configuration at every call.
        self._log = log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = await self._bodies.read(scope, receive)
            try:
                # An answer may wait for the Kubernetes API, and others for memory.
                answer = await self._answer(body.whole())
            finally:
                self._bodies.let_go(body)
        except (HttpError, BadReviewError) as error:
            status: BadStatus = error.status if isinstance(error, HttpError) else 400
            self._metrics.refused(status)
            self._log.warning("review_refused", status=status, problem=str(error))
            await _reply(send, status, str(error).encode() + b"\n", content_type=b"text/plain; charset=utf-8")
            return
        await _reply(send, HTTPStatus.OK, answer, content_type=b"application/json")

    def _failed(self, uid: str, error: Exception) -> None:
        """Log a mistake of ours: where it happened, not what it said, for its words may be a value from the review."""
        where = "".join(traceback.format_tb(error.__traceback__))
        self._log.error("review_failed", uid=uid[:MAX_LOGGED_CHARACTERS], error=type(error).__name__, where=where)

    @abstractmethod
    async def _answer(self, body: bytes) -> bytes:
        """Return the AdmissionReview that answers the one in *body*.

        Raises:
            BadReviewError: *body* is none that could be answered.
        """


def _check_head(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise HttpError(405, "expected POST, got another method")
    content_type = length = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = value
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise HttpError(415, "expected content type application/json, got another")
    if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        raise _too_large()


def _too_many() -> HttpError:
    return HttpError(503, "expected fewer bodies at once, got too many; try again")


def _too_large() -> HttpError:
    return HttpError(413, f"expected at most {MAX_BODY_BYTES} bytes, got more")


async def _reply(send: Send, status: int, body: bytes, *, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    if status != HTTPStatus.OK:
        # There may be a body that nobody read, of any length: with the connection it is gone.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

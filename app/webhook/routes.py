"""The shell of the webhook: body in, look-up, decision, answer out, one log line.

A plain ASGI endpoint, past the per-route machinery of the framework: one admission review is the hot path.
"""

import asyncio
import time
import traceback
from http import HTTPStatus
from typing import Any, Final

import structlog
from starlette.types import Receive, Scope, Send

from app.cluster.source import ServiceAccountSource
from app.errors import BadReviewError
from app.webhook import review as reviews
from app.webhook.decision import Decision, Policy, Reason, Subject, decide
from app.webhook.metrics import WebhookMetrics

MAX_BODY_BYTES: Final = 7 * 1024 * 1024
"""An object in etcd has at most 1.5 MiB (3 MiB of request to the apiserver). A review of an update carries it twice,
and in JSON it may be twice as long as it is in protobuf; 7 MiB is what controller-runtime allows."""

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of all bodies that are being read; who comes then is told to come again. Every pod of the cluster can reach us."""

BODY_SECONDS: Final = 10.0
"""For a whole body to arrive: what an apiserver waits for its answer unless told otherwise (timeoutSeconds)."""

MAX_LOGGED_CHARACTERS: Final = 253
"""The longest name in Kubernetes (apimachinery's DNS1123SubdomainMaxLength); who reaches us can send longer ones."""

INTERNAL_ERROR: Final = "report this to whoever runs the webhook, its log says more: nothing was injected"

log = structlog.get_logger()


class _HttpError(Exception):
    """A request that is answered with an HTTP error and one line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class MutateEndpoint:
    """``POST /mutate``."""

    def __init__(self, source: ServiceAccountSource, *, policy: Policy, metrics: WebhookMetrics) -> None:
        self._source = source
        self._policy = policy
        self._metrics = metrics
        self._held_bytes = 0
        # Bound once: the lazy logger of a module looks up its configuration at every call.
        self._log = log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            _check_head(scope)
            body = await self._body(receive)
            started = time.perf_counter()
            review = reviews.parse(body)
        except (_HttpError, BadReviewError) as error:
            status = error.status if isinstance(error, _HttpError) else 400
            self._metrics.refused(status)
            self._log.warning("review_refused", status=status, problem=str(error))
            await _reply(send, status, str(error).encode() + b"\n", content_type=b"text/plain; charset=utf-8")
            return
        subject, decision = self._decide(review)
        answer = reviews.answer(review, decision)
        seconds = time.perf_counter() - started
        self._metrics.reviewed(decision.reason, seconds)
        self._log.info("pod_reviewed", **_fields(review, subject, decision, seconds))
        await _reply(send, HTTPStatus.OK, answer, content_type=b"application/json")

    async def _body(self, receive: Receive) -> bytes:
        """Return the whole body; give up at the first byte too many, without keeping what came."""
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _HttpError(400, "expected the whole body, got a part of it")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    self._held_bytes += len(chunk)
                    chunks.append(chunk)
                    if size > MAX_BODY_BYTES:
                        raise _too_large()
                    if self._held_bytes > MAX_HELD_BYTES:
                        raise _HttpError(503, "expected fewer bodies at once, got too many; try again")
                    if not message.get("more_body", False):
                        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except TimeoutError:
            raise _HttpError(408, f"expected the whole body within {BODY_SECONDS:.0f} s, got a part of it") from None
        finally:
            self._held_bytes -= size

    def _decide(self, review: reviews.Review) -> tuple[Subject | None, Decision]:
        subject = None
        try:
            found = reviews.subject_of(review)
            if isinstance(found, Decision):
                return None, found
            subject = found
            service_account = self._source.get(subject.namespace, subject.service_account)
            return subject, decide(subject, service_account, pod=lambda: reviews.pod_of(review), policy=self._policy)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep a pod from its cluster
            # Where it happened, not what it said: its words may be a value from the pod.
            where = "".join(traceback.format_tb(error.__traceback__))
            self._log.error(
                "review_failed", uid=review.uid[:MAX_LOGGED_CHARACTERS], error=type(error).__name__, where=where
            )
            return subject, Decision(reason=Reason.INTERNAL_ERROR, warnings=(INTERNAL_ERROR,))


def _check_head(scope: Scope) -> None:
    if scope["method"] != "POST":
        raise _HttpError(405, "expected POST, got another method")
    content_type = length = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = value
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise _HttpError(415, "expected content type application/json, got another")
    if length.isdigit() and int(length[:20]) > MAX_BODY_BYTES:
        raise _too_large()


def _too_large() -> _HttpError:
    return _HttpError(413, f"expected at most {MAX_BODY_BYTES} bytes, got more")


async def _reply(send: Send, status: int, body: bytes, *, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    if status != HTTPStatus.OK:
        # There may be a body that nobody read, of any length: with the connection it is gone.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _fields(review: reviews.Review, subject: Subject | None, decision: Decision, seconds: float) -> dict[str, Any]:
    """Return what the log says of a review: identifiers, and nothing else of the pod."""
    fields: dict[str, Any] = {
        "uid": review.uid[:MAX_LOGGED_CHARACTERS],
        "outcome": "patched" if decision.operations else "unchanged",
        "reason": decision.reason.value,
        "ms": round(seconds * 1000, 3),
    }
    if subject is not None:
        fields["namespace"] = subject.namespace[:MAX_LOGGED_CHARACTERS]
        fields["pod"] = subject.pod[:MAX_LOGGED_CHARACTERS]
        fields["service_account"] = subject.service_account[:MAX_LOGGED_CHARACTERS]
    if decision.role_arn:
        fields["role_arn"] = decision.role_arn
    if decision.warnings:
        fields["warnings"] = decision.warnings
    return fields

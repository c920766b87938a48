"""``/healthz`` and ``/readyz``: alive is that the event loop turns, ready is that the answers would be right."""

from collections.abc import Callable, Mapping

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from app.cluster.watch import STALE_SECONDS

Check = Callable[[], str | None]
"""Returns what is missing, or None where nothing is."""


def fresh(age: Callable[[], float], *, what: str) -> Check:
    """Return a check that a snapshot of *what* is complete and current."""

    def check() -> str | None:
        seconds = age()
        if seconds <= STALE_SECONDS:
            return None
        return f"{what} not listed yet" if seconds == float("inf") else f"{what} not heard of for {seconds:.0f} s"

    return check


def add_health(application: FastAPI, *, ready: Mapping[str, Check]) -> None:
    """Add the two endpoints to *application*; it is ready when every check of *ready* finds nothing missing."""

    async def healthz(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> PlainTextResponse:
        missing = [f"{name}: {problem}" for name, check in ready.items() if (problem := check())]
        if missing:
            return PlainTextResponse("".join(f"{line}\n" for line in missing), status_code=503)
        return PlainTextResponse("ok\n")

    application.add_route("/healthz", healthz)
    application.add_route("/readyz", readyz)

"""A server process with background loops, for test_loops. ``GET /fail`` and ``GET /return`` end one of them.

Prints one line when a loop was cancelled, and exits as the command line would.
"""

import asyncio
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app import logs
from app.errors import IrsaError
from app.listener import Port
from app.loops import BackgroundLoops
from app.server import serve

wanted: asyncio.Queue[str] = asyncio.Queue()


async def steady() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        print("steady was cancelled", flush=True)  # noqa: T201 - for the test


async def ending() -> None:
    if await wanted.get() == "fail":
        raise LookupError("the loop's own words")


async def end(request: Request) -> PlainTextResponse:
    """Answer only after the loop has ended: whoever is being served is served to the end."""
    wanted.put_nowait(request.path_params["how"])
    while not loops.ended:  # noqa: ASYNC110 - nothing tells of it, which is the point
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    return PlainTextResponse("answered")


loops = BackgroundLoops({"steady": steady, "ending": ending})

if __name__ == "__main__":
    logs.configure(log_format="json", level="info")
    try:
        serve([Port(application=Starlette(routes=[Route("/{how}", end)]), number=0)], host="127.0.0.1", loops=loops)
    except IrsaError:
        sys.exit(1)

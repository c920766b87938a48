"""Stands between our webhook and the API server, and holds back or cuts what the latter would tell it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.apiserver import Api

HOST = "127.0.0.1"


@dataclass
class ApiProxy:
    """Lets through what is asked, unless told otherwise. What tells it may do so from any thread.

    Attributes:
        watches: how many watches were asked for so far.
    """

    api: Api
    port: int = 0
    watches: int = 0
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _session: aiohttp.ClientSession = field(init=False)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    _is_up: bool = True
    _watching: set[asyncio.Transport] = field(default_factory=set)
    _reading: set[asyncio.Transport] = field(default_factory=set)

    def hold(self) -> None:
        """Hold back everything that watches say from now on; all else goes through."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Let it come, and what was held back."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut_watches(self) -> None:
        """Cut the watches that are under way."""
        self._loop.call_soon_threadsafe(self._cut)

    def stop(self) -> None:
        """Cut everything, and what comes until the start."""
        self._loop.call_soon_threadsafe(self._stop)

    def start(self) -> None:
        """Let through again what is asked."""
        self._is_up = True

    def kubeconfig(self, file: Path) -> Path:
        """Write a kubeconfig for whoever is to go through here."""
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "proxy", "cluster": {"server": f"http://{HOST}:{self.port}"}}],
                    "users": [{"name": "proxy", "user": {}}],
                    "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
                    "current-context": "proxy",
                }
            )
        )
        return file

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["ApiProxy"]:
        """Listen on a free port of loopback."""
        self._loop = asyncio.get_running_loop()
        self._flowing.set()
        connector = aiohttp.TCPConnector(ssl=self.api.context, limit=0)
        headers = {"Authorization": f"Bearer {self.api.token}"} if self.api.token else {}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            application = web.Application()
            self._session = session
            application.router.add_get("/{path:.*}", self._answer)
            runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, HOST, 0)
            await site.start()
            self.port = runner.addresses[0][1]
            try:
                yield self
            finally:
                self._stop()
                await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert isinstance(transport, asyncio.Transport)
        under_way = self._watching if "watch" in request.query else self._reading
        under_way.add(transport)
        try:
            if self._is_up:
                return await self._passed_on(request)
        except aiohttp.ClientError:
            pass  # the API server is away, and so are we
        finally:
            under_way.discard(transport)
        transport.abort()
        return web.Response(status=502)

    async def _passed_on(self, request: web.Request) -> web.StreamResponse:
        is_watch = "watch" in request.query
        self.watches += is_watch
        url = f"https://{self.api.host}:{self.api.port}{request.path_qs}"
        within = aiohttp.ClientTimeout(total=None)
        async with self._session.get(url, headers={"Accept": request.headers["Accept"]}, timeout=within) as theirs:
            ours = web.StreamResponse(status=theirs.status)
            ours.content_type = "application/json"
            await ours.prepare(request)
            async for chunk in theirs.content.iter_any():
                if is_watch:
                    await self._flowing.wait()
                await ours.write(chunk)
            await ours.write_eof()
            return ours

    def _cut(self) -> None:
        for transport in self._watching:
            transport.abort()

    def _stop(self) -> None:
        self._is_up = False
        self._cut()
        for transport in self._reading:
            transport.abort()

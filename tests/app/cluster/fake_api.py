"""A small Kubernetes API over HTTP: LIST with pages, WATCH and GET for the metadata of ServiceAccounts.

What else it is asked for it writes down, and answers with what a test put into its `answers`.

In a test: ``async with FakeApi().serving() as api`` and then `put`, `delete`, `bookmark`, and the ways to fail. As a
process of its own::

    python -m tests.app.cluster.fake_api --service-accounts 100000 --annotated 10000 --kubeconfig FILE

prints one line when it is ready, and ends on SIGTERM.
"""

import argparse
import asyncio
import secrets
import signal
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import web
from multidict import CIMultiDict

PATH = "/api/v1/serviceaccounts"
META = "meta.k8s.io/v1"
ROLE = "arn:aws:iam::123456789012:role/role-{number:05}"

Metadata = dict[str, Any]


def status(code: int, message: str, reason: str = "") -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code}  # fmt: skip


EXPIRED = status(410, "too old resource version: 1 (7)", "Expired")


def managed_fields(annotations: dict[str, str]) -> list[dict[str, Any]]:
    """What `kubectl apply` leaves on an object: most of the bytes, none of the interest."""
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {".": {}, **{f"f:{key}": {} for key in annotations}}}}
    return [{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1",
             "time": "2026-11-24T09:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": fields}]  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What was asked for besides LIST and WATCH of ServiceAccounts."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: Any


@dataclass
class FakeApi:
    """Keeps ServiceAccounts with resource versions and a history, as etcd does.

    Attributes:
        requests: the query of every request, in order of arrival, and in it the token of its Authorization header.
        others: all other requests.
        answers: statuses and bodies for the next requests, instead of what would be right.
        headers: further headers of these answers.
        answering: unset, GETs wait until it is set.
        connections: where requests came from, each address and port once.
        tokens: bearer tokens that are accepted; empty accepts all.
        expire_in_stream: whether a watch that is too old is told so by an ERROR event, else by HTTP 410.
    """

    requests: list[dict[str, str]] = field(default_factory=list)
    answers: deque[tuple[int, bytes]] = field(default_factory=deque)
    others: list[Request] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[Any] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    expire_in_stream: bool = True
    url: str = ""
    _objects: dict[tuple[str, str], Metadata] = field(default_factory=dict)
    _version: int = 1
    _history: list[tuple[int, bytes]] = field(default_factory=list)
    _oldest: int = 1
    _pages: dict[str, tuple[int, list[Metadata]]] = field(default_factory=dict)
    _watches: set[asyncio.Queue[bytes | None]] = field(default_factory=set)

    def put(self, namespace: str, name: str, annotations: dict[str, str] | None = None) -> Self:
        """Create or change a ServiceAccount; watches are told."""
        kind = "MODIFIED" if (namespace, name) in self._objects else "ADDED"
        metadata = self._metadata(namespace, name, annotations)
        self._objects[namespace, name] = metadata
        self._happened(kind, metadata)
        return self

    def fill(self, count: int, *, annotated: int, bogus: int = 0) -> Self:
        """Create *count* ServiceAccounts, ten a namespace, before anybody watches.

        The first *annotated* have a role, the first *bogus* have annotations that mean nothing or cannot be used.
        """
        for number in range(count):
            namespace, name = f"team-{number // 10:05}", f"service-{number:06}"
            role = {"eks.amazonaws.com/role-arn": ROLE.format(number=number)} if number < annotated else {}
            if number < bogus:
                role |= {f"eks.amazonaws.com/bogus-{number}-{key}": "x" * 50 for key in range(20)}
                role |= {"eks.amazon.com/role-arn": "x", "eks.amazonaws.com/token-expiration": "x" * 3000}
            other = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "meta.helm.sh/release-name": name}
            self._version += 1
            self._objects[namespace, name] = self._metadata(namespace, name, role | other)
        self._oldest = self._version
        return self

    def delete(self, namespace: str, name: str) -> None:
        metadata = self._objects.pop((namespace, name))
        self._happened("DELETED", metadata | {"resourceVersion": str(self._version + 1)})

    def bookmark(self) -> str:
        """Tell watches how far the cluster has come without a ServiceAccount changing; return the version."""
        self._version += 10
        self.send(_line("BOOKMARK", {"resourceVersion": str(self._version), "creationTimestamp": None}))
        return str(self._version)

    def send(self, line: bytes | None) -> None:
        """Send *line* to all watches as it is; None ends them, as their timeout would."""
        for watch in self._watches:
            watch.put_nowait(line)

    def compact(self) -> None:
        """Forget the history and the continue tokens, as etcd does every five minutes."""
        self._oldest = self._version
        self._pages.clear()
        self._history.clear()

    @property
    def watching(self) -> int:
        return len(self._watches)

    def verbs(self) -> list[str]:
        """Return what was asked: ``list``, ``page`` for the pages after the first, ``watch``."""
        return ["watch" if "watch" in query else "page" if "continue" in query else "list" for query in self.requests]

    def write_kubeconfig(self, file: Path, *, token: str = "") -> Path:
        user = {"token": token} if token else {}
        content = {
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
        }  # fmt: skip
        file.write_bytes(msgspec.json.encode(content))
        return file

    @asynccontextmanager
    async def serving(self, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        app = web.Application()
        self.answering.set()
        app.router.add_get(PATH, self._answer)
        app.router.add_route("*", "/{path:.*}", self._answer_other)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        try:
            yield self
        finally:
            self.send(None)
            await runner.cleanup()

    def _metadata(self, namespace: str, name: str, annotations: dict[str, str] | None) -> Metadata:
        metadata: Metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}-{name}"}
        metadata |= {"resourceVersion": str(self._version), "creationTimestamp": "2026-11-24T09:00:00Z"}
        if annotations is not None:
            metadata |= {"annotations": annotations, "managedFields": managed_fields(annotations)}
        return metadata

    def _happened(self, kind: str, metadata: Metadata) -> None:
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        line = _line(kind, metadata)
        self._history.append((self._version, line))
        self.send(line)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").partition(" ")[2]
        self.requests.append({**request.query, "token": token} if token else dict(request.query))
        if self.answers:
            code, body = self.answers.popleft()
            return web.Response(status=code, body=body, content_type="application/json")
        if self.tokens and token not in self.tokens:
            return _refusal(status(401, "Unauthorized", "Unauthorized"))
        kind = "PartialObjectMetadata" if "watch" in request.query else "PartialObjectMetadataList"
        if request.headers["Accept"] != f"application/json;as={kind};g=meta.k8s.io;v=v1":
            return _refusal(status(406, "only metadata is served here", "NotAcceptable"))
        return await self._watch(request) if "watch" in request.query else self._list(request)

    async def _answer_other(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.connections.add(request.transport and request.transport.get_extra_info("peername"))
        self.others.append(
            Request(
                request.method, request.path, dict(request.query), request.headers["Content-Type"],
                msgspec.json.decode(body) if body else None,
            )
        )  # fmt: skip
        await self.answering.wait()
        if self.answers:
            code, body = self.answers.popleft()
            return web.Response(status=code, body=body, headers=CIMultiDict(self.headers))
        *_, namespace, _, name = request.path.split("/")
        if (namespace, name) not in self._objects:
            return _refusal(status(404, f'serviceaccounts "{name}" not found', "NotFound"))
        if request.headers["Accept"] != "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1":
            return _refusal(status(406, "only metadata is served here", "NotAcceptable"))
        item = {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": self._objects[namespace, name]}
        return web.Response(body=msgspec.json.encode(item), content_type="application/json")

    def _list(self, request: web.Request) -> web.Response:
        token = request.query.get("continue", "")
        if token and token not in self._pages:
            return _refusal(status(410, "The provided continue parameter is too old", "Expired"))
        version, items = self._pages[token] if token else (self._version, list(self._objects.values()))
        limit = int(request.query["limit"])
        page, rest = items[:limit], items[limit:]
        meta = {"resourceVersion": str(version)}
        if rest:
            meta["continue"] = secrets.token_urlsafe(8)
            self._pages[meta["continue"]] = version, rest
        body = {"kind": "PartialObjectMetadataList", "apiVersion": META, "metadata": meta,
                "items": [{"metadata": item} for item in page]}  # fmt: skip
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        if since < self._oldest and not self.expire_in_stream:
            return _refusal(EXPIRED)
        response = web.StreamResponse(headers={"Content-Type": "application/json;stream=watch"})
        await response.prepare(request)
        if since < self._oldest:
            await response.write(msgspec.json.encode({"type": "ERROR", "object": EXPIRED}) + b"\n")
            return response
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for version, line in self._history:
            if version > since:
                queue.put_nowait(line)
        self._watches.add(queue)
        try:
            while (event := await queue.get()) is not None:
                await response.write(event)
        finally:
            self._watches.discard(queue)
        return response


def _line(kind: str, metadata: Metadata) -> bytes:
    item = {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": metadata}
    return msgspec.json.encode({"type": kind, "object": item}) + b"\n"


def _refusal(body: dict[str, Any]) -> web.Response:
    return web.Response(status=body["code"], body=msgspec.json.encode(body), content_type="application/json")


async def _serve(count: int, *, annotated: int, bogus: int, kubeconfig: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with FakeApi().fill(count, annotated=annotated, bogus=bogus).serving() as api:
        api.write_kubeconfig(kubeconfig)
        print(f"ready {api.url} with {count} ServiceAccounts, {annotated} of them annotated", flush=True)  # noqa: T201 - for whoever started us
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serves the metadata of made-up ServiceAccounts on loopback.")
    parser.add_argument("--service-accounts", type=int, default=0)
    parser.add_argument("--annotated", type=int, default=0)
    parser.add_argument("--bogus", type=int, default=0)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    arguments = parser.parse_args()
    counts = {"annotated": arguments.annotated, "bogus": arguments.bogus}
    asyncio.run(_serve(arguments.service_accounts, **counts, kubeconfig=arguments.kubeconfig))

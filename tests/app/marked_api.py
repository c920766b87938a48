"""A cluster in memory behind a real port, in whose failures and Secrets there is what nobody may ever see.

Every watch fails, and so does the first attempt at each write but that of a Lease, with a body of a proxy that shows
the request's token, or with a Status that has more in it than a message.
"""

import asyncio
import base64
import http.server
import itertools
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from app.cluster.api import Collection
from app.errors import RefusedError
from tests.app.access.clusters import owned, put_pod
from tests.app.cluster.fake_cluster import FakeCluster
from tests.app.controller.stored_objects import AUTHORITY, CONFIGURATION, SERVING, configuration, secret
from tests.builders import ROLE_ARN, container, pod

T = TypeVar("T")

MARKER = "MARKERMARKER"
TOKEN = f"{MARKER}-of-the-kubeconfig"
PEM = f"-----BEGIN PRIVATE KEY-----\n{MARKER}\n-----END PRIVATE KEY-----\n".encode()
CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{MARKER}\n-----END CERTIFICATE-----\n".encode()

FORMS = ("MARKER", *(base64.b64encode(b"x" * shift + b"MARKERMARKER")[4:12].decode() for shift in range(3)))
"""How the marker looks as it is and in Base64, wherever it begins."""


def marked_pod(**fields: Any) -> dict[str, Any]:
    """A pod with secrets where people put them."""
    names = ("PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONFIG")
    env = [{"name": name, "value": f"{MARKER}-{name}"} for name in names]
    return pod(
        container(env=env, args=[f"--password={MARKER}"], command=[MARKER]),
        annotations={"example.com/token": f"eyJhbGciOiJSUzI1NiJ9.{MARKER}", "note": MARKER},
        **fields,
    )


def marked_cluster() -> FakeCluster:
    """A namespace of whose two pods the webhook saw none, and an installation whose Secrets cannot be read."""
    cluster = FakeCluster()
    annotations = {"eks.amazonaws.com/role-arn": ROLE_ARN, "example.com/token": MARKER}
    cluster.put("/api/v1/namespaces/shop", {"metadata": {"labels": {"kubernetes.io/metadata.name": "shop"}}})
    cluster.put("/api/v1/namespaces/shop/serviceaccounts/app", {"metadata": {"annotations": annotations}})
    now = {"creationTimestamp": f"{datetime.now(UTC) - timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}"}
    put_pod(cluster, marked_pod(), "debug", account="app", **now)
    put_pod(cluster, marked_pod(), "api-1", account="app", **now, **owned("ReplicaSet", "api"))
    cluster.put(AUTHORITY, secret({"ca.crt": CERTIFICATE, "ca.key": PEM}))
    cluster.put(SERVING, secret({"tls.crt": CERTIFICATE, "tls.key": PEM}))
    cluster.put(CONFIGURATION, configuration(CERTIFICATE))
    cluster.put("/apis/coordination.k8s.io/v1/namespaces/irsa-system/leases/irsa-controller")
    return cluster


@dataclass
class MarkedApi:
    """What the API has, and how it was asked.

    Attributes:
        cluster: its objects.
        is_broken: whether everything fails but the question for its version.
        authorizations: the header of each request.
        failures: how many requests failed with the marker in the answer.
    """

    cluster: FakeCluster = field(default_factory=marked_cluster)
    is_broken: bool = False
    authorizations: list[str | None] = field(default_factory=list)
    failures: int = 0
    _tried: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def events(self) -> str:
        """All Events, as they were written."""
        return json.dumps([item for path, item in self.cluster.objects.items() if "/events/" in path])

    def answer(self, method: str, target: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        with self._lock:
            if url.path == "/version":
                return 200, b"{}"
            is_first = method != "GET" and "/leases/" not in url.path and (method, url.path) not in self._tried
            self._tried.add((method, url.path))
            if self.is_broken or is_first or query.get("watch"):
                self.failures += 1
                return HTTPStatus.INTERNAL_SERVER_ERROR, b""
            try:
                return self._stored(method, url.path, query, content_type, body)
            except RefusedError as error:
                return error.status, json.dumps({"kind": "Status", "message": "no", "reason": error.reason}).encode()

    def _stored(
        self, method: str, path: str, query: dict[str, str], content_type: str, body: bytes
    ) -> tuple[int, bytes]:
        if method == "GET" and "limit" in query:
            collection = Collection(path=path, field_selector=query.get("fieldSelector", ""))
            page = self.cluster.list_page(collection, limit=1000, continue_token="")
            return 200, asyncio.run(page)
        if method == "GET":
            return 200, asyncio.run(self.cluster.get(path))
        dry_run = "dryRun" in query
        if method == "POST":
            return 201, _written(self.cluster.create(path, json.loads(body), dry_run=dry_run))
        patch_type: Any = content_type
        return 200, _written(self.cluster.patch(path, json.loads(body), patch_type=patch_type, dry_run=dry_run))

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Path]:
        """Serve, and yield the kubeconfig of somebody with a secret token, a file in *folder*."""
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield _kubeconfig(folder / "kubeconfig", f"http://127.0.0.1:{server.server_port}")
            finally:
                server.shutdown()
                thread.join()


def _written(answer: Coroutine[Any, Any, Any]) -> bytes:
    return json.dumps(asyncio.run(answer).document).encode()


def _kubeconfig(file: Path, url: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": TOKEN}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
    }
    file.write_text(json.dumps(content))
    return file


def _handler(api: MarkedApi) -> type[http.server.BaseHTTPRequestHandler]:
    bodies = itertools.cycle(
        [
            b"<html>you sent Authorization: Bearer %s</html>" % TOKEN.encode(),
            json.dumps(
                {
                    "kind": "Status",
                    "message": "it is broken",
                    "reason": "InternalError",
                    "details": {"causes": [{"message": MARKER}]},
                }
            ).encode(),
        ]
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            api.authorizations.append(self.headers["Authorization"])
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = api.answer(self.command, self.path, self.headers.get("Content-Type", ""), body)
            if not answer:
                answer = next(bodies)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815 - names of the library's

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    return Handler

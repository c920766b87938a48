"""A fast client of a real API server: keep-alive connections, one a thread, and no more than that between.

kubectl takes 50 ms a call, in which an API server makes 20 pods.
"""

import base64
import http.client
import json
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

TIMEOUT_SECONDS: Final = 60.0
JSON: Final = "application/json"

Job = TypeVar("Job")
Result = TypeVar("Result")


class ApiError(Exception):
    """The API server does not do what it was asked for, or cannot be asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether it did what it was asked for."""
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def document(self) -> Any:
        """The object, or the Status that says why there is none."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class Api:
    """The API server of a kubeconfig that kubectl reads."""

    host: str
    port: int
    context: ssl.SSLContext
    token: str

    @classmethod
    def of(cls, kubeconfig: Path) -> "Api":
        """Read address and credentials with kubectl.

        Its certificate is not looked at: that would be measured too, and the traffic stays on this machine.

        Raises:
            ApiError: there is no kubectl, or it does not understand the file.
        """
        command = ["kubectl", "--kubeconfig", str(kubeconfig), "config", "view", "--minify", "--raw", "-o", "json"]
        try:
            done = subprocess.run(command, capture_output=True, check=True, timeout=30)  # noqa: S603 - our own words
        except (OSError, subprocess.SubprocessError) as error:
            raise ApiError(f"expected kubectl to read {kubeconfig}, got: {error}") from error
        view = json.loads(done.stdout)
        url = urlsplit(view["clusters"][0]["cluster"]["server"])
        user = view["users"][0]["user"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile() as file:
                pem = base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
                file.write(pem)
                file.flush()
                context.load_cert_chain(file.name)
        return cls(url.hostname or "127.0.0.1", url.port or 443, context, user.get("token", ""))

    def connection(self) -> http.client.HTTPSConnection:
        """Return a connection of its own for one thread."""
        return http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=TIMEOUT_SECONDS)

    def ask(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = JSON,
    ) -> Answer:
        """Return the answer to one request, whatever it is."""
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection.request(method, path, body, {"Content-Type": content_type} | authorization)
        response = connection.getresponse()
        return Answer(response.status, response.read())

    def send(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = JSON,
    ) -> bytes:
        """Return the answer to one request, which must be a success.

        Raises:
            ApiError: it is none.
        """
        answer = self.ask(connection, method, path, body, content_type=content_type)
        if not answer.is_success:
            got = f"{answer.status}: {answer.body[:200]!r}"
            raise ApiError(f"expected {method} {path} to succeed, got {got}")
        return answer.body

    def once(self, method: str, path: str, document: Any = None) -> bytes:
        """Send one request on a connection of its own, which must be a success."""
        with closing(self.connection()) as connection:
            return self.send(connection, method, path, None if document is None else msgspec.json.encode(document))

    def at_once(
        self, jobs: Sequence[Job], do: Callable[[http.client.HTTPSConnection, Job], Result], *, threads: int
    ) -> list[Result]:
        """Do all *jobs*, so many at once and each thread with a connection of its own; return results in their order.

        Whoever is free takes the next one, so that they begin in this order.
        """
        results: dict[int, Result] = {}
        numbers = count()

        def work(_thread: int) -> None:
            with closing(self.connection()) as connection:
                while (number := next(numbers)) < len(jobs):
                    results[number] = do(connection, jobs[number])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return [results[number] for number in range(len(jobs))]

    def make_namespace(self, name: str) -> None:
        """Make a namespace."""
        self.once("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def remove_namespace(self, name: str) -> None:
        """Remove a namespace, and its ServiceAccounts, which no controller does where there is only an API server."""
        self.once("DELETE", f"/api/v1/namespaces/{name}/serviceaccounts")
        self.once("DELETE", f"/api/v1/namespaces/{name}")

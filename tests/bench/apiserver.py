"""A real API server, for the rows that want one: IRSA_TEST_KUBECONFIG. What is made there is removed again."""

import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tests.bench.rows import NotMeasuredError
from tests.bench.servers import HOST

GROUP: Final = "a real API server"
KUBECONFIG: Final = "IRSA_TEST_KUBECONFIG"


def kubeconfig() -> Path | None:
    """Return the file that names it, or None where there is none: then nothing is measured with one."""
    file = os.environ.get(KUBECONFIG)
    return Path(file) if file else None


@dataclass(frozen=True, slots=True)
class Api:
    """The API server of a kubeconfig that kubectl reads."""

    host: str
    port: int
    context: ssl.SSLContext
    token: str

    @classmethod
    def of(cls, kubeconfig: Path) -> "Api":
        """Read address and token with kubectl.

        Its certificate is not looked at: that would be measured too, and the traffic stays on this machine.
        """
        command = ["kubectl", "--kubeconfig", str(kubeconfig), "config", "view", "--minify", "--raw", "-o", "json"]
        try:
            done = subprocess.run(command, capture_output=True, check=True, timeout=30)  # noqa: S603 - our own words
        except (OSError, subprocess.SubprocessError) as error:
            raise NotMeasuredError(f"expected kubectl to read {kubeconfig}, got: {error}") from error
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
        return cls(url.hostname or HOST, url.port or 443, context, user.get("token", ""))

    def connection(self) -> http.client.HTTPSConnection:
        """Return a connection of its own for one thread."""
        return http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=60)

    def send(self, connection: http.client.HTTPSConnection, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the answer to one request, which must be a success."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise NotMeasuredError(f"expected {method} {path} to succeed, got {response.status}: {answer[:200]!r}")
        return answer

    def once(self, method: str, path: str, document: Any = None) -> bytes:
        """Send one request on a connection of its own."""
        connection = self.connection()
        try:
            return self.send(connection, method, path, None if document is None else msgspec.json.encode(document))
        finally:
            connection.close()

    def make_namespace(self, name: str) -> None:
        """Make a namespace."""
        self.once("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def remove_namespace(self, name: str) -> None:
        """Remove a namespace, and its ServiceAccounts, which no controller does where there is only an API server."""
        self.once("DELETE", f"/api/v1/namespaces/{name}/serviceaccounts")
        self.once("DELETE", f"/api/v1/namespaces/{name}")


def service_account(name: str, *, role_arn: str | None) -> dict[str, Any]:
    """Return the document of a ServiceAccount, annotated or not."""
    annotations = {"eks.amazonaws.com/role-arn": role_arn} if role_arn else {}
    return {"metadata": {"name": name, "annotations": annotations}}

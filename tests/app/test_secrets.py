"""Every role at its lowest log level, with secrets that can be searched for: none is in its log, metrics or arguments.

What a pod holds is looked for in ``tests/app/webhook/test_serving.py``, tracebacks in ``test_logs.py``, the demo's
output in ``tests/interop/test_demo.py``.
"""

import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from oidc.keys import KeyType
from tests.oidc.keys_for_tests import private_members, signing_key
from tests.processes import Process, irsa

TOKEN = "MARKER-of-the-kubeconfig"  # noqa: S105 - it is here to be searched for


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> list[str]:
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return ["--host", "127.0.0.1", "--port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)]


@contextmanager
def failing_api(authorizations: list[str | None]) -> Iterator[str]:
    """A Kubernetes API that answers everything with 500, and notes what came as Authorization."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            authorizations.append(self.headers["Authorization"])
            self.send_error(500)

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def said(process: Process) -> str:
    return process.log + Path(f"/proc/{process.pid}/cmdline").read_text()


def get(port: int, path: str, *, authority: trustme.CA | None = None) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    if authority is not None:
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_webhook_keeps_the_token_that_it_asks_the_cluster_with(tls: list[str], tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    authorizations: list[str | None] = []
    with failing_api(authorizations) as url:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": {"token": TOKEN}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        }
        kubeconfig.write_text(json.dumps(content))
        arguments = [*tls, "--metrics-port", "0", "--kubeconfig", str(kubeconfig), "--log-level", "debug"]
        with irsa("webhook", *arguments) as process:
            process.wait_for("service_accounts_interrupted")
            port = process.wait_for("metrics_listening")["port"]

            assert "irsa_webhook_reviews_total" in get(port, "/metrics")
            assert TOKEN not in said(process) + get(port, "/metrics") + get(port, "/readyz")
    assert set(authorizations) == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("key_type", ["rsa-2048", "p-256"])
def test_issuer_keeps_the_private_key_that_it_was_given(
    authority: trustme.CA, tls: list[str], tmp_path: Path, key_type: KeyType
) -> None:
    private, broken = tmp_path / "sa.key", tmp_path / "sa.pub"
    pem = signing_key(key_type).private_pem()
    for file in (private, broken):
        file.touch(mode=0o600)
        file.write_bytes(pem)
    keys = [argument for file in (private, broken) for argument in ("--public-key", str(file))]
    with irsa("issuer", "serve", "--issuer", "https://issuer.example", *keys, *tls, "--log-level", "debug") as process:
        port = process.wait_for("listening")["port"]
        broken.write_bytes(pem[:-80])
        process.wait_for("documents_kept")

        public = "".join(
            get(port, path, authority=authority) for path in ("/openid/v1/jwks", "/.well-known/openid-configuration")
        )
        lines, members = pem.decode().splitlines()[1:-1], private_members(pem)
        assert lines
        assert members
        assert [secret for secret in (*lines, *members) if secret in said(process)] == []
        # A whole line of a private PEM may be in the JWKS: the modulus is in both, and public.
        assert [member for member in members if member in public] == []

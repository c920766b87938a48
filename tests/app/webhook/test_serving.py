"""The webhook as a real process, over real TLS, with ServiceAccounts from a real folder."""

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.builders import ENV, ROLE_ARN, UID, body, container, pod, review
from tests.processes import Process, irsa

SERVICE_ACCOUNTS = f"""\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: app
  namespace: shop
  annotations:
    eks.amazonaws.com/role-arn: {ROLE_ARN}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: typo
  namespace: shop
  annotations:
    eks.amazon.com/role-arn: {ROLE_ARN}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: default
  namespace: shop
"""


@dataclass(frozen=True)
class Webhook:
    process: Process
    connection: http.client.HTTPSConnection
    operations: http.client.HTTPConnection

    def post(self, data: bytes) -> tuple[int, bytes]:
        self.connection.request("POST", "/mutate", data, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        return response.status, response.read()

    def get(self, path: str) -> tuple[int, bytes]:
        self.operations.request("GET", path)
        response = self.operations.getresponse()
        return response.status, response.read()

    def review(self, document: Any) -> dict[str, Any]:
        status, answer = self.post(body(review(document)))
        assert status == 200
        response: dict[str, Any] = json.loads(answer)["response"]
        return response


@pytest.fixture(scope="module")
def webhook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    folder = tmp_path_factory.mktemp("webhook")
    manifests = folder / "manifests"
    manifests.mkdir()
    (manifests / "service-accounts.yaml").write_text(SERVICE_ACCOUNTS)
    authority = trustme.CA()
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    arguments = [*tls_files(authority, folder), "--service-accounts", str(manifests), "--log-level", "debug"]
    ports = ["--port", "0", "--metrics-port", "0", "--drain-seconds", "0"]
    with irsa("webhook", "--host", "127.0.0.1", *ports, *arguments) as process:
        port = process.wait_for("listening")["port"]
        metrics_port = process.wait_for("metrics_listening")["port"]
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=10)
        operations = http.client.HTTPConnection("127.0.0.1", metrics_port, timeout=10)
        yield Webhook(process, connection, operations)
        connection.close()
        operations.close()
        assert process.stop() == 0
        assert '"event":"stopped"' in process.log


def tls_files(authority: trustme.CA, folder: Path) -> list[str]:
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return ["--tls-cert", str(certificate), "--tls-key", str(key)]


def test_pod_of_an_annotated_service_account_is_patched(webhook: Webhook) -> None:
    response = webhook.review(pod())

    patch = json.loads(base64.b64decode(response["patch"]))
    assert {"op": "add", "path": "/spec/containers/0/env", "value": ENV} in patch
    assert response["auditAnnotations"] == {"reason": "patched"}


def test_slip_in_the_prefix_is_answered_with_the_fix(webhook: Webhook) -> None:
    assert webhook.review(pod(serviceAccountName="typo")) == {
        "uid": UID,
        "allowed": True,
        "warnings": [
            (
                'write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount:'
                ' it is ignored (ServiceAccount "shop/typo")'
            )
        ],
        "auditAnnotations": {"reason": "no_role"},
    }


def test_it_is_alive_and_ready(webhook: Webhook) -> None:
    assert webhook.get("/healthz") == (200, b"ok\n")
    assert webhook.get("/readyz") == (200, b"ok\n")


def test_each_review_is_one_line_with_identifiers_only(webhook: Webhook) -> None:
    before = pod(
        container(env=[{"name": "PASSWORD", "value": "MARKER-value"}], args=["MARKER-argument"]),
        annotations={"note": "MARKER-annotation"},
    )
    before["metadata"]["generateName"] = "one-line-"
    webhook.review(before)

    line = next(line for line in webhook.process.log.splitlines() if "one-line-" in line)
    fields = json.loads(line)
    assert fields.pop("ms") < 1000
    assert fields.pop("time")
    assert fields == {
        "event": "pod_reviewed",
        "level": "info",
        "uid": UID,
        "namespace": "shop",
        "pod": "one-line-",
        "service_account": "app",
        "role_arn": ROLE_ARN,
        "outcome": "patched",
        "reason": "patched",
    }


def test_head_without_end_is_refused_and_others_are_answered(webhook: Webhook) -> None:
    plain = socket.create_connection(("127.0.0.1", webhook.connection.port), timeout=10)
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    with trust.wrap_socket(plain) as connection:
        connection.sendall(b"POST /mutate HTTP/1.1\r\nX: ")
        with suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(b"x" * 4096)
        assert connection.recv(12) == b"HTTP/1.1 400"

    assert webhook.review(pod())["allowed"] is True


def test_port_that_is_taken_is_one_line_and_exit_2(webhook: Webhook, tmp_path: Path) -> None:
    arguments = [*tls_files(trustme.CA(), tmp_path), "--service-accounts", str(tmp_path), "--host", "127.0.0.1"]
    for flag, other, taken in (
        ("--port", "--metrics-port", webhook.connection.port),
        ("--metrics-port", "--port", webhook.operations.port),
    ):
        with irsa("webhook", flag, str(taken), other, "0", *arguments) as second:
            assert second.wait() == 2
        assert second.log.splitlines()[-1] == (
            f'irsa: expected to listen on "127.0.0.1" port {taken}, got: Address already in use'
        )

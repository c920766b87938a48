import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.errors import ConfigurationError
from app.imds import resolved
from app.policy import policy
from app.settings import InjectionSettings
from app.webhook.accounts import Account

DOCUMENT = {"accountId": "111122223333", "region": "cn-north-1", "instanceId": "i-1"}
ASK = InjectionSettings(aws_account="imds")


@dataclass
class Imds:
    """What the service answers, and what it was asked."""

    port: int = 0
    document: bytes = json.dumps(DOCUMENT).encode()
    token_status: int = 200
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


@contextmanager
def serving(imds: Imds) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer(imds.token_status, b"the token", "X-aws-ec2-metadata-token-ttl-seconds")

        def do_GET(self) -> None:
            has_token = self.headers["X-aws-ec2-metadata-token"] == "the token"
            self._answer(200 if has_token else 401, imds.document, "X-aws-ec2-metadata-token")

        def _answer(self, status: int, body: bytes, header: str) -> None:
            imds.asked.append((self.command, self.path, self.headers[header]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(imds: Imds, settings: InjectionSettings = ASK) -> InjectionSettings:
    with serving(imds) as port:
        return resolved(settings, host="127.0.0.1", port=port)


def test_account_and_partition_come_from_the_identity_document_behind_a_session_token() -> None:
    imds = Imds()

    settings = ask(imds)

    assert policy(settings).defaults.account == Account(id="111122223333", partition="aws-cn")
    assert imds.asked == [
        ("PUT", "/latest/api/token", "60"),
        ("GET", "/latest/dynamic/instance-identity/document", "the token"),
    ]


def test_partition_that_is_set_is_kept() -> None:
    settings = ask(Imds(), InjectionSettings(aws_account="imds", aws_partition="aws-iso"))

    assert policy(settings).defaults.account == Account(id="111122223333", partition="aws-iso")


@pytest.mark.parametrize("account", [None, "444455556666"])
def test_nobody_is_asked_who_is_not_needed(account: str | None) -> None:
    imds = Imds()
    settings = InjectionSettings(aws_account=account)

    assert ask(imds, settings) is settings
    assert imds.asked == []


def test_settings_that_nobody_resolved_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^aws_account: expected twelve digits, got imds"):
        policy(ASK)


@pytest.mark.parametrize(
    "imds",
    [
        pytest.param(Imds(document=b"<html>"), id="no-json"),
        pytest.param(Imds(document=b"[" * 60_000), id="too-deep"),
        pytest.param(Imds(document=b"[]"), id="no-object"),
        pytest.param(Imds(document=b"{}"), id="empty"),
        pytest.param(Imds(document=b'{"accountId": 111122223333, "region": "x"}'), id="number"),
        pytest.param(Imds(document=b'{"accountId": "1", "region": "x"}'), id="short"),
        pytest.param(Imds(document=b'{"accountId": "111122223333", "region": 1}'), id="region"),
    ],
)
def test_document_that_is_none_is_refused_with_what_to_do(imds: Imds) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ask(imds)

    assert str(caught.value) == (
        "aws_account: expected an identity document with accountId and region from EC2's metadata service,"
        " got something else; set twelve digits instead of imds"
    )


def test_refusal_names_the_status() -> None:
    with pytest.raises(ConfigurationError, match=r"^aws_account: expected 200 .* for /latest/api/token, got 403; set"):
        ask(Imds(token_status=403))


def test_service_that_is_silent_is_given_up_within_two_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ConfigurationError, match=r"metadata service at 127\.0\.0\.1, got TimeoutError; set twelve"):
            resolved(ASK, host="127.0.0.1", port=silent.getsockname()[1])

    assert time.monotonic() - started < 2


def test_service_that_is_not_there_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(ConfigurationError, match="got ConnectionRefusedError; set twelve digits"):
        resolved(ASK, host="127.0.0.1", port=port)

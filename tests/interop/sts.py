"""An STS on loopback that grants everything and remembers who asked: for what SDKs do with a config file of ours."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs

NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
ACCESS_KEY: Final = re.compile(r"Credential=(\w+)/")


@dataclass(frozen=True)
class Call:
    """What a client asked for, and with what it proved that it may."""

    action: str
    role_arn: str | None = None
    token: str | None = None
    """The web identity token."""
    session_name: str | None = None
    signed_by: str | None = None
    """The role whose credentials signed the request; None where nothing did."""


class RecordingSts:
    """The state of an STS: whom it gave credentials, and what it was asked, in order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._calls: list[Call] = []
        self._role_of: dict[str, str] = {}

    def calls(self) -> list[Call]:
        """Return the calls since this was last asked."""
        calls, self._calls = self._calls, []
        return calls

    def answer(self, form: dict[str, str], authorization: str) -> str:
        """Return the XML that STS answers, https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html."""
        signed = ACCESS_KEY.search(authorization)
        signed_by = self._role_of[signed[1]] if signed else None
        action, role_arn, session_name = form["Action"], form.get("RoleArn"), form.get("RoleSessionName")
        self._calls.append(Call(action, role_arn, form.get("WebIdentityToken"), session_name, signed_by))
        if role_arn is None:
            result = f"<Arn>{signed_by}</Arn><UserId>AROA</UserId><Account>111122223333</Account>"
        else:
            result = f"<Credentials>{self._credentials(role_arn)}</Credentials>"
        return f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{result}</{action}Result></{action}Response>'

    def _credentials(self, role_arn: str) -> str:
        access_key = "ASIA" + hashlib.sha256(role_arn.encode()).hexdigest()[:16].upper()
        self._role_of[access_key] = role_arn
        return (
            f"<AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>"
            "<SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
        )


@contextmanager
def recording_sts() -> Iterator[RecordingSts]:
    """Serve an STS on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        """Head and body in one packet: of two, on a busy machine, the SDK for Go once lost the second."""

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(data, strict_parsing=True).items()}
            xml = sts.answer(form, self.headers.get("Authorization", "")).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(xml)))
            self.end_headers()
            self.wfile.write(xml)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sts = RecordingSts(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield sts
        finally:
            server.shutdown()
            thread.join()

"""A webhook that admits everything and remembers what it was asked about."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme


@dataclass
class Recorder:
    url: str
    ca_bundle: str
    _asked: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def heard(self, path: str, review: Any) -> None:
        metadata = review["request"]["object"]["metadata"]
        with self._lock:
            self._asked.append((path, metadata["name"]))

    def paths(self, name: str) -> list[str]:
        """Return where it was asked about the object *name*, in order."""
        with self._lock:
            return [path for path, asked in self._asked if asked == name]


@contextmanager
def recorder(host: str, folder: Path) -> Iterator[Recorder]:
    """Serve on a free port of *host* until the context is left."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = folder / "recorder.pem"
    authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(certificate)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer((host, 0), _Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made = Recorder(f"https://{host}:{server.server_port}", base64.b64encode(authority.cert_pem.bytes()).decode())
        server.recorder = made  # type: ignore[attr-defined] # how http.server hands things to its handlers
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    # Else the connections that the API server keeps would hold up the end.
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["content-length"])))
        recorder: Recorder = self.server.recorder  # type: ignore[attr-defined] # see above
        recorder.heard(self.path.partition("?")[0], review)
        answer = {"uid": review["request"]["uid"], "allowed": True}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        pass

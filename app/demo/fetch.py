"""One HTTP request to a server of the demo: no proxy, no redirect, nothing of the environment."""

import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes


def fetch(url: str, *, tls: ssl.SSLContext | None = None, method: str = "GET", json: bytes | None = None) -> Answer:
    """Send *json*, or nothing, to *url* and return the answer, whatever its status is.

    Raises:
        OSError: nobody answered, or the server is not the one that *tls* trusts.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = (
        HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=tls)
        if parts.scheme == "https"
        else HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    )
    headers = {"content-type": "application/json"} if json is not None else {}
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request(method, target, body=json, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except HTTPException as error:
        raise ConnectionError(f"expected an HTTP answer, got {type(error).__name__}") from error
    finally:
        connection.close()

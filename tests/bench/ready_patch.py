"""The floor behind a real API server: every review is answered with one ready patch. Only its uid is looked for."""

import base64
import os
import re
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

PATCH_FILE: Final = "BENCH_PATCH"
"""Variable that names the file with the JSONPatch."""

_UID: Final = re.compile(rb'"uid":"([^"]+)"')
_PATCH: Final = base64.b64encode(Path(os.environ[PATCH_FILE]).read_bytes()) if PATCH_FILE in os.environ else b""
_START: Final = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"allowed":true,"uid":"'
_END: Final = b'","patchType":"JSONPatch","patch":"' + _PATCH + b'"}}'


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a review with the patch."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    found = _UID.search(body)
    answer = _START + (found[1] if found else b"") + _END
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})

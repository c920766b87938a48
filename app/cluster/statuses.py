"""What the API says beside an object: a Status where it refuses, Warning headers where it does not. Pure."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from app.cluster.decoding import UNREADABLE
from app.cluster.events import MESSAGE_CHARACTERS
from app.text import shown

MAX_RETRY_SECONDS: Final = 60.0
"""We come back after so long even where we are told to stay away for longer."""

_WARNING: Final = re.compile(r'(?P<code>\d{3}) \S+ "(?P<text>(?:[^"\\]|\\.)*)"')
_QUOTED: Final = re.compile(r"\\(.)")


class Status(msgspec.Struct):
    """An error as the API says it: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/."""

    kind: str = ""
    reason: str = ""
    message: str = ""

    @property
    def said(self) -> str:
        """Its message, fit to show."""
        return shown(self.message, MESSAGE_CHARACTERS) if self.kind else "no Status"


NO_STATUS: Final = Status()


def status(body: bytes) -> Status:
    """Return the Status in *body*. Bodies of another kind are somebody else's, a proxy's, and may hold anything."""
    try:
        found = msgspec.json.decode(body, type=Status)
    except UNREADABLE:
        return NO_STATUS
    return found if found.kind == "Status" else NO_STATUS


def warnings(headers: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of Warning *headers* with code 299, which is the only one that Kubernetes sends.

    RFC 7234, section 5.5: ``299 - "text"``, in the text a backslash before each quote and backslash, several in one
    header with commas between them. Webhooks write these texts, so show them as a stranger's.
    """
    return tuple(
        _QUOTED.sub(r"\1", found["text"]).encode(errors="surrogateescape").decode(errors="replace")
        for header in headers
        for found in _WARNING.finditer(header)
        if found["code"] == "299"
    )


def retry_after_seconds(header: str) -> float:
    """Return the seconds of a Retry-After *header*; 0 where it has a date, which kube-apiserver never sends."""
    return min(float(header), MAX_RETRY_SECONDS) if header.isascii() and header.isdecimal() else 0.0

"""How JSON from strangers is read, cannot be read, and how we say so. Pure."""

import base64
from typing import Final

import msgspec

from app.text import shown

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON, JSON of another shape, no UTF-8, and JSON too deep for its stack."""


def octets(text: str | None) -> bytes:
    """Return the content of a field that is bytes, such as a Secret's; empty where it is no Base64."""
    try:
        return base64.b64decode(text or "")
    except ValueError:
        return b""


def problem(error: Exception, limit: int) -> str:
    """Return what is wrong, where reading raised an *error* of `UNREADABLE`; msgspec's words cut to *limit*."""
    if isinstance(error, UnicodeDecodeError):
        return "bytes that are no UTF-8"
    if isinstance(error, RecursionError):
        return "JSON that is nested too deeply"
    return shown(str(error), limit)

"""A certificate's bytes -> until when it is valid. Pure, and without `cryptography`, which costs a server 4 MB."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
END: Final = b"-----END CERTIFICATE-----"

SEQUENCE: Final = 0x30
UTC_TIME: Final = 0x17
VERSION: Final = 0xA0
"""The tag of the version, which only certificates of version 1 leave out."""


def certificates(content: bytes) -> Iterator[bytes]:
    """Yield each certificate in *content*, PEM, unread: from the last begin before an end, as Go's encoding/pem.

    No byte is looked at more than twice, whatever somebody wrote there.
    """
    position = 0
    while (end := content.find(END, position)) >= 0:
        begin = content.rfind(BEGIN, position, end)
        position = end + len(END)
        if begin >= 0:
            yield content[begin:position]


def not_after(pem: bytes) -> float | None:
    """Return until when the first certificate of *pem* is valid, in Unix seconds; None where that cannot be read.

    The structure is that of RFC 5280, section 4.1: a certificate is a sequence, whose first part is a sequence of
    version, serial number, algorithm, issuer, validity and more.
    """
    found = next(certificates(pem), None)
    if found is None:
        return None
    try:
        (_, certificate), *_ = _parts(ssl.PEM_cert_to_DER_cert(found.decode("ascii")))
        (_, signed), *_ = _parts(certificate)
        parts = [part for part in _parts(signed) if part[0] != VERSION]
        _, until = _parts(parts[3][1])
        return _time(*until)
    except (ValueError, IndexError):
        return None


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element in *der* (X.690, section 8.1); certificates have one-byte tags only."""
    position = 0
    while position < len(der):
        tag, length = der[position], der[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[position : position + size], "big")
            position += size
        yield tag, der[position : position + length]
        position += length


def _time(tag: int, content: bytes) -> float:
    """Return the Unix time of a UTCTime, whose years below 50 are 20xx (section 4.1.2.5), or of a GeneralizedTime."""
    text = content.decode("ascii")
    if tag == UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()

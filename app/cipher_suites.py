"""The cipher suites that our servers can be told to use. Pure.

Those of TLS 1.2 with forward secrecy and authenticated encryption; what TLS 1.3 has is always on. Names are IANA's,
which Go and the flags of Kubernetes use, or OpenSSL's.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from app.text import shown

TLS_1_2: Final[Mapping[str, str]] = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""IANA's name -> OpenSSL's."""

TLS_1_3: Final = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
"""Accepted, because lists that were made for Go have them, and without effect."""

_OF_GO: Final[Mapping[str, str]] = {
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Names of its own that Go takes too (crypto/tls)."""

_OPENSSL_NAMES: Final[Mapping[str, str]] = {**TLS_1_2, **_OF_GO, **{name: name for name in TLS_1_2.values()}}


def openssl_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the suites of TLS 1.2 among *names*, as OpenSSL calls them, in the order given.

    Raises:
        ValueError: a name that we do not know, or of a suite that is not secure; or none of TLS 1.2 among them.
    """
    found: list[str] = []
    names = [name.strip() for name in names if name.strip()]
    for name in names:
        if name in TLS_1_3:
            continue
        if name not in _OPENSSL_NAMES:
            raise ValueError(f"expected a secure cipher suite, got {shown(name)}; known are {', '.join(TLS_1_2)}")
        if _OPENSSL_NAMES[name] not in found:
            found.append(_OPENSSL_NAMES[name])
    if names and not found:
        raise ValueError("expected a cipher suite of TLS 1.2 too, got those of TLS 1.3, which are always on")
    return tuple(found)

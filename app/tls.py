"""Certificate and key files -> the TLS settings of our servers."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """How a server speaks TLS.

    Attributes:
        certificate: PEM file, with the chain behind it.
        key: PEM file of its private key, not encrypted.
        client_ca: PEM file of the CAs of which every client must show a certificate; None asks for none.
        minimum_version: the oldest version that is spoken.
        ciphers: suites of TLS 1.2, as OpenSSL calls them; none leaves Python's choice.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: tuple[str, ...] = ()

    def files(self) -> list[tuple[str, Path]]:
        """Return all files, each with what it holds."""
        files = [("TLS certificate", self.certificate), ("TLS key", self.key)]
        return [*files, ("client CA", self.client_ca)] if self.client_ca is not None else files


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """Read the files of *tls* and return what a server needs for a handshake.

    Raises:
        ConfigurationError: a file is missing, unreadable, empty or of the wrong kind, or certificate and key do not
            belong together.
    """
    for what, path in tls.files():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"expected a {what} at {path}, got: {error.strerror}") from error
        if not content.strip():
            raise ConfigurationError(f"expected a {what} at {path}, got an empty file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = tls.minimum_version
    if tls.ciphers:
        context.set_ciphers(":".join(tls.ciphers))
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise ConfigurationError(_what_is_wrong(tls.certificate, tls.key)) from error
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as error:
            raise ConfigurationError(f"expected PEM certificates in {tls.client_ca}, got something else") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _refuse_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a server would wait there for ever.
    raise ValueError("encrypted")


def _what_is_wrong(certificate: Path, key: Path) -> str:
    # Only to explain a failure: these imports cost 4 MB that a healthy server can do without.
    from cryptography import x509  # noqa: PLC0415 - see above
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see above

    try:
        x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return f"expected a PEM certificate in {certificate}, got something else"
    try:
        load_pem_private_key(key.read_bytes(), None)
    except TypeError:
        return f"expected a private key without a password in {key}, got an encrypted one"
    except (OSError, ValueError, UnsupportedAlgorithm):
        return f"expected a PEM private key in {key}, got something else"
    return f"expected the private key of {certificate} in {key}, got one of another type or of another certificate"

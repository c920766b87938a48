"""Certificate and key files -> the TLS settings of our servers."""

import ssl
from pathlib import Path

from app.errors import ConfigurationError


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return TLS 1.2 and later with *certificate* (PEM, the chain behind it) and its *key* (PEM, not encrypted).

    Raises:
        ConfigurationError: a file is missing, unreadable or of the wrong kind, or the two do not belong together.
    """
    for path, what in ((certificate, "certificate"), (key, "key")):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"expected a TLS {what} at {path}, got: {error.strerror}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(_what_is_wrong(certificate, key)) from error
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
    except ValueError:
        return f"expected a PEM certificate in {certificate}, got something else"
    try:
        load_pem_private_key(key.read_bytes(), None)
    except TypeError:
        return f"expected a private key without a password in {key}, got an encrypted one"
    except (ValueError, UnsupportedAlgorithm):
        return f"expected a PEM private key in {key}, got something else"
    return f"expected the private key of {certificate} in {key}, got one of another type or of another certificate"

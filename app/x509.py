"""Certificate authorities and the serving certificates that they sign. Pure, but for the randomness of new keys.

Keys are ECDSA on P-256: an apiserver makes a handshake with each replica, and an RSA signature costs thirty times more.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app import validity

PrivateKey: TypeAlias = EllipticCurvePrivateKey | RSAPrivateKey
Certificates: TypeAlias = tuple[x509.Certificate, ...]

UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for a certificate or key that parses oddly; not all of it is a ValueError."""

CLOCK_SKEW: Final = timedelta(minutes=5)
"""A certificate is valid from so long before it was made: clocks of those who verify it may be behind ours."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, which no repr shows."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)

    def certificate_pem(self) -> bytes:
        """Return the certificate, PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self) -> bytes:
        """Return the private key, PKCS#8, unencrypted, PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_authority(common_name: str, *, now: datetime, lifetime: timedelta) -> KeyPair:
    """Return a new CA that signs serving certificates and no other CA."""
    key, name = generate_private_key(SECP256R1()), _name(common_name)
    certificate = (
        _builder(name, name, key, now=now, until=now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, SHA256())
    )
    return KeyPair(certificate, key)


def issue(authority: KeyPair, names: Iterable[str], *, common_name: str, now: datetime, lifetime: timedelta) -> KeyPair:
    """Return a serving certificate for *names*, DNS names and IP addresses. It never outlives its *authority*."""
    key = generate_private_key(SECP256R1())
    until = min(now + lifetime, authority.certificate.not_valid_after_utc)
    issuer = authority.certificate.subject
    certificate = (
        _builder(_name(common_name), issuer, key, now=now, until=until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        # Python 3.13 verifies with X509_STRICT, which wants it.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, SHA256())
    )
    return KeyPair(certificate, key)


def parse_pair(certificate_pem: bytes, key_pem: bytes) -> KeyPair:
    """Return the first certificate of *certificate_pem* and its key.

    Raises:
        ValueError: one of them cannot be read, the key is encrypted or neither EC nor RSA, or the two do not belong
            together. The message is ours and quotes nothing.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise ValueError("expected a PEM certificate, got something else") from None
    try:
        key = load_pem_private_key(key_pem, None)
    except UNREADABLE:
        raise ValueError("expected a PEM private key without a password, got something else") from None
    if not isinstance(key, PrivateKey):
        raise ValueError("expected an EC or RSA key, got one of another type")  # noqa: TRY004 - of a stranger's content
    if key.public_key() != certificate.public_key():
        raise ValueError("expected the private key of the certificate, got another one")
    return KeyPair(certificate, key)


def parse_certificates(content: bytes) -> Certificates:
    """Return the certificates in *content*, PEM, each once, without those that cannot be read, as an apiserver does."""
    found = []
    for block in validity.certificates(content):
        try:
            certificate = x509.load_pem_x509_certificate(block)
            certificate.extensions, certificate.public_key()
        except UNREADABLE:
            continue
        found.append(certificate)
    return unique(found)


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return *certificates* one behind the other, PEM."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def unique(certificates: Iterable[x509.Certificate]) -> Certificates:
    """Return *certificates* in their order, each once."""
    return tuple(dict.fromkeys(certificates))


def is_authority(certificate: x509.Certificate) -> bool:
    """Return whether others believe what *certificate*'s key has signed (RFC 5280, 4.2.1.3 and 4.2.1.9)."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False
    return constraints.ca and usage.key_cert_sign


def has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether *authority* has issued *certificate*: name and signature, not the time."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the DNS names and IP addresses that *certificate* is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return frozenset()
    return frozenset([*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))])


def renewal(certificate: x509.Certificate) -> datetime:
    """Return when two thirds of *certificate*'s time are over, counted from when it was made."""
    begin, end = certificate.not_valid_before_utc + CLOCK_SKEW, certificate.not_valid_after_utc
    return begin + (end - begin) * 2 / 3


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, *, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - CLOCK_SKEW)
        .not_valid_after(until.astimezone(UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

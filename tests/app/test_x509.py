from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from app import x509

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def authority() -> x509.KeyPair:
    return x509.make_authority("a test CA", now=NOW, lifetime=10 * DAY)


def issued(authority: x509.KeyPair, *, lifetime: timedelta = DAY) -> x509.KeyPair:
    return x509.issue(
        authority, ["irsa-webhook.a.svc", "127.0.0.1", "::1"], common_name="x", now=NOW, lifetime=lifetime
    )


def test_authority_is_one_and_what_it_signs_is_none(authority: x509.KeyPair) -> None:
    serving = issued(authority).certificate

    assert x509.is_authority(authority.certificate)
    assert not x509.is_authority(serving)
    assert x509.has_signed(authority.certificate, serving)
    assert not x509.has_signed(x509.make_authority("a test CA", now=NOW, lifetime=DAY).certificate, serving)
    assert not x509.has_signed(serving, authority.certificate)


def test_serving_certificate_is_for_its_names_and_addresses(authority: x509.KeyPair) -> None:
    assert x509.names_of(issued(authority).certificate) == {"irsa-webhook.a.svc", "127.0.0.1", "::1"}
    assert x509.names_of(authority.certificate) == frozenset()


def test_serving_certificate_never_outlives_its_authority(authority: x509.KeyPair) -> None:
    assert issued(authority, lifetime=DAY).certificate.not_valid_after_utc == NOW + DAY
    assert issued(authority, lifetime=20 * DAY).certificate.not_valid_after_utc == NOW + 10 * DAY


def test_certificate_is_valid_where_the_clock_is_a_little_behind(authority: x509.KeyPair) -> None:
    assert authority.certificate.not_valid_before_utc == NOW - timedelta(minutes=5)


def test_renewal_is_after_two_thirds_of_its_life(authority: x509.KeyPair) -> None:
    assert x509.renewal(issued(authority, lifetime=9 * DAY).certificate) == NOW + 6 * DAY


def test_pair_comes_back_from_its_pem(authority: x509.KeyPair) -> None:
    parsed = x509.parse_pair(authority.certificate_pem(), authority.key_pem())

    assert parsed.certificate == authority.certificate
    assert parsed.key_pem() == authority.key_pem()


def test_certificates_come_back_from_pem_each_once_and_without_what_is_none(authority: x509.KeyPair) -> None:
    one, other = authority.certificate, issued(authority).certificate
    garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

    assert x509.parse_certificates(x509.pem([one]) + garbage + b"\xff\n" + x509.pem([other, one])) == (one, other)
    assert x509.parse_certificates(b"") == ()


def test_pair_of_strangers_is_refused_by_what_is_wrong(authority: x509.KeyPair) -> None:
    certificate, key = authority.certificate_pem(), authority.key_pem()
    locked = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    ed25519 = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem, other, message in (
        (b"", key, "expected a PEM certificate, got something else"),
        (key, key, "expected a PEM certificate, got something else"),
        (certificate, b"", "expected a PEM private key without a password, got something else"),
        (certificate, locked, "expected a PEM private key without a password, got something else"),
        (certificate, ed25519, "expected an EC or RSA key, got one of another type"),
        (certificate, issued(authority).key_pem(), "expected the private key of the certificate, got another one"),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            x509.parse_pair(pem, other)


def test_no_repr_shows_the_key(authority: x509.KeyPair) -> None:
    assert repr(authority) == "KeyPair(certificate=<Certificate(subject=<Name(CN=a test CA)>, ...)>)"

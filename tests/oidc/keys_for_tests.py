"""Keys that tests share. Made once a run: an RSA key takes a tenth of a second."""

from functools import cache
from typing import Final, get_args

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwcrypto.common import base64url_decode, base64url_encode

from oidc.keys import KeyType, PublicKey, SigningKey, generate, parse

KEY_TYPES: Final[tuple[KeyType, ...]] = get_args(KeyType)

KUBERNETES_KID: Final = "JHJehTTTZlsspKHT-GaJxK7Kd1NQgZJu3fyK6K_QDYU"
KUBERNETES_PEM: Final = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA249XwEo9k4tM8fMxV7zx
OhcrP+WvXn917koM5Qr2ZXs4vo26e4ytdlrV0bQ9SlcLpQVSYjIxNfhTZdDt+ecI
zshKuv1gKIxbbLQMOuK1eA/4HALyEkFgmS/tleLJrhc65tKPMGD+pKQ/xhmzRuCG
51RoiMgbQxaCyYxGfNLpLAZK9L0Tctv9a0mJmGIYnIOQM4kC1A1I1n3EsXMWmeJU
j7OTh/AjjCnMnkgvKT2tpKxYQ59PgDgU8Ssc7RDSmSkLxnrv+OrN80j6xrw0OjEi
B4Ycr0PqfzZcvy8efTtFQ/Jnc4Bp1zUtFXt7+QeevePtQ2EcyELXE0i63T1CujRM
WwIDAQAB
-----END PUBLIC KEY-----
"""
"""The vector of Kubernetes' pkg/serviceaccount/keyid_test.go."""

RFC_P256: Final = {
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
"""RFC 7517 appendix A.1."""

RFC_P521: Final = {
    "crv": "P-521",
    "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
    "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
}
"""RFC 7520 section 3.1. Its x starts with a zero byte, which must be published too."""


@cache
def signing_key(key_type: KeyType = "p-256") -> SigningKey:
    """Return the key of this type, the same for all."""
    return generate(key_type)


def private_members(pem: bytes) -> set[str]:
    """Return every private member that a JWK of this key could have (RFC 7518 sections 6.2.2 and 6.3.2)."""
    key = load_pem_private_key(pem, None)
    if isinstance(key, RSAPrivateKey):
        rsa = key.private_numbers()
        numbers = {rsa.d, rsa.p, rsa.q, rsa.dmp1, rsa.dmq1, rsa.iqmp}
        return {base64url_encode(number.to_bytes((number.bit_length() + 7) // 8)) for number in numbers}
    assert isinstance(key, EllipticCurvePrivateKey)
    # As long as the curve's numbers are, leading zeros included.
    return {base64url_encode(key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8))}


def public_key(pem: bytes) -> PublicKey:
    """Return the one public key in *pem*."""
    (key,) = parse(pem, "test.pem")
    assert isinstance(key, PublicKey)
    return key


def kubernetes_key() -> PublicKey:
    """Return the RSA key of Kubernetes' own test of its kid."""
    return public_key(KUBERNETES_PEM)


def rfc_key(coordinates: dict[str, str]) -> PublicKey:
    """Return the EC key that an RFC prints as a JWK."""
    curve = {"P-256": SECP256R1, "P-521": SECP521R1}[coordinates["crv"]]()
    x, y = (int.from_bytes(base64url_decode(coordinates[name])) for name in ("x", "y"))
    key = EllipticCurvePublicNumbers(x, y, curve).public_key()
    return public_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

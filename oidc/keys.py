"""Signing keys and their public halves. Pure, but for the randomness of `generate`; files are in ``key_files``.

PEM is cryptography's job, JWK is jwcrypto's. What a file may hold follows Kubernetes
(client-go util/keyutil/key.go), with one difference: a block that it would skip without a word is refused here,
because a key that silently misses from the JWKS is found out by failing pods.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK

from oidc.errors import KeyFileError

KeyType: TypeAlias = Literal["rsa-2048", "rsa-4096", "p-256", "p-384", "p-521"]
Algorithm: TypeAlias = Literal["RS256", "ES256", "ES384", "ES512"]

PUBLIC_MEMBERS: Final = ("use", "kty", "kid", "crv", "alg", "x", "y", "n", "e")
"""All that is ever published of a key, in the order in which kube-apiserver writes it.

No ``key_ops``: STS refuses tokens of a key that has it. No ``x5c``: one that does not match is refused too.
"""

MIN_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3 asks for it, and STS verifies RS256 with nothing shorter."""

_CURVES: Final[Mapping[str, type[SECP256R1 | SECP384R1 | SECP521R1]]] = {
    "p-256": SECP256R1,
    "p-384": SECP384R1,
    "p-521": SECP521R1,
}
_EC_ALGORITHMS: Final[Mapping[str, Algorithm]] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

_BEGIN: Final = b"-----BEGIN "
_BLOCK: Final = re.compile(_BEGIN + rb"([ -,.-~]+)-----.*?-----END \1-----", re.DOTALL)
_PUBLIC_BLOCKS: Final = frozenset({"PUBLIC KEY", "RSA PUBLIC KEY"})
_PRIVATE_BLOCKS: Final = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_SKIPPED_BLOCKS: Final = frozenset({"EC PARAMETERS"})
"""What ``openssl ecparam -genkey`` writes ahead of the key. It repeats what the key says."""

_ENCRYPTED: Final = "an encrypted private key; decrypt it with `openssl pkey -in FILE -out NEW`"
_OTHER_BLOCKS: Final[Mapping[str, str]] = {
    "CERTIFICATE": "a certificate; take the key out of it with `openssl x509 -pubkey -noout -in FILE`",
    "ENCRYPTED PRIVATE KEY": _ENCRYPTED,
    "OPENSSH PRIVATE KEY": "a key in OpenSSH's format; convert it with `ssh-keygen -p -m PEM -f FILE`",
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies tokens. Two are the same key exactly if their kids are equal."""

    spki: bytes
    """The key as SubjectPublicKeyInfo, DER. The kid is its SHA-256, so different keys never share a kid."""

    alg: Algorithm
    """What kube-apiserver signs with for a key of this type and curve."""

    @property
    def kid(self) -> str:
        """Return the key id that kube-apiserver writes (pkg/serviceaccount/jwt.go, keyIDFromPublicKey).

        Not jwcrypto's default, which is the RFC 7638 thumbprint.
        """
        return base64.urlsafe_b64encode(hashlib.sha256(self.spki).digest()).rstrip(b"=").decode()

    def jwk(self) -> dict[str, str]:
        """Return the key as published: `PUBLIC_MEMBERS`, those that a key of its type has."""
        exported = JWK.from_pyca(load_der_public_key(self.spki)).export_public(as_dict=True)
        members = {**exported, "use": "sig", "kid": self.kid, "alg": self.alg}
        return {name: members[name] for name in PUBLIC_MEMBERS if name in members}

    def pem(self) -> bytes:
        """Return the key as a ``PUBLIC KEY`` block, what ``--service-account-key-file`` takes."""
        return load_der_public_key(self.spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class SigningKey:
    """A private key that signs tokens. Its repr shows the kid and nothing else."""

    __slots__ = ("_private", "jwk", "public_key")

    def __init__(self, private: RSAPrivateKey | EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public_key: Final = _public_key(private.public_key())
        self.jwk: Final = JWK.from_pyca(private)
        """What jwcrypto signs with. It holds the private members: never export or serialise it."""

    @property
    def kid(self) -> str:
        """Return the key id of the public half."""
        return self.public_key.kid

    @property
    def alg(self) -> Algorithm:
        """Return the algorithm that this key signs with."""
        return self.public_key.alg

    def private_pem(self) -> bytes:
        """Return the private key, unencrypted, as ``RSA PRIVATE KEY`` (PKCS#1) or ``EC PRIVATE KEY`` (SEC1).

        Kubernetes writes these two itself, and of an EC key in PKCS#8 its ``--service-account-key-file`` sees nothing.
        """
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r})"


def generate(key_type: KeyType) -> SigningKey:
    """Return a new key."""
    if curve := _CURVES.get(key_type):
        return SigningKey(generate_ec(curve()))
    return SigningKey(generate_rsa(public_exponent=65537, key_size=int(key_type.removeprefix("rsa-"))))


def parse(pem: bytes, source: str) -> tuple[PublicKey | SigningKey, ...]:
    """Return every key in *pem*, in order; at least one.

    Takes SPKI and PKCS#1 public keys and PKCS#1, PKCS#8 and SEC1 private keys, several in one file and any text
    between them.

    Args:
        pem: content of a key file.
        source: what messages call it, usually its path.

    Raises:
        KeyFileError: no key, a block that is no RSA or EC key that kube-apiserver signs with, or one cut short.
    """
    blocks = list(_blocks(pem, source))
    keys = tuple(
        _parse_block(block[0], block[1].decode(), source)
        for block in blocks
        if block[1].decode() not in _SKIPPED_BLOCKS
    )
    if not keys:
        got = "no key in it" if blocks else "no PEM block" if pem.strip() else "an empty file"
        raise KeyFileError(f"{source}: expected RSA or EC keys in PEM, got {got}")
    return keys


def _blocks(pem: bytes, source: str) -> Iterator[re.Match[bytes]]:
    """Yield the blocks of *pem*; the end of each is looked for no further than to the beginning of the next one."""
    _, *rest = pem.split(_BEGIN)
    for after in rest:
        block = _BLOCK.match(_BEGIN + after)
        if block is None:
            raise KeyFileError(f"{source}: expected whole PEM blocks, got one without its END line")
        yield block


def parse_jwks(document: bytes, source: str) -> tuple[PublicKey, ...]:
    """Return the keys of a JWKS (RFC 7517, 5), such as kube-apiserver serves at ``/openid/v1/jwks``; at least one.

    Args:
        document: the JWKS, in JSON.
        source: what messages call it.

    Raises:
        KeyFileError: it is no JWKS, or has a key that kube-apiserver would not sign with.
    """
    try:
        keys = [JWK(**members).export_to_pem() for members in json.loads(document)["keys"]]
    except (ValueError, LookupError, TypeError, JWException) as error:
        raise KeyFileError(f"{source}: expected a JWKS with public keys, got something else") from error
    found = tuple(key for pem in keys for key in parse(pem, source))
    if not found:
        raise KeyFileError(f"{source}: expected a JWKS with public keys, got one without")
    return tuple(key.public_key if isinstance(key, SigningKey) else key for key in found)


def _parse_block(block: bytes, label: str, source: str) -> PublicKey | SigningKey:
    if label not in _PUBLIC_BLOCKS | _PRIVATE_BLOCKS:
        raise KeyFileError(f"{source}: expected an RSA or EC key, got {_OTHER_BLOCKS.get(label, f'a {label} block')}")
    try:
        if label in _PUBLIC_BLOCKS:
            return _public_key(load_pem_public_key(block))
        return _signing_key(load_pem_private_key(block, password=None))
    except TypeError as error:
        raise KeyFileError(f"{source}: expected an RSA or EC key, got {_ENCRYPTED}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{source}: expected an RSA or EC key, got a {label} block that cannot be read") from error
    except _UnsupportedKeyError as error:
        raise KeyFileError(f"{source}: expected {error}") from error


class _UnsupportedKeyError(Exception):
    """A key of a type, size or curve that kube-apiserver or STS does not take."""


def _signing_key(key: object) -> SigningKey:
    if isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        return SigningKey(key)
    raise _UnsupportedKeyError(f"an RSA or EC key, got {type(key).__name__.removesuffix('PrivateKey')}")


def _public_key(key: object) -> PublicKey:
    match key:
        case RSAPublicKey() if key.key_size < MIN_RSA_BITS:
            raise _UnsupportedKeyError(f"an RSA key of {MIN_RSA_BITS} bits or more, got one of {key.key_size}")
        case RSAPublicKey():
            alg: Algorithm = "RS256"
        case EllipticCurvePublicKey() if key.curve.name in _EC_ALGORITHMS:
            alg = _EC_ALGORITHMS[key.curve.name]
        case EllipticCurvePublicKey():
            raise _UnsupportedKeyError(f"an EC key on P-256, P-384 or P-521, got one on {key.curve.name}")
        case _:
            raise _UnsupportedKeyError(f"an RSA or EC key, got {type(key).__name__.removesuffix('PublicKey')}")
    return PublicKey(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), alg)

import json
import pickle
import time
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from oidc.errors import KeyFileError
from oidc.keys import KeyType, PublicKey, SigningKey, generate, parse, parse_jwks
from tests.oidc.keys_for_tests import (
    KEY_TYPES,
    KUBERNETES_KID,
    KUBERNETES_PEM,
    RFC_P256,
    RFC_P521,
    kubernetes_key,
    rfc_key,
    signing_key,
)

ALGORITHMS = {"rsa-2048": "RS256", "rsa-4096": "RS256", "p-256": "ES256", "p-384": "ES384", "p-521": "ES512"}

PRIVATE_BLOCK = b"-----BEGIN PRIVATE KEY-----\nMHc=\n-----END PRIVATE KEY-----\n"


def converted(key: SigningKey, private_format: PrivateFormat, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return load_pem_private_key(key.private_pem(), None).private_bytes(Encoding.PEM, private_format, encryption)


def test_kid_is_the_one_that_kubernetes_writes() -> None:
    assert kubernetes_key().kid == KUBERNETES_KID


def test_kid_of_an_ec_key_is_the_one_that_kubernetes_writes() -> None:
    # By openssl: pkey -pubin -outform DER | dgst -sha256 -binary | base64
    assert rfc_key(RFC_P256).kid == "UblEzfpUTUwyc6pr81BiWn3VO7tqcXIydPU4sZogd2A"
    assert rfc_key(RFC_P521).kid == "xkeaFaUKxM2bZBTifGm_NzRdwQRtxkiHXEiY-9Ncx0s"


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_generated_key_is_what_its_name_says(key_type: KeyType) -> None:
    key = load_pem_private_key(generate(key_type).private_pem(), None)

    if isinstance(key, rsa.RSAPrivateKey):
        assert f"rsa-{key.key_size}" == key_type
        assert key.public_key().public_numbers().e == 65537
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert f"p-{key.curve.key_size}" == key_type


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_algorithm_is_kubernetes_own_for_the_type_and_curve(key_type: KeyType) -> None:
    assert signing_key(key_type).alg == signing_key(key_type).public_key.alg == ALGORITHMS[key_type]


@pytest.mark.parametrize("coordinates", [pytest.param(RFC_P256, id="P-256"), pytest.param(RFC_P521, id="P-521")])
def test_an_ec_key_is_published_with_coordinates_of_full_length(coordinates: dict[str, str]) -> None:
    key = rfc_key(coordinates)

    assert key.jwk() == {"use": "sig", "kty": "EC", "kid": key.kid, "alg": key.alg, **coordinates}


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_public_key_survives_its_own_pem(key_type: KeyType) -> None:
    public = signing_key(key_type).public_key

    assert parse(public.pem(), "key.pub") == (public,)


@pytest.mark.parametrize("private_format", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_private_key_is_read_in_each_format(key_type: KeyType, private_format: PrivateFormat) -> None:
    (key,) = parse(converted(signing_key(key_type), private_format), "sa.key")

    assert isinstance(key, SigningKey)
    assert key.public_key == signing_key(key_type).public_key


@pytest.mark.parametrize(
    ("key_type", "label"),
    [("rsa-2048", b"RSA PRIVATE KEY"), ("p-256", b"EC PRIVATE KEY"), ("p-521", b"EC PRIVATE KEY")],
)
def test_a_private_key_is_written_as_kubernetes_writes_it(key_type: KeyType, label: bytes) -> None:
    assert signing_key(key_type).private_pem().startswith(b"-----BEGIN " + label + b"-----\n")


def test_a_pkcs1_public_key_is_read() -> None:
    pkcs1 = load_pem_public_key(KUBERNETES_PEM).public_bytes(Encoding.PEM, PublicFormat.PKCS1)

    assert parse(pkcs1, "key.pub") == (kubernetes_key(),)


def test_several_blocks_come_in_their_order_whatever_stands_between_them() -> None:
    first, second = signing_key("p-384"), signing_key("p-256")
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    pem = b"".join(
        [
            b"Bag Attributes\r\n",
            first.public_key.pem().replace(b"\n", b"\r\n"),
            parameters,
            second.private_pem(),
            b"\n#\n",
        ]
    )

    keys = parse(pem, "sa.pub")

    assert [key.kid for key in keys] == [first.kid, second.kid]
    assert [type(key) for key in keys] == [PublicKey, SigningKey]


def test_a_signing_key_shows_its_kid_only() -> None:
    key = signing_key()

    assert repr(key) == str(key) == f"{key}" == f"SigningKey(kid='{key.kid}')"


def test_a_signing_key_cannot_be_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(signing_key())


def ed25519_private() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def ed25519_public() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def dsa_public() -> bytes:
    key = dsa.generate_private_key(1024).public_key()  # noqa: S505 - a small one is quickly made, and refused anyhow
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def short_rsa() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def other_curve() -> bytes:
    key = ec.generate_private_key(ec.SECP256K1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def encrypted_pkcs8() -> bytes:
    return converted(signing_key("p-256"), PrivateFormat.PKCS8, b"password")


def encrypted_pkcs1() -> bytes:
    return converted(signing_key("rsa-2048"), PrivateFormat.TraditionalOpenSSL, b"password")


def block(label: str) -> Callable[[], bytes]:
    return lambda: PRIVATE_BLOCK.replace(b"PRIVATE KEY", label.encode())


ENCRYPTED = "an encrypted private key; decrypt it with `openssl pkey -in FILE -out NEW`"

REFUSED = [
    pytest.param(lambda: b"", "expected RSA or EC keys in PEM, got an empty file", id="empty"),
    pytest.param(lambda: b" \n", "expected RSA or EC keys in PEM, got an empty file", id="blank"),
    pytest.param(lambda: b"\xff\x00secret", "expected RSA or EC keys in PEM, got no PEM block", id="garbage"),
    pytest.param(block("EC PARAMETERS"), "expected RSA or EC keys in PEM, got no key in it", id="parameters only"),
    pytest.param(ed25519_private, "expected an RSA or EC key, got Ed25519", id="Ed25519 private"),
    pytest.param(ed25519_public, "expected an RSA or EC key, got Ed25519", id="Ed25519 public"),
    pytest.param(dsa_public, "expected an RSA or EC key, got DSA", id="DSA"),
    pytest.param(short_rsa, "expected an RSA key of 2048 bits or more, got one of 1024", id="short RSA"),
    pytest.param(other_curve, "expected an EC key on P-256, P-384 or P-521, got one on secp256k1", id="other curve"),
    pytest.param(
        block("CERTIFICATE"),
        "expected an RSA or EC key, got a certificate; "
        "take the key out of it with `openssl x509 -pubkey -noout -in FILE`",
        id="certificate",
    ),
    pytest.param(encrypted_pkcs8, f"expected an RSA or EC key, got {ENCRYPTED}", id="encrypted PKCS#8"),
    pytest.param(encrypted_pkcs1, f"expected an RSA or EC key, got {ENCRYPTED}", id="encrypted PKCS#1"),
    pytest.param(
        block("OPENSSH PRIVATE KEY"),
        "expected an RSA or EC key, got a key in OpenSSH's format; convert it with `ssh-keygen -p -m PEM -f FILE`",
        id="OpenSSH",
    ),
    pytest.param(
        block("X9.42 DH PARAMETERS"), "expected an RSA or EC key, got a X9.42 DH PARAMETERS block", id="another block"
    ),
    pytest.param(
        lambda: PRIVATE_BLOCK,
        "expected an RSA or EC key, got a PRIVATE KEY block that cannot be read",
        id="broken private key",
    ),
    pytest.param(
        lambda: KUBERNETES_PEM.replace(b"MIIB", b"AAAA"),
        "expected an RSA or EC key, got a PUBLIC KEY block that cannot be read",
        id="broken public key",
    ),
    pytest.param(
        lambda: KUBERNETES_PEM + KUBERNETES_PEM[:-30],
        "expected whole PEM blocks, got one without its END line",
        id="cut short",
    ),
    pytest.param(
        lambda: KUBERNETES_PEM[:-30] + KUBERNETES_PEM,
        "expected whole PEM blocks, got one without its END line",
        id="cut short in front",
    ),
]


@pytest.mark.parametrize(("pem", "message"), REFUSED)
def test_what_kubernetes_cannot_sign_with_is_refused(pem: Callable[[], bytes], message: str) -> None:
    with pytest.raises(KeyFileError) as refusal:
        parse(pem(), "sa.pub")

    assert str(refusal.value) == f"sa.pub: {message}"


def test_beginnings_without_an_end_take_no_longer_than_their_length() -> None:
    """Looking for each one's end would take minutes."""
    began = time.process_time()

    with pytest.raises(KeyFileError, match="whole PEM blocks"):
        parse(b"-----BEGIN PUBLIC KEY-----\n" * 40_000, "x")
    assert time.process_time() - began < 5


def test_one_bad_block_among_good_ones_is_refused() -> None:
    with pytest.raises(KeyFileError, match="got Ed25519"):
        parse(KUBERNETES_PEM + ed25519_public(), "sa.pub")


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_key_survives_its_own_jwks(key_type: KeyType) -> None:
    key = signing_key(key_type).public_key

    assert parse_jwks(json.dumps({"keys": [key.jwk()]}).encode(), "keys") == (key,)


def test_private_members_of_a_jwks_are_not_kept() -> None:
    private = signing_key("p-256")
    document = json.dumps({"keys": [private.jwk.export_private(as_dict=True)]}).encode()

    assert parse_jwks(document, "keys") == (private.public_key,)


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"[]", b'{"keys": 1}', b'{"keys": [{"kty": "oct", "k": "eA"}]}', b'{"keys": [{}]}']
)
def test_what_is_no_jwks_is_refused(document: bytes) -> None:
    with pytest.raises(KeyFileError, match=r"^keys: expected a JWKS with public keys, got something else$"):
        parse_jwks(document, "keys")


def test_a_jwks_without_keys_is_refused() -> None:
    with pytest.raises(KeyFileError, match=r"^keys: expected a JWKS with public keys, got one without$"):
        parse_jwks(b'{"keys": []}', "keys")

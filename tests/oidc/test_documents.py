import itertools
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oidc.documents import documents
from oidc.errors import ConfigurationError
from oidc.issuer import Issuer
from oidc.key_files import read_public_keys, write_pair
from oidc.keys import KeyType, PublicKey
from tests.oidc.keys_for_tests import (
    KEY_TYPES,
    KUBERNETES_KID,
    RFC_P256,
    RFC_P521,
    kubernetes_key,
    private_members,
    public_key,
    rfc_key,
    signing_key,
)

ISSUER = Issuer.parse("https://host/clusters/a")

KUBERNETES_N = (
    "249XwEo9k4tM8fMxV7zxOhcrP-WvXn917koM5Qr2ZXs4vo26e4ytdlrV0bQ9SlcLpQVSYjIxNfhTZdDt-ecIzshKuv1gKIxbbLQMOuK1eA_4HALyEkFgm"
    "S_tleLJrhc65tKPMGD-pKQ_xhmzRuCG51RoiMgbQxaCyYxGfNLpLAZK9L0Tctv9a0mJmGIYnIOQM4kC1A1I1n3EsXMWmeJUj7OTh_AjjCnMnkgvKT2tpKx"
    "YQ59PgDgU8Ssc7RDSmSkLxnrv-OrN80j6xrw0OjEiB4Ycr0PqfzZcvy8efTtFQ_Jnc4Bp1zUtFXt7-QeevePtQ2EcyELXE0i63T1CujRMWw"
)


def rsa_keys(number: int) -> list[PublicKey]:
    """Return distinct keys of 2,048 bits without the work of finding primes for them."""
    numbers = [RSAPublicNumbers(e=65537, n=(1 << 2047) + 2 * i + 1) for i in range(number)]
    pems = [n.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for n in numbers]
    return [public_key(pem) for pem in pems]


def test_documents_are_kubernetes_own_with_the_claims_that_eks_names() -> None:
    p256, p521 = rfc_key(RFC_P256), rfc_key(RFC_P521)

    published = documents(ISSUER, [p521, kubernetes_key(), p256])

    assert published.discovery.decode() == (
        '{"issuer":"https://host/clusters/a","jwks_uri":"https://host/clusters/a/openid/v1/jwks",'
        '"response_types_supported":["id_token"],"subject_types_supported":["public"],'
        '"id_token_signing_alg_values_supported":["ES256","ES512","RS256"],"claims_supported":["sub","iss"]}'
    )
    assert published.jwks.decode() == (
        '{"keys":['
        f'{{"use":"sig","kty":"RSA","kid":"{KUBERNETES_KID}","alg":"RS256","n":"{KUBERNETES_N}","e":"AQAB"}},'
        f'{{"use":"sig","kty":"EC","kid":"{p256.kid}","crv":"P-256","alg":"ES256",'
        f'"x":"{RFC_P256["x"]}","y":"{RFC_P256["y"]}"}},'
        f'{{"use":"sig","kty":"EC","kid":"{p521.kid}","crv":"P-521","alg":"ES512",'
        f'"x":"{RFC_P521["x"]}","y":"{RFC_P521["y"]}"}}'
        "]}"
    )


def test_the_order_of_keys_does_not_show() -> None:
    keys = [kubernetes_key(), rfc_key(RFC_P256), rfc_key(RFC_P521), signing_key("p-384").public_key]

    assert len({documents(ISSUER, order) for order in itertools.permutations(keys)}) == 1


def test_a_key_that_is_named_twice_appears_once() -> None:
    assert documents(ISSUER, [kubernetes_key()] * 2) == documents(ISSUER, [kubernetes_key()])


def test_a_trailing_slash_stays_in_the_issuer() -> None:
    published = json.loads(documents(Issuer.parse("https://host/p/"), [kubernetes_key()]).discovery)

    assert published["issuer"] == "https://host/p/"
    assert published["jwks_uri"] == "https://host/p/openid/v1/jwks"


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_private_members_are_never_published(key_type: KeyType, tmp_path: Path) -> None:
    key = signing_key(key_type)
    write_pair(key, tmp_path / "sa.key", tmp_path / "sa.pub")

    published = documents(ISSUER, read_public_keys(tmp_path / "sa.key"))

    (jwk,) = json.loads(published.jwks)["keys"]
    own = {"n", "e"} if key_type.startswith("rsa") else {"crv", "x", "y"}
    assert set(jwk) == {"use", "kty", "kid", "alg"} | own
    secrets = private_members(key.private_pem())
    assert secrets
    assert not [secret for secret in secrets if secret.encode() in published.jwks + published.discovery]
    assert published == documents(ISSUER, read_public_keys(tmp_path / "sa.pub"))


def test_a_key_set_is_never_empty() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        documents(ISSUER, [])

    assert str(refusal.value) == "expected at least one public key, got none"


def test_no_more_keys_of_a_type_are_published_than_sts_takes() -> None:
    keys = rsa_keys(101)

    with pytest.raises(ConfigurationError) as refusal:
        documents(ISSUER, keys)

    assert str(refusal.value) == ("expected at most 100 RSA keys, got 101; STS would refuse the tokens of all of them")
    assert len(json.loads(documents(ISSUER, [*keys[:100], rfc_key(RFC_P256)]).jwks)["keys"]) == 101

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwcrypto.common import base64url_decode

from oidc.issuer import Issuer
from oidc.keys import KeyType, PublicKey
from oidc.tokens import Claims, ObjectReference, Token, projected_token_claims, sign
from tests.oidc.keys_for_tests import KEY_TYPES, signing_key

HASHES = {"RS256": SHA256(), "ES256": SHA256(), "ES384": SHA384(), "ES512": SHA512()}


def claims(node: ObjectReference | None = None) -> Claims:
    return projected_token_claims(
        issuer=Issuer.parse("https://host/clusters/a/"),
        audience="sts.amazonaws.com",
        namespace="team-a",
        service_account=ObjectReference("reports", "48d5a023-6c8d-4d28-a557-9624a082c9e4"),
        pod=ObjectReference("reports-7d4b9", "0898672b-9c95-4e06-acc2-7725c1af1353"),
        node=node,
        now=1_795_560_334,
        token_expiration=86_400,
        jti="b553a3f3-3894-4e15-ab78-ac50579c0345",
    )


def verify(key: PublicKey, signed: bytes, signature: bytes) -> None:
    """Verify as RFC 7518 section 3 says, without the library that signed. Raises InvalidSignature."""
    public = load_der_public_key(key.spki)
    if isinstance(public, RSAPublicKey):
        public.verify(signature, signed, PKCS1v15(), HASHES[key.alg])
    else:
        assert isinstance(public, EllipticCurvePublicKey)
        width = (public.curve.key_size + 7) // 8
        assert len(signature) == 2 * width
        r, s = int.from_bytes(signature[:width]), int.from_bytes(signature[width:])
        public.verify(encode_dss_signature(r, s), signed, ECDSA(HASHES[key.alg]))


def test_claims_are_those_of_kubernetes() -> None:
    assert claims(node=ObjectReference("node-a", "6fa1")) == {
        "aud": ["sts.amazonaws.com"],
        "exp": 1_795_646_734,
        "iat": 1_795_560_334,
        "iss": "https://host/clusters/a/",
        "jti": "b553a3f3-3894-4e15-ab78-ac50579c0345",
        "kubernetes.io": {
            "namespace": "team-a",
            "node": {"name": "node-a", "uid": "6fa1"},
            "pod": {"name": "reports-7d4b9", "uid": "0898672b-9c95-4e06-acc2-7725c1af1353"},
            "serviceaccount": {"name": "reports", "uid": "48d5a023-6c8d-4d28-a557-9624a082c9e4"},
        },
        "nbf": 1_795_560_334,
        "sub": "system:serviceaccount:team-a:reports",
    }


def test_a_pod_without_a_node_has_no_claim_of_one() -> None:
    bound = claims()["kubernetes.io"]

    assert isinstance(bound, dict)
    assert set(bound) == {"namespace", "pod", "serviceaccount"}


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_a_token_is_written_and_signed_as_kubernetes_does(key_type: KeyType) -> None:
    key = signing_key(key_type)

    header, payload, signature = sign(key, claims()).reveal().split(".")

    assert base64url_decode(header).decode() == f'{{"alg":"{key.alg}","kid":"{key.kid}"}}'
    assert base64url_decode(payload).decode() == json.dumps(claims(), sort_keys=True, separators=(",", ":"))
    verify(key.public_key, f"{header}.{payload}".encode(), base64url_decode(signature))


def test_a_token_does_not_show_itself() -> None:
    token = Token("eyJhbGciOiJ.marker.signature")

    shown = f"{token} {token!r} {token!s} {[token]} %s" % token

    assert "marker" not in shown
    assert repr(token) == "Token(hidden)"
    assert token.reveal() == "eyJhbGciOiJ.marker.signature"

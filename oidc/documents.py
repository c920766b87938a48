"""(issuer, public keys) -> the two documents that STS reads. Pure: same input, same bytes, in any order of keys."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from oidc.errors import ConfigurationError
from oidc.issuer import Issuer
from oidc.keys import PublicKey

MAX_KEYS: Final = 100
"""Keys of one type that STS takes; with more of them it refuses every token of that type (spiffe/spire#4699)."""


@dataclass(frozen=True, slots=True)
class Documents:
    """What is published of an issuer."""

    discovery: bytes
    jwks: bytes


def documents(issuer: Issuer, keys: Iterable[PublicKey]) -> Documents:
    """Return discovery document and JWKS, as kube-apiserver writes them (pkg/serviceaccount/openidmetadata.go).

    Keys are ordered by kid, and a key that is named twice appears once. The one thing that Kubernetes does not write
    is ``claims_supported``; what AWS publishes for EKS has it.

    Raises:
        ConfigurationError: no key at all, or more than STS takes.
    """
    unique = sorted(set(keys), key=lambda key: key.kid)
    jwks = [key.jwk() for key in unique]
    _check_number([jwk["kty"] for jwk in jwks])
    return Documents(
        discovery=_json(
            {
                "issuer": issuer.url,
                "jwks_uri": issuer.jwks_uri,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": sorted({key.alg for key in unique}),
                "claims_supported": ["sub", "iss"],
            }
        ),
        jwks=_json({"keys": jwks}),
    )


def _check_number(types: list[str]) -> None:
    if not types:
        raise ConfigurationError("expected at least one public key, got none")
    for kty, number in Counter(types).items():
        if number > MAX_KEYS:
            raise ConfigurationError(
                f"expected at most {MAX_KEYS} {kty} keys, got {number}; STS would refuse the tokens of all of them"
            )


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()

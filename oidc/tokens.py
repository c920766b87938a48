"""Service account tokens as kube-apiserver mints them: claims first, then the signature.

Who plays the API server uses this: the demo's kubelet and the external signer's tests.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from jwcrypto.jws import JWS

from oidc.issuer import Issuer
from oidc.keys import SigningKey

Claims: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A Kubernetes object that a token names: which one, and which of all that ever had this name."""

    name: str
    uid: str


class Token:
    """A signed token. Whoever shows or logs it shows that it is one; only `reveal` gives the string."""

    __slots__ = ("_compact",)

    def __init__(self, compact: str) -> None:
        self._compact = compact

    def reveal(self) -> str:
        """Return the token itself, in compact serialisation, for the file or request it is meant for."""
        return self._compact

    def __repr__(self) -> str:
        return "Token(hidden)"


def projected_token_claims(
    *,
    issuer: Issuer,
    audience: str,
    namespace: str,
    service_account: ObjectReference,
    pod: ObjectReference,
    node: ObjectReference | None = None,
    now: int,
    token_expiration: int,
    jti: str,
) -> Claims:
    """Return the claims of a token projected into *pod* (Kubernetes pkg/serviceaccount/claims.go).

    Args:
        issuer: who signs.
        audience: the one audience; Kubernetes writes an array even so.
        namespace: of the pod and its ServiceAccount.
        service_account: whom the token speaks for.
        pod: whom it is bound to.
        node: where the pod runs; absent until it is scheduled.
        now: seconds since the epoch; issued at and not before.
        token_expiration: seconds until it expires.
        jti: what audit logs know this token by, a UUID in Kubernetes.
    """
    bound: Claims = {
        "namespace": namespace,
        "pod": {"name": pod.name, "uid": pod.uid},
        "serviceaccount": {"name": service_account.name, "uid": service_account.uid},
    }
    if node is not None:
        bound["node"] = {"name": node.name, "uid": node.uid}
    return {
        "aud": [audience],
        "exp": now + token_expiration,
        "iat": now,
        "iss": issuer.url,
        "jti": jti,
        "kubernetes.io": bound,
        "nbf": now,
        "sub": f"system:serviceaccount:{namespace}:{service_account.name}",
    }


def sign(key: SigningKey, claims: Mapping[str, object]) -> Token:
    """Return *claims* signed by *key*. The header is Kubernetes': ``alg`` and ``kid``, no ``typ``."""
    jws = JWS(_json(claims))
    jws.allowed_algs = [key.alg]
    jws.add_signature(key.jwk, alg=key.alg, protected=_json({"alg": key.alg, "kid": key.kid}))
    return Token(jws.serialize(compact=True))


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, separators=(",", ":"), sort_keys=True)

"""Plays the TokenRequest API: a pod, and what its volume asks for, become a token."""

import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

from app.demo.kubelet import Mint, TokenRequest
from oidc.issuer import Issuer
from oidc.keys import SigningKey
from oidc.tokens import ObjectReference, Token, projected_token_claims, sign

Object = dict[str, Any]

NODE: Final = "demo-node"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenApi:
    """Mints the tokens of one cluster: one issuer, one signing key."""

    issuer: Issuer
    key: SigningKey

    def mint(self, pod: Object, *, service_account: str | None = None, expired_seconds: int | None = None) -> Mint:
        """Return what mints the tokens of *pod*.

        Args:
            pod: whom they are bound to; its ServiceAccount is whom they speak for.
            service_account: another ServiceAccount of its namespace to speak for.
            expired_seconds: how long they have been expired already; None for tokens that are good.
        """
        metadata = pod["metadata"]
        name = service_account or pod["spec"]["serviceAccountName"]

        def mint(request: TokenRequest) -> Token:
            age = 0 if expired_seconds is None else request.token_expiration + expired_seconds
            claims = projected_token_claims(
                issuer=self.issuer,
                audience=request.audience,
                namespace=metadata["namespace"],
                service_account=ObjectReference(name, new_uid()),
                pod=ObjectReference(metadata["name"], metadata["uid"]),
                node=ObjectReference(NODE, new_uid()),
                now=int(time.time()) - age,
                token_expiration=request.token_expiration,
                jti=new_uid(),
            )
            return sign(self.key, claims)

        return mint


def new_uid() -> str:
    """Return a UID as Kubernetes gives them."""
    return str(uuid.uuid4())

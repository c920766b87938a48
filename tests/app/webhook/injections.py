"""The smallest identity, and pods after an injection."""

from typing import Any

import jsonpatch

from app.webhook.identity import Identity, Mode
from app.webhook.inject import Injection, operations
from tests.builders import ROLE_ARN

ENDPOINT = "http://169.254.170.23/v1/credentials"
ENDPOINT_PATH = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"
ENDPOINT_TOKEN_FILE = f"{ENDPOINT_PATH}/eks-pod-identity-token"
ENDPOINT_ENV = [
    {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "regional"},
    {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": ENDPOINT},
    {"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "value": ENDPOINT_TOKEN_FILE},
]
ENDPOINT_MOUNT = {
    "name": "eks-pod-identity-token",
    "readOnly": True,
    "mountPath": ENDPOINT_PATH,
}
ENDPOINT_VOLUME = {
    "name": "eks-pod-identity-token",
    "projected": {
        "sources": [
            {
                "serviceAccountToken": {
                    "audience": "pods.eks.amazonaws.com",
                    "expirationSeconds": 86400,
                    "path": "eks-pod-identity-token",
                }
            }
        ]
    },
}


def identity(**fields: Any) -> Identity:
    defaults: dict[str, Any] = {
        "role_arn": ROLE_ARN,
        "audience": "sts.amazonaws.com",
        "token_expiration": 86_400,
        "regional_sts": True,
    }
    return Identity(**(defaults | fields))


def endpoint_identity(**fields: Any) -> Identity:
    """Return one of container-credentials mode."""
    defaults: dict[str, Any] = {
        "mode": Mode.CONTAINER_CREDENTIALS,
        "role_arn": "",
        "audience": "pods.eks.amazonaws.com",
    }
    return identity(**(defaults | fields))


def injected(before: dict[str, Any], who: Identity | None = None, **injection: Any) -> Any:
    """Return *before* with what is added to it, and see that nothing would be added to that."""
    chosen = Injection(**injection)
    added = operations(before, who or identity(), injection=chosen)
    assert added is not None
    after = jsonpatch.apply_patch(before, added)
    assert operations(after, who or identity(), injection=chosen) == []
    return after

"""Our documents and claims against a real API server's own. Any cluster will do; nothing is left in it."""

import ast
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jwcrypto.common import base64url_decode
from jwcrypto.jwk import JWK

from oidc.documents import documents
from oidc.issuer import Issuer
from oidc.tokens import ObjectReference, projected_token_claims
from tests.oidc.keys_for_tests import public_key

pytestmark = pytest.mark.cluster

AUDIENCE = "sts.amazonaws.com"
TOKEN_EXPIRATION = 3600
POD = {
    "metadata": {"name": "reports"},
    "spec": {
        "serviceAccountName": "reports",
        "nodeSelector": {"irsa": "nowhere"},
        "containers": [{"name": "main", "image": "none"}],
    },
}


@dataclass(frozen=True)
class Cluster:
    """The parts of an API server that these tests talk to. Plain dictionaries go in, so the types are not used."""

    core: Any
    discovery: Any
    jwks: Any


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    path = os.environ.get("IRSA_TEST_KUBECONFIG")
    if not path:
        pytest.skip("IRSA_TEST_KUBECONFIG is not set")
    from kubernetes import client, config  # noqa: PLC0415 - a second that a run without a cluster can do without

    new_client: Any = config.new_client_from_config
    api = new_client(path)
    return Cluster(client.CoreV1Api(api), client.WellKnownApi(api), client.OpenidApi(api))


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"irsa-test-{uuid.uuid4()}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    yield name
    cluster.core.delete_namespace(name)


@dataclass(frozen=True)
class Minted:
    """A token of the API server's for a pod, and what it was asked for."""

    header: str
    claims: dict[str, Any]
    payload: str
    service_account: ObjectReference
    pod: ObjectReference


@pytest.fixture(scope="module")
def minted(cluster: Cluster, namespace: str) -> Minted:
    account = cluster.core.create_namespaced_service_account(namespace, {"metadata": {"name": "reports"}})
    pod = cluster.core.create_namespaced_pod(namespace, POD)
    request = {
        "spec": {
            "audiences": [AUDIENCE],
            "expirationSeconds": TOKEN_EXPIRATION,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "reports", "uid": pod.metadata.uid},
        }
    }
    response = cluster.core.create_namespaced_service_account_token("reports", namespace, request)
    header, payload, _signature = (base64url_decode(part) for part in response.status.token.split("."))
    return Minted(
        header.decode(),
        json.loads(payload),
        payload.decode(),
        ObjectReference("reports", account.metadata.uid),
        ObjectReference("reports", pod.metadata.uid),
    )


def test_our_documents_are_those_of_the_api_server(cluster: Cluster) -> None:
    # The client parses the JSON and, as its schema says "string", hands out the repr of what it parsed.
    discovery = ast.literal_eval(cluster.discovery.get_service_account_issuer_open_id_configuration())
    jwks = ast.literal_eval(cluster.jwks.get_service_account_issuer_open_id_keyset())
    keys = [public_key(JWK(**jwk).export_to_pem()) for jwk in jwks["keys"]]

    ours = documents(Issuer.parse(discovery["issuer"]), keys)

    members = [list(jwk.items()) for jwk in json.loads(ours.jwks)["keys"]]
    assert members == sorted((list(jwk.items()) for jwk in jwks["keys"]), key=lambda jwk: dict(jwk)["kid"])
    where = {"jwks_uri": discovery["jwks_uri"], "claims_supported": ["sub", "iss"]}
    assert json.loads(ours.discovery) | where == discovery | where


def test_our_claims_are_those_of_the_api_server(minted: Minted, namespace: str) -> None:
    now = minted.claims["iat"]

    ours = projected_token_claims(
        issuer=Issuer.parse(minted.claims["iss"]),
        audience=AUDIENCE,
        namespace=namespace,
        service_account=minted.service_account,
        pod=minted.pod,
        now=now,
        token_expiration=TOKEN_EXPIRATION,
        jti=minted.claims["jti"],
    )

    assert json.dumps(ours, sort_keys=True, separators=(",", ":")) == minted.payload


def test_a_header_names_algorithm_and_key_only(minted: Minted) -> None:
    assert set(json.loads(minted.header)) == {"alg", "kid"}

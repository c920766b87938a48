import hashlib
from collections.abc import Iterator

import pytest

from oidc.documents import Documents, documents
from oidc.issuer import Issuer
from oidc.targets.server import create_app
from tests.oidc.keys_for_tests import RFC_P256, kubernetes_key, rfc_key
from tests.oidc.targets.https_for_tests import Answer, Client, serving

ISSUER = Issuer.parse("https://localhost/clusters/a")
PUBLISHED = documents(ISSUER, [kubernetes_key()])
DISCOVERY = "/clusters/a/.well-known/openid-configuration"
JWKS = "/clusters/a/openid/v1/jwks"


def etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()}"'


def whole(body: bytes, media_type: str) -> Answer:
    headers = {
        "cache-control": "public, max-age=120, must-revalidate",
        "etag": etag(body),
        "content-type": media_type,
        "content-length": str(len(body)),
    }
    return Answer(200, headers, body)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with serving(create_app(ISSUER, lambda: PUBLISHED, max_age=120)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param(DISCOVERY, whole(PUBLISHED.discovery, "application/json"), id="discovery"),
        pytest.param(JWKS, whole(PUBLISHED.jwks, "application/jwk-set+json"), id="jwks"),
    ],
)
def test_documents_are_served_under_the_issuers_path(client: Client, path: str, answer: Answer) -> None:
    assert client.request("GET", path) == answer
    assert client.request("HEAD", path) == Answer(answer.status, answer.headers, b"")


@pytest.mark.parametrize(
    "if_none_match",
    [
        pytest.param(etag(PUBLISHED.jwks), id="the same"),
        pytest.param(f"W/{etag(PUBLISHED.jwks)}", id="weak, as a proxy that compresses makes it"),
        pytest.param(f'"other", {etag(PUBLISHED.jwks)}', id="one of several"),
        pytest.param("*", id="any"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_the_document_gets_no_other_copy(client: Client, method: str, if_none_match: str) -> None:
    headers = {"cache-control": "public, max-age=120, must-revalidate", "etag": etag(PUBLISHED.jwks)}

    assert client.request(method, JWKS, {"If-None-Match": if_none_match}) == Answer(304, headers, b"")


@pytest.mark.parametrize("if_none_match", [etag(PUBLISHED.discovery), '"', "", etag(PUBLISHED.jwks)[:-5]])
def test_who_has_another_document_gets_this_one(client: Client, if_none_match: str) -> None:
    answer = client.request("GET", JWKS, {"If-None-Match": if_none_match})

    assert answer == whole(PUBLISHED.jwks, "application/jwk-set+json")


@pytest.mark.parametrize("path", [DISCOVERY, JWKS, "/healthz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_else_can_be_done_with_a_document(client: Client, method: str, path: str) -> None:
    headers = {"allow": "GET, HEAD", "content-length": "19", "content-type": "text/plain; charset=utf-8"}

    assert client.request(method, path) == Answer(405, headers, b"method not allowed\n")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/.well-known/openid-configuration",
        "/openid/v1/jwks",
        "/clusters/b/openid/v1/jwks",
        "/clusters/a",
        f"{JWKS}/",
        f"{DISCOVERY}/",
        "/clusters/a//openid/v1/jwks",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/metrics",
    ],
)
def test_there_is_nothing_else(client: Client, path: str) -> None:
    headers = {"content-length": "22", "content-type": "application/json"}

    assert client.request("GET", path) == Answer(404, headers, b'{"detail":"Not Found"}')


def test_it_says_that_it_lives(client: Client) -> None:
    answer = client.request("GET", "/healthz")

    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"ok\n", "no-store")


@pytest.mark.parametrize(
    ("url", "jwks_path"),
    [
        pytest.param("https://localhost", "/openid/v1/jwks", id="no path"),
        pytest.param("https://localhost/", "/openid/v1/jwks", id="no path, slash"),
        pytest.param("https://localhost/p/", "/p/openid/v1/jwks", id="path and slash"),
        pytest.param("https://localhost/a+b/(c)", "/a+b/(c)/openid/v1/jwks", id="path with signs"),
    ],
)
def test_each_form_of_issuer_has_its_paths(url: str, jwks_path: str) -> None:
    with serving(create_app(Issuer.parse(url), lambda: PUBLISHED, max_age=120)) as client:
        assert client.request("GET", jwks_path) == whole(PUBLISHED.jwks, "application/jwk-set+json")


def test_each_request_gets_the_documents_of_its_moment() -> None:
    current: list[Documents] = [PUBLISHED]

    with serving(create_app(ISSUER, lambda: current[0], max_age=120)) as client:
        before = client.request("GET", JWKS)
        current[0] = documents(ISSUER, [rfc_key(RFC_P256)])
        after = client.request("GET", JWKS, {"If-None-Match": before.headers["etag"]})

    assert after == whole(current[0].jwks, "application/jwk-set+json")

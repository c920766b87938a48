import pytest

from oidc.errors import ConfigurationError
from oidc.issuer import Issuer


@pytest.mark.parametrize(
    ("url", "discovery_path", "jwks_path", "jwks_uri"),
    [
        pytest.param(
            "https://oidc.example",
            "/.well-known/openid-configuration",
            "/openid/v1/jwks",
            "https://oidc.example/openid/v1/jwks",
            id="host",
        ),
        pytest.param(
            "https://oidc.example/",
            "/.well-known/openid-configuration",
            "/openid/v1/jwks",
            "https://oidc.example/openid/v1/jwks",
            id="host and slash",
        ),
        pytest.param(
            "https://host:8443/clusters/a",
            "/clusters/a/.well-known/openid-configuration",
            "/clusters/a/openid/v1/jwks",
            "https://host:8443/clusters/a/openid/v1/jwks",
            id="path",
        ),
        pytest.param(
            "https://host/clusters/a/",
            "/clusters/a/.well-known/openid-configuration",
            "/clusters/a/openid/v1/jwks",
            "https://host/clusters/a/openid/v1/jwks",
            id="path and slash",
        ),
    ],
)
def test_documents_lie_under_the_issuers_path(url: str, discovery_path: str, jwks_path: str, jwks_uri: str) -> None:
    issuer = Issuer.parse(url)

    assert (issuer.discovery_path, issuer.jwks_path, issuer.jwks_uri) == (discovery_path, jwks_path, jwks_uri)


@pytest.mark.parametrize(
    "url",
    [
        "https://Host.Example/Clusters/A",
        "https://host/p/",
        "https://10.241.0.1:8444/cluster-a",
        "https://[fd00::1]:8444",
        "https://h:65535",
        "https://bucket.s3.eu-central-1.amazonaws.com",
        "https://localhost/a.b~c_d",
    ],
)
def test_an_issuer_is_kept_byte_for_byte(url: str) -> None:
    assert Issuer.parse(url).url == url


PATH = "a path without empty, dotted or escaped segments"
HOST = "a host name or an address, and at most a port after it"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "a URL of printable ASCII characters"),
        ("https://h\n", "a URL of printable ASCII characters"),
        ("https://h/\x1b[31m", "a URL of printable ASCII characters"),
        ("https://h\u00f6st", "a URL of printable ASCII characters"),
        (" https://h", "a URL of printable ASCII characters"),
        ("http://h", "an https:// URL, as STS fetches nothing else"),
        ("HTTPS://h", "an https:// URL, as STS fetches nothing else"),
        ("oidc.example", "an https:// URL, as STS fetches nothing else"),
        ("https://h/p?a=b", "a URL without a query"),
        ("https://h?", "a URL without a query"),
        ("https://h/p#f", "a URL without a fragment"),
        ("https://h#", "a URL without a fragment"),
        ("https://", "a URL with a host"),
        ("https:///path", "a URL with a host"),
        ("https://:443/", "a URL with a host"),
        ("https://h:/", HOST),
        ("https://h:port", HOST),
        ("https://a..b", HOST),
        ("https://-a", HOST),
        ("https://h\\p", HOST),
        ("https://[::1", HOST),
        ("https://[::::]", HOST),
        ("https://[1]/a", HOST),
        ("https://[10.0.0.1]", HOST),
        ("https://h:65536", HOST),
        ("https://h:99999/p", HOST),
        ("https://h//p", PATH),
        ("https://h/p//", PATH),
        ("https://h/../p", PATH),
        ("https://h/./p", PATH),
        ("https://h/p/..", PATH),
        ("https://h/%2e", PATH),
        ("https://h/{p}", PATH),
    ],
)
def test_an_issuer_that_could_be_read_in_two_ways_is_refused(url: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Issuer.parse(url)

    assert str(refusal.value) == f"issuer: expected {expected}, got {url!r}"


def test_a_password_in_an_issuer_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Issuer.parse("https://user:hunter2@host?")

    assert str(refusal.value) == "issuer: expected a URL without user name and password, got one with @"

"""The issuer URL: who signed a token, and where its two documents lie. Pure.

STS compares ``iss`` with the provider's URL as a string: scheme, case, path and trailing slash count. So the string is
kept byte for byte, and whatever a client or server might rewrite on the way is refused here.
"""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from oidc.errors import ConfigurationError

DISCOVERY: Final = "/.well-known/openid-configuration"
"""OpenID Connect Discovery 1.0, section 4."""

JWKS: Final = "/openid/v1/jwks"
"""Where kube-apiserver has it, so that a document and its proxy look alike."""

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[1-9][0-9]{{0,4}})?"
_PATH: Final = r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,;=:-]+)*/?"
"""RFC 3986 segments, none empty, ``.`` or ``..`` and none escaped: two parties could write those differently."""

_A_HOST: Final = "a host name or an address, and at most a port after it"

_RULES: Final = (
    (re.compile(r"[!-~]+"), "a URL of printable ASCII characters"),
    (re.compile(r"https://.*"), "an https:// URL, as STS fetches nothing else"),
    (re.compile(r"[^?]*"), "a URL without a query"),
    (re.compile(r"[^#]*"), "a URL without a fragment"),
    (re.compile(r"https://[^/:].*"), "a URL with a host"),
    (re.compile(rf"https://{_HOST}(?:/.*)?"), _A_HOST),
    (re.compile(rf"https://[^/]+{_PATH}"), "a path without empty, dotted or escaped segments"),
)
"""What a URL must match in full, in the order in which a person wants to hear of it."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer URL that kube-apiserver and STS take. Made by `parse`."""

    url: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the issuer that *url* names.

        Raises:
            ConfigurationError: not https, no host, or with user, query, fragment or an ambiguous path.
        """
        # First, and without the value: it may hold a password.
        if "@" in url:
            raise ConfigurationError("issuer: expected a URL without user name and password, got one with @")
        for rule, expectation in _RULES:
            if not rule.fullmatch(url):
                raise ConfigurationError(f"issuer: expected {expectation}, got {url!r}")
        try:
            _ = urlsplit(url).port
        except ValueError as error:  # four colons are no IPv6 address, and ports end at 65535
            raise ConfigurationError(f"issuer: expected {_A_HOST}, got {url!r}") from error
        return cls(url)

    @property
    def path(self) -> str:
        """Return the path without its trailing slash: empty, or ``/clusters/a``."""
        return urlsplit(self.url).path.removesuffix("/")

    @property
    def discovery_path(self) -> str:
        """Return the path of the discovery document. A trailing slash goes first (Discovery 1.0, section 4.1)."""
        return self.path + DISCOVERY

    @property
    def jwks_path(self) -> str:
        """Return the path of the JWKS."""
        return self.path + JWKS

    @property
    def jwks_uri(self) -> str:
        """Return the URL of the JWKS."""
        return self.url.removesuffix("/") + JWKS

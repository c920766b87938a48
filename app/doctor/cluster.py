"""What was read of a cluster -> what it lacks for us. Pure.

Whether the issuer's documents are public, and AWS believes them, is for the doctor of issuers; here is what the API
server says of itself.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from app.doctor import injectors
from app.doctor.findings import Finding, broken, ok, unknown, warning
from app.doctor.record import Read, Several, Unread, dig, known, listed
from app.text import shown

VERSION: Final = "version"
ADMISSION: Final = "admission"
PLUGIN: Final = "admission plugins"
TOKENS: Final = "tokens"
ISSUER: Final = "issuer"
KEYS: Final = "signing keys"
RIGHTS: Final = "rights to install"

OLDEST: Final = (1, 30)
"""TokenReview's node name, matchConditions and ValidatingAdmissionPolicy are there from then on."""

RESOURCES: Final = ("mutatingwebhookconfigurations", "validatingadmissionpolicies")

HOOK_SCHEMA: Final = "io.k8s.api.admissionregistration.v1.MutatingWebhook"

AUDIENCE: Final = "sts.amazonaws.com"

ASKED_SECONDS: Final = 86_400
"""For so long the webhook's tokens are good by default."""

INTERNAL: Final = (".svc", ".cluster.local", ".local", ".internal", ".localhost")

_MINOR: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What was said to a request for a token; the token itself was thrown away unread.

    Attributes:
        audiences: those that it is for.
        expires: until when it is good.
        asked: when it was asked for.
    """

    audiences: tuple[str, ...]
    expires: datetime
    asked: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """All that is looked at to judge a cluster.

    Attributes:
        version: ``/version``.
        resources: what ``/apis/admissionregistration.k8s.io/v1`` lists.
        schema: the OpenAPI document of that group.
        admits_by_hooks: whether the API server counts what its plugin for mutating webhooks does.
        token: the answer to a request for a token; None where there was no ServiceAccount to ask for.
        discovery: ``/.well-known/openid-configuration``.
        keys: ``/openid/v1/jwks``.
        configurations: all MutatingWebhookConfigurations.
        daemon_sets: all DaemonSets.
        deployments: all Deployments.
        refused: what the caller must not create of what the chart has; empty where nothing is missing.
    """

    version: Read
    resources: Read
    schema: Read
    admits_by_hooks: bool | Unread
    token: Token | Unread | None
    discovery: Read
    keys: Read
    configurations: Several
    daemon_sets: Several
    deployments: Several
    refused: tuple[str, ...] | Unread = ()


def findings(found: Cluster) -> list[Finding]:
    """Return what *found* lacks for us, the foundations first."""
    return [
        _version(found.version),
        _admission(found),
        _plugin(found.admits_by_hooks),
        _tokens(found.token),
        _issuer(found.discovery),
        _keys(found.keys),
        injectors.others(found.configurations, found.daemon_sets, found.deployments),
        _rights(found.refused),
    ]


def _version(read: Read) -> Finding:
    if isinstance(read, Unread):
        return unknown(VERSION, read)
    numbers = [_MINOR.match(str(known(read).get(part, ""))) for part in ("major", "minor")]
    if None in numbers:
        return unknown(VERSION, Unread("the API server does not say it"))
    major, minor = (int(number[0]) for number in numbers if number)
    if (major, minor) < OLDEST:
        return broken(
            VERSION,
            f"Kubernetes {major}.{minor}",
            meaning="matchConditions, ValidatingAdmissionPolicy and the node's name in TokenReview are not there",
            remedy="upgrade to Kubernetes 1.30 or later",
        )
    return ok(VERSION, f"Kubernetes {major}.{minor}")


def _admission(found: Cluster) -> Finding:
    if isinstance(found.resources, Unread):
        return unknown(ADMISSION, found.resources)
    served = {resource["name"] for resource in known(found.resources).get("resources") or ()}
    missing = [name for name in RESOURCES if name not in served]
    if isinstance(found.schema, Unread):
        without_conditions = False
    else:
        fields = dig(known(found.schema), "components", "schemas", HOOK_SCHEMA, "properties")
        without_conditions = "matchConditions" not in (fields or {})
    if missing or without_conditions:
        lacks = [*missing, *(["matchConditions of webhooks"] if without_conditions else [])]
        return broken(
            ADMISSION,
            f"admissionregistration.k8s.io/v1 has no {listed(lacks)}",
            meaning="the chart cannot be installed, or nothing holds the controller to caBundle",
            remedy="upgrade, or take admissionregistration.k8s.io/v1 out of kube-apiserver's --runtime-config",
        )
    if isinstance(found.schema, Unread):
        return unknown(ADMISSION, found.schema)
    return ok(ADMISSION, f"{listed(RESOURCES)}, matchConditions")


def _plugin(admits: bool | Unread) -> Finding:  # noqa: FBT001 - it is what was read
    if isinstance(admits, Unread):
        return unknown(PLUGIN, admits)
    if not admits:
        return broken(
            PLUGIN,
            "MutatingAdmissionWebhook has counted nothing",
            meaning="this API server asks no webhooks",
            remedy="take MutatingAdmissionWebhook out of kube-apiserver's --disable-admission-plugins",
        )
    return ok(PLUGIN, "MutatingAdmissionWebhook")


def _tokens(token: Token | Unread | None) -> Finding:
    if token is None:
        return unknown(TOKENS, Unread("there is no ServiceAccount default/default to ask a token for"))
    if isinstance(token, Unread):
        return unknown(TOKENS, token)
    if AUDIENCE not in token.audiences:
        return broken(
            TOKENS,
            f"a token for {AUDIENCE} is for {shown(listed(token.audiences))}",
            meaning="STS does not believe it",
            remedy="see which admission plugin or webhook changes TokenRequests",
        )
    lasts = round((token.expires - token.asked).total_seconds())
    if lasts < ASKED_SECONDS - 60:
        return warning(
            TOKENS,
            f"a token for {AUDIENCE} is good for {lasts} s, not for the {ASKED_SECONDS} that were asked for",
            meaning="--service-account-max-token-expiration shortens it; the kubelet renews it in time all the same",
            remedy=f"set --token-expiration {lasts // 60 * 60}, so that pods say what they get",
        )
    return ok(TOKENS, f"for {AUDIENCE}, good for {ASKED_SECONDS} s")


def _issuer(read: Read) -> Finding:
    if isinstance(read, Unread):
        return unknown(ISSUER, read)
    issuer = known(read).get("issuer")
    if not isinstance(issuer, str) or not issuer:
        return broken(
            ISSUER,
            "the API server names none",
            meaning="its tokens are not OpenID Connect's",
            remedy="set kube-apiserver's --service-account-issuer to an https URL",
        )
    problem = _not_public(issuer)
    if problem:
        return broken(
            ISSUER,
            f"{shown(issuer)} {problem}",
            meaning="STS fetches the signing keys from the issuer's URL, and trusts no tokens of this one",
            remedy="irsa issuer render --issuer https://HOST/PATH … makes the documents to publish; then set"
            " kube-apiserver's --service-account-issuer to that URL",
        )
    return ok(ISSUER, f"{shown(issuer)}; whether AWS can fetch its documents is not looked at here")


def _not_public(issuer: str) -> str:
    """Return why STS could not fetch from *issuer*, as far as its name tells; empty where it could."""
    try:
        url = urlsplit(issuer)
        host = url.hostname or ""
    except ValueError:
        return "is no URL"
    if url.scheme != "https":
        return "is no https URL"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_inside = "." not in host or host.endswith(INTERNAL) or ".svc." in host
        return "is a name that only this cluster knows" if is_inside else ""
    return "" if address.is_global else "is an address that nobody outside reaches"


def _keys(read: Read) -> Finding:
    if isinstance(read, Unread):
        return unknown(KEYS, read)
    keys = [key for key in known(read).get("keys") or () if isinstance(key, Mapping)]
    if not keys:
        return broken(
            KEYS,
            "/openid/v1/jwks has none",
            meaning="nobody can verify the cluster's tokens",
            remedy="set kube-apiserver's --service-account-key-file",
        )
    return ok(KEYS, f"{len(keys)}: {shown(listed([str(key.get('alg') or key.get('kty')) for key in keys]))}")


def _rights(refused: tuple[str, ...] | Unread) -> Finding:
    if isinstance(refused, Unread):
        return unknown(RIGHTS, refused)
    if refused:
        return warning(
            RIGHTS,
            f"you must not create {listed(refused)}",
            meaning="helm install would fail half-way",
            remedy="have somebody install it who may",
        )
    return ok(RIGHTS, "you may create all that the chart has")

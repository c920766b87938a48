"""What a cluster lacks, one thing at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.doctor.cluster import RESOURCES, Cluster, Token, findings
from app.doctor.findings import State, verdict
from app.doctor.record import Unread

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FORBIDDEN = Unread("expected the right", is_forbidden=True)
HOOK = "io.k8s.api.admissionregistration.v1.MutatingWebhook"


def schema(*fields: str) -> dict[str, Any]:
    return {"components": {"schemas": {HOOK: {"properties": {field: {} for field in fields}}}}}


def resources(*names: str) -> dict[str, Any]:
    return {"resources": [{"name": name} for name in names]}


def workload(name: str, *images: str) -> dict[str, Any]:
    containers = [{"name": "a", "image": image} for image in images]
    return {
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


GOOD = Cluster(
    version={"major": "1", "minor": "36+"},
    resources=resources("mutatingwebhookconfigurations", "validatingadmissionpolicies"),
    schema=schema("name", "matchConditions"),
    admits_by_hooks=True,
    token=Token(audiences=("sts.amazonaws.com",), expires=NOW + timedelta(days=1), asked=NOW),
    discovery={"issuer": "https://oidc.example.com/a"},
    keys={"keys": [{"kty": "RSA", "alg": "RS256"}, {"kty": "EC"}]},
    configurations=({"metadata": {"name": "irsa-webhook"}},),
    daemon_sets=(workload("kube-proxy", "example/kube-proxy:1"),),
    deployments=(workload("irsa-webhook", "irsa:1"), workload("kiamat", "example/kiamat:1")),
)


def test_cluster_that_lacks_nothing_is_said_to_be_good() -> None:
    assert [(one.link, one.state, one.seen) for one in findings(GOOD)] == [
        ("version", "ok", "Kubernetes 1.36"),
        ("admission", "ok", "mutatingwebhookconfigurations, validatingadmissionpolicies, matchConditions"),
        ("admission plugins", "ok", "MutatingAdmissionWebhook"),
        ("tokens", "ok", "for sts.amazonaws.com, good for 86400 s"),
        ("issuer", "ok", '"https://oidc.example.com/a"; whether AWS can fetch its documents is not looked at here'),
        ("signing keys", "ok", '2: "RS256, EC"'),
        ("other injectors", "ok", "none"),
        ("rights to install", "ok", "you may create all that the chart has"),
    ]


BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "old": ({"version": {"major": "1", "minor": "29"}}, "version", "Kubernetes 1.29"),
    "no_policies": (
        {"resources": resources("mutatingwebhookconfigurations")},
        "admission",
        "admissionregistration.k8s.io/v1 has no validatingadmissionpolicies",
    ),
    "no_group": (
        {"resources": None, "schema": None},
        "admission",
        f"admissionregistration.k8s.io/v1 has no {', '.join(RESOURCES)}, matchConditions of webhooks",
    ),
    "no_conditions": (
        {"schema": schema("name")},
        "admission",
        "admissionregistration.k8s.io/v1 has no matchConditions of webhooks",
    ),
    "plugin_off": (
        {"admits_by_hooks": False},
        "admission plugins",
        "MutatingAdmissionWebhook has counted nothing",
    ),
    "other_audience": (
        {"token": replace(GOOD.token, audiences=("api",)) if isinstance(GOOD.token, Token) else None},
        "tokens",
        'a token for sts.amazonaws.com is for "api"',
    ),
    "no_issuer": ({"discovery": {}}, "issuer", "the API server names none"),
    "no_discovery": ({"discovery": None}, "issuer", "the API server names none"),
    "no_keys": ({"keys": {"keys": []}}, "signing keys", "/openid/v1/jwks has none"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_missing_is_named(name: str) -> None:
    fields, link, seen = BROKEN[name]

    found = findings(replace(GOOD, **fields))

    assert [(one.link, one.seen) for one in found if one.state is not State.OK] == [(link, seen)]
    first = verdict(found)
    assert first is not None
    assert first.remedy


@pytest.mark.parametrize(
    ("issuer", "problem"),
    [
        ("https://kubernetes.default.svc.cluster.local", "is a name that only this cluster knows"),
        ("https://kubernetes.default.svc", "is a name that only this cluster knows"),
        ("https://kubernetes.default.svc.example.com", "is a name that only this cluster knows"),
        ("https://localhost:6443", "is a name that only this cluster knows"),
        ("https://10.0.0.1", "is an address that nobody outside reaches"),
        ("https://[fd00::1]:6443", "is an address that nobody outside reaches"),
        ("http://oidc.example.com", "is no https URL"),
        ("kubernetes/serviceaccount", "is no https URL"),
        ("https://[", "is no URL"),
        ("https://8.8.8.8", ""),
        ("https://s3.eu-central-1.amazonaws.com/bucket", ""),
    ],
)
def test_issuer_that_sts_cannot_fetch_from_is_told_apart(issuer: str, problem: str) -> None:
    first = verdict(findings(replace(GOOD, discovery={"issuer": issuer})))

    assert (first.seen if first else "") == (f'"{issuer}" {problem}' if problem else "")
    assert first is None or first.remedy.startswith("irsa issuer render --issuer ")


def test_tokens_that_the_api_server_shortens_are_known_of() -> None:
    short = Token(audiences=("sts.amazonaws.com",), expires=NOW + timedelta(hours=1), asked=NOW)

    (found,) = (one for one in findings(replace(GOOD, token=short)) if one.state is not State.OK)

    assert (found.link, found.state) == ("tokens", State.WARNING)
    assert found.seen == "a token for sts.amazonaws.com is good for 3600 s, not for the 86400 that were asked for"
    assert found.remedy == "set --token-expiration 3600, so that pods say what they get"


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        (
            {"configurations": ({"metadata": {"name": "pod-identity-webhook"}},)},
            "MutatingWebhookConfiguration pod-identity-webhook (AWS's own webhook)",
        ),
        (
            {"daemon_sets": (workload("iam", "example:5000/jtblin/kube2iam@sha256:1"),)},
            "DaemonSet kube-system/iam (kube2iam)",
        ),
        ({"daemon_sets": (workload("kiam-agent", "x"),)}, "DaemonSet kube-system/kiam-agent (kiam)"),
        ({"deployments": (workload("x", "example/kiam:v4"),)}, "Deployment kube-system/x (kiam)"),
        (
            {"deployments": (workload("x", "example/amazon-eks-pod-identity-webhook:1"),)},
            "Deployment kube-system/x (AWS's own webhook)",
        ),
    ],
)
def test_others_who_give_roles_are_named(fields: Any, seen: str) -> None:
    (found,) = (one for one in findings(replace(GOOD, **fields)) if one.state is not State.OK)

    assert (found.link, found.state, found.seen) == ("other injectors", State.WARNING, f'"{seen}"')


def test_rights_that_are_missing_are_named() -> None:
    (found,) = (one for one in findings(replace(GOOD, refused=("clusterroles", "secrets"))) if one.state != "ok")

    assert (found.state, found.seen) == (State.WARNING, "you must not create clusterroles, secrets")


def test_without_rights_everything_is_unknown() -> None:
    blind = Cluster(
        version=FORBIDDEN, resources=FORBIDDEN, schema=FORBIDDEN, admits_by_hooks=FORBIDDEN, token=FORBIDDEN,
        discovery=FORBIDDEN, keys=FORBIDDEN, configurations=FORBIDDEN, daemon_sets=FORBIDDEN, deployments=FORBIDDEN,
        refused=FORBIDDEN,
    )  # fmt: skip

    assert {one.state for one in findings(blind)} == {State.UNKNOWN}
    assert [one.state for one in findings(replace(GOOD, schema=FORBIDDEN, token=None, version={}))][:4] == [
        State.UNKNOWN,
        State.UNKNOWN,
        State.OK,
        State.UNKNOWN,
    ]

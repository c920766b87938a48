"""Each link broken alone: the verdict names it, and no other."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.doctor.counts import Counts
from app.doctor.findings import Finding, State, as_object, verdict
from app.doctor.install import findings
from app.doctor.record import Installation, Secret, Target, Unread
from app.x509 import issue, make_authority
from tests.app.doctor.installations import (
    AUTHORITY,
    LABELS,
    NOW,
    OTHER_AUTHORITY,
    WARNING,
    answer,
    bundled,
    certificate,
    changed,
    chart,
    healthy,
    lease,
    probe,
    refused,
    slices,
    unanswered,
    waiting,
    webhook_pod,
)
from tests.builders import ROLE_ARN
from tests.manifests.chart import VERSION

FORBIDDEN = Unread("expected the right to get secrets", is_forbidden=True)
HOOKS = "inject.webhook.irsa, require.webhook.irsa, ephemeral.webhook.irsa, warn.webhook.irsa"
CALL = 'Internal error occurred: failed calling webhook "require.webhook.irsa": failed to call webhook: '


def serving(pem: bytes, *filled: str) -> Secret:
    return Secret(certificates={"tls.crt": pem}, filled=frozenset(filled or ("tls.crt", "tls.key")))


def hooks(change: Any) -> Any:
    """The configuration after *change* of its list of hooks."""
    return changed(bundled(AUTHORITY.certificate_pem()), lambda document: change(document["webhooks"]))


def policy(*ingress: Any, **spec: Any) -> Any:
    selector = {"matchLabels": {"app.kubernetes.io/component": "webhook"}}
    return (
        {
            "metadata": {"name": "deny"},
            "spec": {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": list(ingress)} | spec,
        },
    )


def pods_of(**status: Any) -> Any:
    return (webhook_pod(ready=False, **status),)


def without(name: str) -> Any:
    return hooks(lambda found: found.remove(next(hook for hook in found if hook["name"] == name)))


def test_installation_without_a_fault_is_said_to_be_good() -> None:
    found = findings(healthy())

    assert [(finding.link, finding.state, finding.seen) for finding in found] == [
        ("webhook configuration", "ok", f"hooks {HOOKS}"),
        ("selectors", "ok", 'inject.webhook.irsa is for namespace "shop"'),
        ("caBundle", "ok", "in 4 hooks, valid until 2027-11-25 12:00 UTC"),
        ("serving certificate", "ok", "valid until 2027-02-23 12:00 UTC, signed by the CA of caBundle"),
        ("service", "ok", "irsa-webhook.irsa-system.svc:443"),
        ("pods", "ok", "2 ready"),
        ("endpoints", "ok", "2 ready"),
        ("network policies", "ok", "none is for the webhook's pods"),
        ("api server to webhook", "ok", "the webhook has answered the API server about a dry-run pod"),
        ("dry-run pod", "ok", f'the webhook injected "{ROLE_ARN}" for ServiceAccount "shop/app"'),
        ("controller", "ok", '"irsa-controller-1" holds the Lease'),
        ("certificate authority", "ok", "valid until 2027-11-25 12:00 UTC"),
        ("versions", "ok", f'"irsa:{VERSION}" in 2 Deployments'),
    ]
    assert verdict(found) is None


EXPIRED = make_authority("irsa", now=NOW - timedelta(days=9), lifetime=timedelta(days=8))

BROKEN = {
    "hook_missing": (
        healthy(configuration=without("require.webhook.irsa")),
        "webhook configuration",
        "hooks ephemeral.webhook.irsa, inject.webhook.irsa, warn.webhook.irsa; not there: require.webhook.irsa",
    ),
    "hook_without_the_rule": (
        healthy(configuration=hooks(lambda found: found[0]["rules"][0].update(operations=["UPDATE"]))),
        "webhook configuration",
        "inject.webhook.irsa has no rule for the creation of pods",
    ),
    "hook_for_labelled_pods_only": (
        healthy(
            configuration=hooks(
                lambda found: found[0].update(objectSelector={"matchExpressions": [{"key": "a", "operator": "Exists"}]})
            )
        ),
        "webhook configuration",
        "inject.webhook.irsa is for pods with a Exists only",
    ),
    "namespace_excluded": (
        healthy(
            probe=probe(
                target=Target(
                    namespace="kube-system",
                    service_account="app",
                    labels={"kubernetes.io/metadata.name": "kube-system"},
                )
            )
        ),
        "selectors",
        'namespace "kube-system" does not meet "kubernetes.io/metadata.name NotIn [kube-system, irsa-system]"',
    ),
    "match_condition_excludes": (
        healthy(counts=Counts(excluded=1)),
        "selectors",
        "a matchCondition of inject.webhook.irsa passed the dry-run pod over",
    ),
    "match_condition_fails": (
        healthy(counts=Counts(condition_errors=1)),
        "selectors",
        "a matchCondition of inject.webhook.irsa could not be evaluated",
    ),
    "ca_bundle_missing": (
        healthy(configuration=hooks(lambda found: found[1]["clientConfig"].pop("caBundle"))),
        "caBundle",
        "require.webhook.irsa: it is empty",
    ),
    "ca_bundle_is_no_pem": (
        healthy(configuration=bundled(b"no certificate")),
        "caBundle",
        "inject.webhook.irsa: it holds no PEM certificate",
    ),
    "ca_bundle_expired": (
        healthy(configuration=bundled(EXPIRED.certificate_pem())),
        "caBundle",
        "inject.webhook.irsa: it expired at 2026-11-24 12:00 UTC",
    ),
    "ca_bundle_of_the_future": (
        healthy(configuration=bundled(AUTHORITY.certificate_pem()), now=NOW - timedelta(days=1), lease=lease()),
        "caBundle",
        "inject.webhook.irsa: it is not valid yet",
    ),
    "secret_missing": (
        healthy(serving=None),
        "serving certificate",
        "no Secret irsa-webhook-tls in namespace irsa-system",
    ),
    "secret_of_another_name_missing": (
        healthy(serving=None, serving_name="given"),
        "serving certificate",
        "no Secret given in namespace irsa-system",
    ),
    "secret_empty": (
        healthy(serving=Secret()),
        "serving certificate",
        "Secret irsa-webhook-tls has no tls.crt, tls.key",
    ),
    "secret_without_a_key": (
        healthy(serving=serving(certificate(), "tls.crt")),
        "serving certificate",
        "Secret irsa-webhook-tls has no tls.key",
    ),
    "secret_with_something_else": (
        healthy(serving=serving(b"something else")),
        "serving certificate",
        "tls.crt of Secret irsa-webhook-tls is no PEM certificate",
    ),
    "certificate_expired": (
        healthy(serving=serving(certificate(made=NOW - timedelta(days=9), days=8))),
        "serving certificate",
        "it expired at 2026-11-24 12:00 UTC",
    ),
    "certificate_of_the_future": (
        healthy(serving=serving(certificate(made=NOW + timedelta(days=1)))),
        "serving certificate",
        "it is valid from 2026-11-26 11:55 UTC on",
    ),
    "certificate_of_another_name": (
        healthy(serving=serving(certificate("irsa-webhook.other.svc"))),
        "serving certificate",
        'it is for "irsa-webhook.other.svc", not for irsa-webhook.irsa-system.svc',
    ),
    "certificate_of_another_authority": (
        healthy(configuration=bundled(OTHER_AUTHORITY.certificate_pem())),
        "serving certificate",
        "caBundle of inject.webhook.irsa is of another CA than the one that signed it",
    ),
    "service_missing": (healthy(service=None), "service", "no Service irsa-webhook in namespace irsa-system"),
    "service_without_the_port": (
        healthy(
            service=changed(chart("Service", "irsa-webhook"), lambda one: one["spec"]["ports"][0].update(port=444))
        ),
        "service",
        "it has no port 443",
    ),
    "service_to_another_port": (
        healthy(
            service=changed(
                chart("Service", "irsa-webhook"), lambda one: one["spec"]["ports"][0].update(targetPort=9443)
            )
        ),
        "service",
        'its port 443 leads to "9443", not to https of the pods',
    ),
    "service_selects_others": (
        healthy(service=changed(chart("Service", "irsa-webhook"), lambda one: one["spec"].update(selector={"a": "b"}))),
        "service",
        'its selector "a=b" is not that of the pods of Deployment irsa-webhook',
    ),
    "hook_calls_another_service": (
        healthy(
            configuration=hooks(lambda found: found[0]["clientConfig"]["service"].update(namespace="old", port=8443))
        ),
        "service",
        'inject.webhook.irsa calls "old/irsa-webhook:8443", not irsa-system/irsa-webhook:443',
    ),
    "deployment_missing": (
        healthy(webhook=None),
        "pods",
        "no Deployment irsa-webhook in namespace irsa-system",
    ),
    "no_replicas": (
        healthy(
            pods=(), webhook=changed(chart("Deployment", "irsa-webhook"), lambda one: one["spec"].update(replicas=0))
        ),
        "pods",
        "the Deployment has 0 replicas",
    ),
    "no_pods": (healthy(pods=()), "pods", "no pod of 2"),
    "image_cannot_be_pulled": (
        healthy(pods=pods_of(**waiting("ImagePullBackOff", message="not \x1b found"))),
        "pods",
        '0 of 1 ready; irsa-webhook-1: ImagePullBackOff "not \\x1b found"',
    ),
    "container_crashes": (
        healthy(pods=pods_of(**waiting("CrashLoopBackOff", last_exit=2))),
        "pods",
        "0 of 1 ready; irsa-webhook-1: CrashLoopBackOff, exit code 2",
    ),
    "container_ended": (
        healthy(pods=pods_of(containerStatuses=[{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}])),
        "pods",
        "0 of 1 ready; irsa-webhook-1: OOMKilled, exit code 137",
    ),
    "container_waits_for_its_secret": (
        healthy(pods=pods_of(**waiting("ContainerCreating"))),
        "pods",
        "0 of 1 ready; irsa-webhook-1: its container is not made yet: a Secret without its keys holds it up",
    ),
    "pod_has_no_node": (
        healthy(
            pods=pods_of(
                phase="Pending",
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}
                ],
            )
        ),
        "pods",
        '0 of 1 ready; irsa-webhook-1: Unschedulable "0/2 nodes"',
    ),
    "pod_not_ready": (
        healthy(pods=pods_of(), readiness={"irsa-webhook-1": "service_accounts: not listed yet"}),
        "pods",
        '0 of 1 ready; irsa-webhook-1: not ready, /readyz says "service_accounts: not listed yet"',
    ),
    "no_endpoint_is_ready": (healthy(slices=slices(False, False)), "endpoints", "no address of 2 is ready"),
    "no_endpoints": (healthy(slices=()), "endpoints", "the EndpointSlices of Service irsa-webhook are empty"),
    "policy_lets_only_pods_in": (
        unanswered(policies=policy({"from": [{"podSelector": {}}]}), probe=probe(warnings=())),
        "network policies",
        "deny lets nobody but certain pods to port 8443, https",
    ),
    "policy_lets_nobody_in": (
        unanswered(policies=policy(), probe=probe(warnings=())),
        "network policies",
        "deny lets nobody but certain pods to port 8443, https",
    ),
    "policy_lets_another_port_in": (
        unanswered(policies=policy({"ports": [{"port": 8080}]}), probe=probe(warnings=())),
        "network policies",
        "deny lets nobody but certain pods to port 8443, https",
    ),
    "somebody_else_injected": (
        unanswered(counts=Counts(answered=1), probe=probe(warnings=())),
        "dry-run pod",
        f'for ServiceAccount "shop/app" somebody else injected "{ROLE_ARN}", and our webhook did not answer',
    ),
    "nothing_injected": (
        healthy(probe=probe(role_arn=None, warnings=(WARNING, "set it"))),
        "dry-run pod",
        f'the webhook injected nothing for ServiceAccount "shop/app", expected "{ROLE_ARN}"; it says "set it"',
    ),
    "another_role_injected": (
        healthy(probe=probe(role_arn="arn:aws:iam::1:role/old")),
        "dry-run pod",
        f'the webhook injected "arn:aws:iam::1:role/old" for ServiceAccount "shop/app", expected "{ROLE_ARN}"',
    ),
    "controller_without_replicas": (
        healthy(controller=changed(chart("Deployment", "irsa-controller"), lambda one: one["spec"].update(replicas=0))),
        "controller",
        "the Deployment has 0 replicas",
    ),
    "lease_missing": (healthy(lease=None), "controller", "no Lease irsa-controller"),
    "lease_held_by_nobody": (
        healthy(lease=lease(holderIdentity="")),
        "controller",
        "nobody holds Lease irsa-controller",
    ),
    "lease_without_a_time": (
        healthy(lease=lease(renewTime=None)),
        "controller",
        "Lease irsa-controller has no time of renewal",
    ),
    "lease_is_old": (
        healthy(lease=lease(renewTime="2026-11-25T11:50:00.0Z")),
        "controller",
        "Lease irsa-controller was not renewed for 600 s",
    ),
    "authority_not_made_yet": (
        healthy(authority=Secret()),
        "certificate authority",
        "Secret irsa-webhook-ca has no ca.crt, ca.key",
    ),
    "authority_expired": (
        healthy(
            authority=Secret(certificates={"ca.crt": EXPIRED.certificate_pem()}, filled=frozenset({"ca.crt", "ca.key"}))
        ),
        "certificate authority",
        "ca.crt of Secret irsa-webhook-ca has expired",
    ),
    "authority_is_something_else": (
        healthy(authority=Secret(certificates={"ca.crt": b"x"}, filled=frozenset({"ca.crt", "ca.key"}))),
        "certificate authority",
        "ca.crt of Secret irsa-webhook-ca is no PEM certificate",
    ),
}

IN_CONSEQUENCE = {"dry-run pod", "serving certificate"}
"""Without an answer there is no injection; and what a certificate is judged by may be what is broken."""


@pytest.mark.parametrize("name", BROKEN)
def test_verdict_is_the_link_that_is_broken(name: str) -> None:
    installation, link, seen = BROKEN[name]

    found = findings(installation)

    first = verdict(found)
    assert first is not None
    assert (first.link, first.seen) == (link, seen)
    assert first.meaning
    assert first.remedy
    assert {one.link for one in found if one.state is State.BROKEN} <= {link} | IN_CONSEQUENCE


CALLS = [
    (
        'Post "https://x": dial tcp 10.0.0.1:8443: connect: connection refused',
        "nobody listens at that address and port",
    ),
    ('Post "https://x": context deadline exceeded', "the control plane cannot reach pods"),
    ('Post "https://x": dial tcp 10.0.0.1:8443: i/o timeout', "the control plane cannot reach pods"),
    ('Post "https://x": dial tcp: connect: no route to host', "the control plane cannot reach pods"),
    ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "caBundle is not of the CA"),
    ("x509: certificate has expired or is not yet valid", "the serving certificate has expired"),
    ("x509: certificate is valid for a, not b", "the API server does not believe the serving certificate"),
    ('no endpoints available for service "irsa-webhook"', "no pod of the webhook is ready"),
    ("the server could not find the requested resource", "somebody else answers at that address"),
    ("dial tcp: lookup x: no such host", "the API server does not know that name"),
    ("something new", "the call fails"),
]


@pytest.mark.parametrize(("words", "meaning"), CALLS)
def test_words_of_the_api_server_are_explained(words: str, meaning: str) -> None:
    strict = refused(CALL + words)

    first = verdict(findings(unanswered(strict=strict)))

    assert first is not None
    assert first.link == "api server to webhook"
    assert words.replace('"', '\\"') in first.seen
    assert first.meaning.startswith(meaning)
    assert "{" not in first.remedy


def test_failure_that_was_ignored_is_seen_in_the_counters() -> None:
    first = verdict(findings(unanswered(counts=Counts(failed_open=1))))

    assert first is not None
    assert (first.link, first.seen) == (
        "api server to webhook",
        '"the API server counted a call that failed, and admitted the pod all the same"',
    )


def test_failure_is_seen_where_the_api_server_calls_the_service_for_us() -> None:
    first = verdict(findings(unanswered(proxied="error trying to reach service: dial tcp 10.0.0.1:8443: i/o timeout")))

    assert first is not None
    assert (first.link, first.remedy.endswith("--set hostNetwork=true")) == ("api server to webhook", True)


def test_webhook_that_lets_calls_fail_in_silence_is_broken_all_the_same() -> None:
    found = {finding.link: finding for finding in findings(unanswered(counts=FORBIDDEN))}

    assert found["api server to webhook"] == Finding(
        link="api server to webhook",
        state=State.UNKNOWN,
        seen="the hooks ignore failures, and no other witness was there: expected the right to get secrets",
        remedy="run this with a user who has that right",
    )
    assert found["dry-run pod"].state is State.BROKEN


def test_answer_that_was_counted_without_our_warning_is_of_other_settings() -> None:
    found = findings(unanswered(counts=Counts(answered=1)))

    first = verdict(found)
    assert first is not None
    assert (first.link, first.meaning) == (
        "dry-run pod",
        "it decides by other settings or an older state than this command",
    )


def test_hooks_that_may_not_be_read_are_proven_all_the_same() -> None:
    found = {one.link: one.state.value for one in findings(healthy(configuration=FORBIDDEN))}

    assert (found["webhook configuration"], found["api server to webhook"], found["dry-run pod"]) == (
        "unknown",
        "ok",
        "ok",
    )


def test_url_takes_the_place_of_service_pods_and_secret() -> None:
    def to_url(found: Any) -> None:
        for hook in found:
            hook["clientConfig"] = {"url": "https://10.0.0.1:8443/mutate"}

    installation = healthy(
        configuration=hooks(to_url), service=None, slices=(), pods=(), webhook=None, controller=None, serving=None
    )

    assert {finding.link: finding.state.value for finding in findings(installation)} == {
        "webhook configuration": "ok",
        "selectors": "ok",
        "caBundle": "ok",
        "api server to webhook": "ok",
        "dry-run pod": "ok",
        "controller": "ok",
        "certificate authority": "ok",
        "versions": "unknown",
    }


NOTHING = Installation(
    namespace="irsa-system", now=NOW, configuration=None, service=None, slices=(), pods=(), webhook=None,
    controller=None, policies=(), probe=Unread("none"), serving=None,
)  # fmt: skip


@pytest.mark.parametrize("configuration", [None, bundled(AUTHORITY.certificate_pem())], ids=["nowhere", "not-here"])
def test_what_is_not_installed_is_not_said_to_be_good(configuration: Any) -> None:
    found = {one.link: one for one in findings(replace(NOTHING, configuration=configuration))}

    for link in ("network policies", "controller", "certificate authority", "versions"):
        assert found[link] == Finding(
            link=link,
            state=State.UNKNOWN,
            seen="nothing is installed in namespace irsa-system",
            remedy="helm upgrade --install irsa CHART -n irsa-system",
        )


def test_nothing_installed_is_said_first() -> None:
    first = verdict(findings(NOTHING))

    assert first is not None
    assert as_object(first) == {
        "link": "webhook configuration",
        "state": "broken",
        "seen": "no MutatingWebhookConfiguration irsa-webhook",
        "meaning": "the API server asks nobody about pods: none gets a role",
        "remedy": "helm upgrade --install irsa CHART -n irsa-system",
    }


def test_without_rights_everything_is_unknown_and_nothing_broken() -> None:
    blind = Installation(
        namespace="irsa-system", now=NOW, configuration=FORBIDDEN, service=FORBIDDEN, slices=FORBIDDEN, pods=FORBIDDEN,
        webhook=FORBIDDEN, controller=FORBIDDEN, policies=FORBIDDEN, probe=FORBIDDEN, serving=FORBIDDEN,
        authority=FORBIDDEN, lease=FORBIDDEN,
    )  # fmt: skip

    assert {finding.state for finding in findings(blind)} == {State.UNKNOWN}
    seeing = findings(healthy(serving=FORBIDDEN, lease=FORBIDDEN, authority=FORBIDDEN))
    assert [one.link for one in seeing if one.state is State.UNKNOWN] == [
        "serving certificate",
        "controller",
        "certificate authority",
    ]


def test_pod_that_somebody_else_refuses_proves_nothing() -> None:
    denied = refused('admission webhook "policy.example" denied the request: no image of yours')
    rights = refused('pods is forbidden: User "x" cannot create resource "pods"', is_forbidden=True)

    for refusal, remedy in ((denied, "try again"), (rights, "run this with a user who has that right")):
        (found,) = (one for one in findings(unanswered(probe=refusal)) if one.link == "dry-run pod")
        assert (found.state, found.remedy) == (State.UNKNOWN, remedy)
        assert found.seen.startswith('refused for ServiceAccount "shop/app": ')


def test_strict_hook_that_refuses_has_been_reached() -> None:
    strict = refused('admission webhook "require.webhook.irsa" denied the request: annotate it')

    (found,) = (one for one in findings(unanswered(probe=strict)) if one.link == "api server to webhook")

    assert found.state is State.OK


def test_service_account_without_a_role_shows_the_way_and_no_injection() -> None:
    target = Target(namespace="shop", service_account="app", labels=LABELS)

    (found,) = (one for one in findings(healthy(probe=probe(target=target, role_arn=None))) if one.state != "ok")

    assert (found.link, found.state) == ("dry-run pod", State.WARNING)
    assert found.remedy.startswith("kubectl annotate serviceaccount app -n shop eks.amazonaws.com/role-arn=ROLE")


def test_container_credentials_have_no_role_in_the_pod() -> None:
    endpoint = answer(role_arn=None)
    volume = {
        "name": "eks-pod-identity-token",
        "projected": {"sources": [{"serviceAccountToken": {"audience": "pods.eks.amazonaws.com", "path": "t"}}]},
    }
    endpoint["spec"]["volumes"] = [volume]
    endpoint["spec"]["containers"][0] |= {
        "env": [
            {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://169.254.170.23/v1/credentials"},
            {"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "value": "/var/t"},
        ],
        "volumeMounts": [{"name": "eks-pod-identity-token", "mountPath": "/var"}],
    }
    target = Target(namespace="shop", service_account="app", labels=LABELS, role_arn="")
    asked = probe(target=target)
    found = healthy(probe=type(asked)(target=target, expected=WARNING, answer=endpoint, warnings=(WARNING,)))

    (seen,) = (one.seen for one in findings(found) if one.link == "dry-run pod")
    assert seen == 'the webhook injected "container credentials" for ServiceAccount "shop/app"'


WARNINGS = {
    "warnings_off": (
        healthy(configuration=without("warn.webhook.irsa")),
        "webhook configuration",
    ),
    "foreign_condition": (
        healthy(
            configuration=hooks(lambda found: found[0]["matchConditions"].append({"name": "x", "expression": "1"}))
        ),
        "selectors",
    ),
    "one_pod_not_ready": (
        healthy(pods=(webhook_pod("a"), webhook_pod("b", ready=False))),
        "pods",
    ),
    "controller_of_another_version": (
        healthy(
            controller=changed(
                chart("Deployment", "irsa-controller"),
                lambda one: one["spec"]["template"]["spec"]["containers"][0].update(image="irsa:0.0.9"),
            )
        ),
        "versions",
    ),
    "image_of_another_version_than_the_chart": (
        healthy(
            webhook=changed(
                chart("Deployment", "irsa-webhook"),
                lambda one: one["metadata"]["labels"].update({"app.kubernetes.io/version": "0.2.0"}),
            )
        ),
        "versions",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_works_and_should_be_known_is_no_verdict(name: str) -> None:
    installation, link = WARNINGS[name]

    found = findings(installation)

    assert [finding.link for finding in found if finding.state is not State.OK] == [link]
    assert verdict(found) is None


@pytest.mark.parametrize(
    "policies",
    [
        pytest.param(policy({"ports": [{"port": "https"}]}), id="named port"),
        pytest.param(policy({"ports": [{"port": 8000, "endPort": 9000}]}), id="range of ports"),
        pytest.param(policy({}), id="all"),
        pytest.param(policy({"ports": [{"protocol": "TCP"}]}), id="all ports"),
        pytest.param(policy({"from": [{"podSelector": {}}]}, podSelector={"matchLabels": {"a": "b"}}), id="of others"),
        pytest.param(policy(policyTypes=["Egress"]), id="of what goes out"),
    ],
)
def test_policy_that_lets_the_api_server_in_is_none_to_tell_of(policies: Any) -> None:
    (found,) = (one for one in findings(unanswered(policies=policies)) if one.link == "network policies")

    assert found.state is State.OK


def test_policy_with_addresses_may_let_the_api_server_in() -> None:
    policies = policy({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]})

    for installation, state in ((unanswered(policies=policies), "unknown"), (healthy(policies=policies), "ok")):
        (found,) = (one for one in findings(installation) if one.link == "network policies")
        assert found.state == state


def test_certificate_with_a_chain_is_believed() -> None:
    between = issue(AUTHORITY, ["between"], common_name="between", now=NOW, lifetime=timedelta(days=99))
    leaf = certificate(authority=between)

    for pem, state in ((leaf + between.certificate_pem(), "ok"), (leaf, "broken")):
        (found,) = (one for one in findings(healthy(serving=serving(pem))) if one.link == "serving certificate")
        assert found.state == state

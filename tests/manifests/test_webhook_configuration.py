"""What the API server is told to ask us, as it is written. tests/e2e/test_install_hooks.py has it asked."""

import re
from typing import Any

import pytest

from tests.manifests.chart import base, named, render

HOOKS = {
    "inject.webhook.irsa": ("/mutate", "Ignore", "IfNeeded"),
    "require.webhook.irsa": ("/mutate-required", "Fail", "IfNeeded"),
    "ephemeral.webhook.irsa": ("/mutate-ephemeral", "Ignore", "IfNeeded"),
    "warn.webhook.irsa": ("/warn", "Ignore", None),
}
NEVER = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "irsa-system"]}


def hooks() -> list[Any]:
    found: list[Any] = named(base(), "MutatingWebhookConfiguration", "irsa-webhook")["webhooks"]
    return found


def test_there_is_a_hook_for_each_question() -> None:
    assert {
        hook["name"]: (
            hook["clientConfig"]["service"]["path"],
            hook["failurePolicy"],
            hook.get("reinvocationPolicy"),
        )
        for hook in hooks()
    } == HOOKS


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["name"])
def test_every_hook_is_harmless(hook: Any) -> None:
    assert hook["sideEffects"] == "None"
    assert hook["timeoutSeconds"] == 5
    assert hook["matchPolicy"] == "Equivalent"
    assert hook["admissionReviewVersions"] == ["v1"]
    assert NEVER in hook["namespaceSelector"]["matchExpressions"]
    assert "objectSelector" not in hook
    assert "caBundle" not in hook["clientConfig"]


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["name"])
def test_conditions_look_at_what_a_review_has(hook: Any) -> None:
    for condition in hook["matchConditions"]:
        words = re.sub(r"'[^']*'", "", condition["expression"])
        roots = set(re.findall(r"(?<![\w.])([A-Za-z]\w*)\.", words)) - {"o"}
        assert roots <= {"object", "oldObject", "request"}


def test_pods_of_a_strict_namespace_have_one_hook_and_all_others_the_other() -> None:
    inject, require, *_ = hooks()
    strict = {"key": "irsa/require-identity", "operator": "In", "values": ["true"]}

    assert require["namespaceSelector"]["matchExpressions"] == [NEVER, strict]
    assert inject["namespaceSelector"]["matchExpressions"] == [NEVER, strict | {"operator": "NotIn"}]
    assert inject["rules"] == require["rules"]


def test_excluded_namespace_is_still_asked_about_where_it_is_strict() -> None:
    configuration = named(
        render({"webhook": {"excludedNamespaces": ["ci"]}}), "MutatingWebhookConfiguration", "irsa-webhook"
    )
    excluded = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["ci"]}

    asked = {
        hook["name"]: excluded in hook["namespaceSelector"]["matchExpressions"] for hook in configuration["webhooks"]
    }
    assert asked == {
        "inject.webhook.irsa": True,
        "require.webhook.irsa": False,
        "ephemeral.webhook.irsa": True,
        "warn.webhook.irsa": True,
    }


def test_warnings_can_be_turned_off() -> None:
    configuration = named(render({"webhook": {"warnings": False}}), "MutatingWebhookConfiguration", "irsa-webhook")

    assert [hook["name"] for hook in configuration["webhooks"]] == list(HOOKS)[:3]

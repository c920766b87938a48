"""The webhook configuration, and whether it asks us about the pod that we try with. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from app.doctor.findings import Finding, broken, ok, unknown, warning
from app.doctor.record import (
    EPHEMERAL,
    INJECT,
    NOTHING,
    REQUIRE,
    WARN,
    WEBHOOK,
    Document,
    Installation,
    Target,
    Unread,
    listed,
)
from app.doctor.selectors import unmet
from app.text import shown

CONFIGURATION: Final = "webhook configuration"
SELECTORS: Final = "selectors"

NEEDED: Final = (INJECT, REQUIRE, EPHEMERAL)
"""The fourth one, `WARN`, is off where the chart's ``webhook.warnings`` is."""

KNOWN_CONDITIONS: Final = frozenset(
    {
        "is-not-a-mirror-pod",
        "has-not-opted-out",
        "is-not-a-mirror-pod-of-a-kubelet",
        "has-no-controller",
        "is-not-from-the-control-plane",
    }
)


def configuration(found: Installation) -> Finding:
    """Return whether the API server was told of our hooks."""
    upgrade = f"helm upgrade --install irsa CHART -n {found.namespace}"
    if isinstance(found.configuration, Unread):
        return unknown(CONFIGURATION, found.configuration)
    if found.configuration is None:
        return broken(
            CONFIGURATION,
            f"no MutatingWebhookConfiguration {WEBHOOK}",
            meaning="the API server asks nobody about pods: none gets a role",
            remedy=upgrade,
        )
    hooks = found.hooks()
    missing = [name for name in NEEDED if name not in hooks]
    if missing:
        return broken(
            CONFIGURATION,
            f"hooks {listed(sorted(hooks)) or 'none'}; not there: {listed(missing)}",
            meaning="what these hooks are for is never asked about",
            remedy=upgrade,
        )
    wrong = [problem for name in (INJECT, REQUIRE) for problem in _never_asked(hooks[name])]
    if wrong:
        return broken(
            CONFIGURATION, wrong[0], meaning="the API server never asks this hook about new pods", remedy=upgrade
        )
    if WARN not in hooks:
        return warning(
            CONFIGURATION,
            f"hooks {listed(NEEDED)}; {WARN} is off",
            meaning="whoever applies a Deployment or a ServiceAccount with a mistake is not warned",
            remedy=f"{upgrade} --set webhook.warnings=true",
        )
    return ok(CONFIGURATION, f"hooks {listed((*NEEDED, WARN))}")


def _never_asked(hook: Document) -> Iterator[str]:
    rules = hook.get("rules") or ()
    if not any(
        "pods" in rule.get("resources", ()) and {"CREATE", "*"} & set(rule.get("operations", ())) for rule in rules
    ):
        yield f"{hook['name']} has no rule for the creation of pods"
    selector = unmet(hook.get("objectSelector"), NOTHING)
    if selector is not None:
        yield f"{hook['name']} is for pods with {selector} only"


def asked(hooks: Mapping[str, Document], target: Target) -> str | None:
    """Return the hook that is asked about pods of *target*'s namespace, None where there is none."""
    for name in (INJECT, REQUIRE):
        if name in hooks and unmet(hooks[name].get("namespaceSelector"), target.labels) is None:
            return name
    return None


def selectors(found: Installation) -> Finding:
    """Return whether one of the hooks is for the namespace that we try with, by its labels and matchConditions."""
    hooks = found.hooks()
    if isinstance(found.probe, Unread):
        return unknown(SELECTORS, found.probe)
    target = found.probe.target
    name = asked(hooks, target)
    if name is None:
        reason = unmet(hooks.get(INJECT, {}).get("namespaceSelector"), target.labels)
        return broken(
            SELECTORS,
            f"namespace {shown(target.namespace)} does not meet {shown(reason or '')}",
            meaning="pods of this namespace are never asked about",
            remedy=f"try a ServiceAccount of another namespace with --service-account, or mend the labels: "
            f"kubectl get namespace {target.namespace} --show-labels",
        )
    counts = found.counts
    if counts is not None and not isinstance(counts, Unread) and (counts.excluded or counts.condition_errors):
        how = "could not be evaluated" if counts.condition_errors else "passed the dry-run pod over"
        return broken(
            SELECTORS,
            f"a matchCondition of {name} {how}",
            meaning="where a condition fails the API server skips the hook in silence",
            remedy=f"kubectl get mutatingwebhookconfiguration {WEBHOOK} -o yaml, and take the condition out",
        )
    own = [one["name"] for one in hooks[name].get("matchConditions") or () if one["name"] not in KNOWN_CONDITIONS]
    if own:
        return warning(
            SELECTORS,
            f"{name} has the matchConditions {shown(listed(own))} of somebody else",
            meaning="pods that do not meet them get nothing",
            remedy=f"kubectl get mutatingwebhookconfiguration {WEBHOOK} -o yaml",
        )
    return ok(SELECTORS, f"{name} is for namespace {shown(target.namespace)}")

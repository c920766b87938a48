"""The ignore rules that the chart's README gives for Argo CD and Flux are about what the controller writes."""

import re
from typing import Any

from ruamel.yaml import YAML

from tests.manifests.chart import CHART, base, named

README = CHART.joinpath("README.md").read_text()
ARGO, FLUX = (YAML(typ="safe").load(text)["spec"] for text in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL))

RESOURCES = {
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "secrets": "Secret",
    "leases": "Lease",
}


def written_by_the_controller() -> set[tuple[str, str]]:
    """Return kind and name of the objects of the chart that its controller may patch."""
    manifests = base()
    rules: list[Any] = [
        rule
        for kind in ("ClusterRole", "Role")
        for rule in named(manifests, kind, "irsa-controller")["rules"]
        if "patch" in rule["verbs"] and "resourceNames" in rule
    ]
    return {(RESOURCES[rule["resources"][0]], name) for rule in rules for name in rule["resourceNames"]}


def test_argo_cd_is_told_of_everything_that_the_controller_writes() -> None:
    assert {(rule["kind"], rule["name"]) for rule in ARGO["ignoreDifferences"]} == written_by_the_controller()


def test_flux_is_told_of_everything_that_the_controller_writes() -> None:
    targets = {
        (rule["target"]["kind"], rule["target"]["name"]): rule["paths"] for rule in FLUX["driftDetection"]["ignore"]
    }

    assert targets.keys() == written_by_the_controller()
    hooks = named(base(), "MutatingWebhookConfiguration", "irsa-webhook")["webhooks"]
    assert targets["MutatingWebhookConfiguration", "irsa-webhook"] == [
        f"/webhooks/{index}/clientConfig/caBundle" for index in range(len(hooks))
    ]

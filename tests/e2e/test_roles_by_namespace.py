"""The policy that the README gives to whoever wants a list of allowed roles, on a real API server."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.installing import eventually
from tests.e2e.kubectl import Kubectl
from tests.manifests.chart import ROOT

pytestmark = pytest.mark.cluster

POLICY = ROOT / "manifests/policies/roles-by-namespace.yaml"
ROLE_ARN = "eks.amazonaws.com/role-arn"
PROFILES = "eks.amazonaws.com/profiles"
ACCOUNT = "arn:aws:iam::111122223333:role"
OTHER_ACCOUNT = "arn:aws:iam::444455556666:role"


def answer(kubectl: Kubectl, namespace: str, annotations: Mapping[str, str] | None) -> subprocess.CompletedProcess[str]:
    metadata: dict[str, Any] = {"name": "app", "namespace": namespace, "annotations": annotations}
    return subprocess.run(  # noqa: S603 - the arguments are the test's own
        ["kubectl", "--kubeconfig", kubectl.kubeconfig, "create", "--dry-run=server", "-f", "-"],  # noqa: S607 - from PATH, as the design says
        input=json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def policy(kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """The policy, for the namespace of this test alone: others use the same cluster."""
    rule, binding = YAML(typ="safe").load_all(POLICY.read_text())
    for one in (rule, binding):
        one["metadata"]["name"] = namespace
    binding["spec"] |= {
        "policyName": namespace,
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
    }
    kubectl.create(rule, binding)

    def in_force() -> bool:
        return answer(kubectl, namespace, {ROLE_ARN: "none"}).returncode != 0

    try:
        eventually(in_force)
        yield
    finally:
        kubectl("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", namespace)


@pytest.mark.usefixtures("policy")
def test_roles_of_the_namespaces_own_path_are_admitted_and_no_others(kubectl: Kubectl, namespace: str) -> None:
    own = f"{ACCOUNT}/{namespace}"
    admitted: list[Mapping[str, str] | None] = [
        None,
        {"team": "a"},
        {ROLE_ARN: f"{own}/app"},
        {ROLE_ARN: f"{own}/deep/app", PROFILES: f"audit = {own}/audit\ndeploy={own}/deploy source_profile=audit\n"},
    ]
    refused = [
        {ROLE_ARN: f"{ACCOUNT}/app"},
        {ROLE_ARN: f"{ACCOUNT}/{namespace}x/app"},
        {ROLE_ARN: f"{OTHER_ACCOUNT}/{namespace}/app"},
        {ROLE_ARN: "app"},
        {ROLE_ARN: f"{own}/app\n"},
        {PROFILES: f"audit = {OTHER_ACCOUNT}/{namespace}/audit"},
        {PROFILES: f"audit = {own}/audit;deploy = {ACCOUNT}/deploy"},
        {PROFILES: f"audit = {own}/audit\n = {ACCOUNT}/deploy"},
        {PROFILES: "audit = audit"},
    ]

    assert [one for one in admitted if answer(kubectl, namespace, one).returncode] == []
    assert [one for one in refused if "expected" not in answer(kubectl, namespace, one).stderr] == []

from typing import Any

import pytest

from app.webhook.containers import is_windows
from tests.app.webhook.injections import endpoint_identity, injected
from tests.builders import MOUNT, pod

OS = "kubernetes.io/os"


def affinity(*terms: Any) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def term(key: str = OS, operator: str = "In", values: Any = ("windows",)) -> dict[str, Any]:
    other = {"key": "topology.kubernetes.io/zone", "operator": "Exists"}
    return {"matchExpressions": [other, {"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"os": {"name": "windows"}}, id="os"),
        pytest.param({"nodeSelector": {OS: "windows"}}, id="selector"),
        pytest.param({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}, id="beta-selector"),
        pytest.param(affinity(term()), id="affinity"),
        pytest.param(affinity(term(), term("beta.kubernetes.io/os")), id="each-term-of-the-affinity"),
    ],
)
def test_windows_pod_gets_a_windows_path_in_the_variable_only(spec: dict[str, Any]) -> None:
    one = injected(pod(**spec))["spec"]["containers"][0]

    assert one["env"][2]["value"] == r"C:\var\run\secrets\eks.amazonaws.com\serviceaccount\token"
    assert one["volumeMounts"] == [MOUNT]


def test_windows_pod_with_container_credentials_gets_a_windows_path_too() -> None:
    one = injected(pod(os={"name": "windows"}), endpoint_identity())["spec"]["containers"][0]

    assert one["env"][2]["value"] == (
        r"C:\var\run\secrets\pods.eks.amazonaws.com\serviceaccount\eks-pod-identity-token"
    )


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"os": {"name": "linux"}, "nodeSelector": {OS: "windows"}}, id="os-before-selector"),
        pytest.param({"os": {"name": "linux"}} | affinity(term()), id="os-before-affinity"),
        pytest.param({"nodeSelector": {OS: "linux"}}, id="selector"),
        pytest.param(affinity(), id="no-terms"),
        pytest.param(affinity(term(), term(values=["linux"])), id="one-term-of-two"),
        pytest.param(affinity(term(), {}), id="empty-term"),
        pytest.param(affinity(term(values=["windows", "linux"])), id="either"),
        pytest.param(affinity(term(operator="NotIn")), id="not-windows"),
        pytest.param(affinity(term(key="example.com/os")), id="another-label"),
        pytest.param(affinity({"matchFields": [{"key": OS, "operator": "In", "values": ["windows"]}]}), id="fields"),
        pytest.param(affinity(None, [], 7), id="terms-of-other-types"),
        pytest.param(affinity({"matchExpressions": {}}, {"matchExpressions": [None]}), id="no-expressions"),
        pytest.param({"affinity": {"nodeAffinity": None}}, id="null"),
        pytest.param({"affinity": {"nodeAffinity": []}}, id="array"),
        pytest.param({"affinity": "windows"}, id="string"),
        pytest.param(
            {
                "affinity": {
                    "nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term()}]
                    }
                }
            },
            id="preferred",
        ),
    ],
)
def test_pod_is_not_taken_for_a_windows_pod_where_that_is_not_certain(spec: dict[str, Any]) -> None:
    assert not is_windows(spec)

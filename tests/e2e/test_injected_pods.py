"""A real kube-apiserver takes what we add, of every kind, and what it stores is known as ours again."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonpatch
import pytest

from app.webhook.decision import Reason
from app.webhook.ephemeral import ephemeral_operations
from app.webhook.identity import Identity
from app.webhook.inject import Injection, operations
from app.webhook.profiles import Profile
from tests.app.webhook.injections import endpoint_identity, identity, injected
from tests.builders import container, pod
from tests.e2e.kubectl import Kubectl

pytestmark = pytest.mark.cluster

PROFILES = (Profile(name="audit", role_arn="arn:aws:iam::444455556666:role/audit"),)
TAKEN: list[dict[str, Any]] = [{"name": name, "emptyDir": {}} for name in ("aws-iam-token", "irsa-aws-config")]
PROXY = [{"name": "HTTP_PROXY", "value": "http://proxy"}, {"name": "NO_PROXY"}]


@pytest.mark.parametrize(
    ("before", "who"),
    [
        pytest.param(pod(), identity(region="eu-west-1"), id="web-identity"),
        pytest.param(pod(), identity(has_session_name=True), id="session-name"),
        pytest.param(pod(annotations={"a": "b"}), identity(profiles=PROFILES, has_session_name=True), id="profiles"),
        pytest.param(pod(os={"name": "windows"}), identity(profiles=PROFILES), id="windows"),
        pytest.param(pod(container(env=PROXY)), endpoint_identity(), id="container-credentials"),
        pytest.param(
            pod(container(volumeMounts=[{"name": "aws-iam-token", "mountPath": "/data"}]), volumes=TAKEN),
            identity(profiles=PROFILES),
            id="names-taken",
        ),
    ],
)
def test_injected_pod_is_stored_and_lends_to_an_ephemeral_container(
    kubectl: Kubectl, namespace: str, tmp_path: Path, before: dict[str, Any], who: Identity
) -> None:
    kubectl.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": namespace}})
    before["metadata"] = before["metadata"] | {"name": "app", "namespace": namespace}
    kubectl.create(injected(before, who))
    stored = kubectl.get("pod", "app", "--namespace", namespace)

    assert operations(stored, who, injection=Injection()) == []

    asked = copy.deepcopy(stored)
    asked["spec"]["ephemeralContainers"] = [container("debug")]
    decision = ephemeral_operations(asked, stored, injection=Injection())
    assert decision.reason is Reason.PATCHED
    file = tmp_path / "pod.json"
    file.write_text(json.dumps(jsonpatch.apply_patch(asked, decision.operations)))
    kubectl("replace", "--raw", f"/api/v1/namespaces/{namespace}/pods/app/ephemeralcontainers", "-f", str(file))

    debugged = kubectl.get("pod", "app", "--namespace", namespace)
    names = [mount["name"] for mount in debugged["spec"]["ephemeralContainers"][0]["volumeMounts"]]
    assert names == [volume["name"] for volume in stored["spec"]["volumes"] if is_of_ours(volume)]
    assert ephemeral_operations(debugged, stored, injection=Injection()).reason is Reason.ALREADY_PRESENT


def is_of_ours(volume: dict[str, Any]) -> bool:
    """Return whether a volume has the token or the AWS config file; that of kube-apiserver has other things."""
    return "downwardAPI" in volume or ("projected" in volume and len(volume["projected"]["sources"]) == 1)

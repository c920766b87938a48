import base64
import json
from typing import Any

import pytest

from app.demo import pods
from app.errors import DemoError
from tests.app.demo.objects_for_tests import TOKEN_REQUEST, deployment

POD = pods.submitted(deployment(), replica_set_uid="9a7b")
PATCH = [{"op": "add", "path": "/spec/containers/0/env/-", "value": {"name": "AWS_ROLE_ARN", "value": "arn"}}]


def answer(**response: object) -> bytes:
    allowed: dict[str, Any] = {"uid": "705a", "allowed": True}
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {**allowed, **response}}
    return json.dumps(document).encode()


def encoded(patch: object) -> str:
    return base64.b64encode(json.dumps(patch).encode()).decode()


def test_a_pod_is_submitted_as_the_replica_set_controller_does() -> None:
    template = deployment()["spec"]["template"]

    assert {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "app-5d8c7f9b64-",
            "namespace": "irsa-demo",
            "labels": {"app": "app", "pod-template-hash": "5d8c7f9b64"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "app-5d8c7f9b64",
                    "uid": "9a7b",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": template["spec"],
    } == POD


def test_another_service_account_leaves_the_deployment_as_it_is() -> None:
    of = deployment()
    pod = pods.submitted(of, replica_set_uid="9a7b", service_account="no-role")

    assert pod["spec"]["serviceAccountName"] == "no-role"
    assert of == deployment()


def test_a_review_is_what_kube_apiserver_sends_about_a_pod_without_a_name() -> None:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}

    assert pods.review(POD, uid="705a") == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705a",
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "namespace": "irsa-demo",
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            },
            "object": POD,
            "oldObject": None,
            "dryRun": False,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    }


def test_a_patch_is_applied_and_the_pod_that_was_sent_stays() -> None:
    before = json.loads(json.dumps(POD))
    after, operations = pods.admitted(POD, answer(patchType="JSONPatch", patch=encoded(PATCH)), uid="705a")

    assert operations == PATCH
    assert after["spec"]["containers"][0]["env"] == [
        {"name": "BUCKET", "value": "irsa-demo"},
        {"name": "AWS_ROLE_ARN", "value": "arn"},
    ]
    assert before == POD


def test_an_answer_without_a_patch_leaves_the_pod_alone() -> None:
    assert pods.admitted(POD, answer(), uid="705a") == (POD, [])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"not json", id="not-json"),
        pytest.param(b"[]", id="no-object"),
        pytest.param(answer(uid="other"), id="another-uid"),
        pytest.param(answer(allowed=False), id="refused"),
        pytest.param(answer(patchType="JSONPatch", patch="%%%"), id="no-base64"),
        pytest.param(answer(patchType="MergePatch", patch=encoded(PATCH)), id="another-type-of-patch"),
        pytest.param(
            answer(patchType="JSONPatch", patch=encoded([{"op": "add", "path": "/a/b", "value": 1}])),
            id="no-such-place",
        ),
        pytest.param(answer().replace(b"admission.k8s.io/v1", b"admission.k8s.io/v2"), id="another-version"),
    ],
)
def test_an_answer_that_kube_apiserver_would_not_take_ends_the_demo(body: bytes) -> None:
    with pytest.raises(DemoError, match=r"^webhook: expected "):
        pods.admitted(POD, body, uid="705a")


def test_the_name_and_the_uid_are_given_after_admission() -> None:
    created = pods.created(POD, suffix="x2x2x", uid="0f2d")

    assert (created["metadata"]["name"], created["metadata"]["uid"]) == ("app-5d8c7f9b64-x2x2x", "0f2d")
    assert "name" not in POD["metadata"]


def test_what_the_webhook_adds_is_shown_by_name_and_value() -> None:
    volume = {"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": TOKEN_REQUEST}]}}
    operations: list[dict[str, Any]] = [
        {"op": "add", "path": "/spec/volumes/0", "value": volume},
        {
            "op": "add",
            "path": "/spec/containers/0/env",
            "value": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}],
        },
        {
            "op": "add",
            "path": "/spec/containers/0/volumeMounts/-",
            "value": {"name": "aws-iam-token", "mountPath": "/m"},
        },
        {"op": "add", "path": "/metadata/labels/x", "value": "y"},
    ]

    assert [row for operation in operations for row in pods.added(operation)] == [
        ("volume aws-iam-token", "a token for sts.amazonaws.com, good for 86400 s"),
        ("A", "1"),
        ("B", ""),
        ("mount aws-iam-token", "/m"),
        ("add", "/metadata/labels/x"),
    ]

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import BadReviewError
from app.webhook import review as reviews
from app.webhook.decision import Decision, Reason, Subject
from app.webhook.inject import MalformedPodError
from tests.builders import UID, body, pod, review


def parsed(document: Any) -> reviews.Review:
    return reviews.parse(body(document))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_review_is_answered_in_the_version_asked_with_its_uid(version: str) -> None:
    answer = reviews.answer(parsed(review(pod(), version=version)), Decision(reason=Reason.NO_ROLE))

    assert json.loads(answer) == {
        "apiVersion": f"admission.k8s.io/{version}",
        "kind": "AdmissionReview",
        "response": {"uid": UID, "allowed": True, "auditAnnotations": {"reason": "no_role"}},
    }


def test_patch_is_base64_of_its_json() -> None:
    operation = {"op": "add", "path": "/spec/volumes", "value": []}
    decision = Decision(reason=Reason.PATCHED, operations=(operation,), warnings=("beware",))

    response = json.loads(reviews.answer(parsed(review(pod())), decision))["response"]

    assert json.loads(base64.b64decode(response.pop("patch"))) == [operation]
    assert response == {
        "uid": UID,
        "allowed": True,
        "patchType": "JSONPatch",
        "warnings": ["beware"],
        "auditAnnotations": {"reason": "patched"},
    }


def test_subject_is_read_from_request_and_pod() -> None:
    assert reviews.subject_of(parsed(review(pod(annotations={"a": "b"})))) == Subject(
        namespace="shop", service_account="app", pod="app-", annotations={"a": "b"}
    )


def test_pod_is_refused_with_the_sentence_that_says_what_to_do() -> None:
    decision = Decision(reason=Reason.NO_ROLE, warnings=("beware",), denial="annotate it")

    assert json.loads(reviews.answer(parsed(review(pod())), decision))["response"] == {
        "uid": UID,
        "allowed": False,
        "warnings": ["beware"],
        "auditAnnotations": {"reason": "no_role"},
        "status": {"message": "annotate it", "code": 403, "reason": "Forbidden"},
    }


@pytest.mark.parametrize(
    ("owners", "uid"),
    [
        pytest.param(None, "", id="null"),
        pytest.param([], "", id="none"),
        pytest.param([{"uid": "1"}, {"uid": "2", "controller": True}], "2", id="second"),
        pytest.param([{"uid": "1", "controller": False}, {"uid": "2", "controller": None}], "", id="owners-only"),
        pytest.param([{"controller": True, "kind": "ReplicaSet", "newer": [1]}], "", id="without-uid"),
    ],
)
def test_owner_is_the_one_that_controls_the_pod(owners: Any, uid: str) -> None:
    subject = reviews.subject_of(parsed(review(pod() | {"metadata": {"ownerReferences": owners}})))

    assert isinstance(subject, Subject)
    assert subject.owner_uid == uid


def test_owners_of_another_type_are_warned_of_with_their_place() -> None:
    assert reviews.subject_of(parsed(review(pod() | {"metadata": {"ownerReferences": [{"uid": 1}]}}))) == Decision(
        reason=Reason.MALFORMED_POD,
        warnings=("write str at request.object.metadata.ownerReferences[0].uid, got int: nothing was injected",),
    )


def test_namespace_is_the_requests_not_the_pods() -> None:
    subject = reviews.subject_of(parsed(review(pod() | {"metadata": {"namespace": "kube-system"}}, namespace="shop")))

    assert isinstance(subject, Subject)
    assert subject.namespace == "shop"


def test_deprecated_name_of_the_service_account_is_read_where_the_new_one_is_empty() -> None:
    subject = reviews.subject_of(parsed(review(pod(serviceAccountName="", serviceAccount="old"))))

    assert isinstance(subject, Subject)
    assert subject.service_account == "old"


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        pytest.param({"operation": "UPDATE"}, Reason.NOT_A_CREATION, id="update"),
        pytest.param({"operation": "DELETE", "object": None}, Reason.NOT_A_CREATION, id="delete"),
        pytest.param({"operation": []}, Reason.NOT_A_CREATION, id="no-word-as-operation"),
        pytest.param({"subResource": "ephemeralcontainers"}, Reason.NOT_A_CREATION, id="subresource"),
        pytest.param({"kind": {"kind": "Deployment"}}, Reason.NOT_A_POD, id="deployment"),
        pytest.param({"object": None}, Reason.MALFORMED_POD, id="null"),
        pytest.param({"object": ...}, Reason.MALFORMED_POD, id="absent"),
        pytest.param({"object": []}, Reason.MALFORMED_POD, id="array"),
        pytest.param({"object": "pod"}, Reason.MALFORMED_POD, id="string"),
        pytest.param({"object": {}}, Reason.MALFORMED_POD, id="no-spec"),
        pytest.param({"object": {"spec": {"serviceAccountName": 1}}}, Reason.MALFORMED_POD, id="number-as-name"),
        pytest.param(
            {"object": {"spec": {}, "metadata": {"annotations": {"a": 1}}}}, Reason.MALFORMED_POD, id="number"
        ),
        pytest.param({"namespace": None}, Reason.MALFORMED_POD, id="no-namespace"),
    ],
)
def test_what_is_not_ours_to_judge_is_told_apart(request_fields: dict[str, Any], reason: Reason) -> None:
    request = review(pod(), **request_fields)["request"]
    given = {name: value for name, value in request.items() if value is not ...}
    decision = reviews.subject_of(parsed(review(pod()) | {"request": given}))

    assert isinstance(decision, Decision)
    assert decision.reason is reason


def test_wrong_type_is_warned_of_with_its_place() -> None:
    decision = reviews.subject_of(parsed(review({"spec": {"serviceAccountName": []}})))

    assert isinstance(decision, Decision)
    assert decision.warnings == (
        "write str | null at request.object.spec.serviceAccountName, got array: nothing was injected",
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            b"", 'expected an AdmissionReview in JSON, got something else: "Input data was truncated"', id="empty"
        ),
        pytest.param(b"\xff\xfe", None, id="binary"),
        pytest.param(b"apiVersion: v1", None, id="yaml"),
        pytest.param(b"{}", None, id="no-request"),
        pytest.param(b'{"request": null}', "expected object at request, got null", id="null-request"),
        pytest.param(
            b'{"request": {}}', "expected an AdmissionReview with a string request.uid, got none", id="no-uid"
        ),
        pytest.param(
            b'{"request": {"uid": 7}}', "expected an AdmissionReview with a string request.uid, got none", id="n"
        ),
        pytest.param(b"[" * 100_000, None, id="deep"),
        pytest.param(b'{"request": {"uid": "\xff"}}', None, id="no-utf-8"),
    ],
)
def test_body_without_a_uid_is_refused_in_one_line(data: bytes, message: str | None) -> None:
    with pytest.raises(BadReviewError) as caught:
        reviews.parse(data)

    assert message is None or str(caught.value) == message
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-20], id="truncated"),
        pytest.param(lambda data: data.replace(b'"example/app"', b"[" * 100_000), id="too-deep"),
        pytest.param(lambda data: data.replace(b"example/app", b"\\ud800"), id="half-a-character"),
    ],
)
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_body_that_is_no_json_is_answered_where_its_uid_can_be_found(
    damage: Callable[[bytes], bytes], version: str
) -> None:
    found = reviews.parse(damage(body(review(pod(), version=version))))

    assert (found.uid, found.version) == (UID, f"admission.k8s.io/{version}")
    decision = reviews.subject_of(found)
    assert isinstance(decision, Decision)
    assert (decision.reason, len(decision.warnings)) == (Reason.MALFORMED_POD, 1)


def test_unknown_version_is_answered_in_v1() -> None:
    assert parsed(review(pod()) | {"apiVersion": "admission.k8s.io/v9"}).version == "admission.k8s.io/v1"


def test_pod_that_is_no_utf_8_is_malformed() -> None:
    data = body(review(pod())).replace(b"example/app", b"example/\xff")

    with pytest.raises(MalformedPodError):
        reviews.pod_of(reviews.parse(data))

"""The endpoint that only warns, asked as an apiserver would."""

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from app.cluster.objects import ServiceAccount
from app.webhook.assigned import Assigned
from app.webhook.decision import Policy
from app.webhook.exchange import Bodies
from app.webhook.mappings import MappedRole, Mappings
from app.webhook.metrics import WebhookMetrics
from app.webhook.warn import WarnEndpoint
from tests.asgi import post
from tests.builders import ROLE_ARN, UID, annotated, body, container, review
from tests.fakes import FakeServiceAccounts

SKIPPING = {"eks.amazonaws.com/skip-containers": "app"}
ALL_SKIPPED = "leave one container at least to skip-containers and include-containers: its pods will get nothing"
SILENT = {"uid": UID, "allowed": True, "auditAnnotations": {"reason": "silent"}}
UNKNOWN = 'create ServiceAccount "shop/app" too: it is not known yet, and pods cannot be made without it'


def deployment(**annotations: str) -> dict[str, Any]:
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"serviceAccountName": "app", "containers": [container()]},
    }
    metadata = {"name": "shop-deployment", "namespace": "shop"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}}


def endpoint(
    source: FakeServiceAccounts, *, mappings: Mappings | None = None, metrics: WebhookMetrics | None = None
) -> WarnEndpoint:
    assigned, metrics = Assigned(), metrics or WebhookMetrics(snapshot_age=float)
    if mappings is not None:
        assigned.mappings = mappings
    return WarnEndpoint(source, assigned=assigned, policy=Policy(), metrics=metrics, bodies=Bodies())


def answer(warn: WarnEndpoint, document: Any, **request: Any) -> dict[str, Any]:
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    reply = post(warn, "/warn", body(review(document, kind=kind, **request)))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    answered: dict[str, Any] = json.loads(reply.body)
    return answered


def test_person_is_told_and_the_object_admitted_as_it_is() -> None:
    warn = endpoint(FakeServiceAccounts({"shop/app": annotated()}))

    assert answer(warn, deployment(**SKIPPING)) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": UID,
            "allowed": True,
            "warnings": [ALL_SKIPPED],
            "auditAnnotations": {"reason": "warned"},
        },
    }


def test_good_object_is_admitted_in_silence() -> None:
    warn = endpoint(FakeServiceAccounts({"shop/app": annotated()}))

    assert answer(warn, deployment())["response"] == SILENT


def test_service_account_made_by_the_same_command_is_looked_for() -> None:
    source = FakeServiceAccounts({})
    warn = endpoint(source)

    assert answer(warn, deployment())["response"]["warnings"] == [UNKNOWN]
    source.live["shop/app"] = annotated()
    assert answer(warn, deployment())["response"] == SILENT
    assert source.confirmed == ["shop/app", "shop/app"]


def test_mapped_service_account_has_a_role() -> None:
    source = FakeServiceAccounts({"shop/app": ServiceAccount({})})
    warn = endpoint(source, mappings=Mappings({"shop/app": MappedRole(role_arn=ROLE_ARN)}))

    assert answer(warn, deployment(**SKIPPING))["response"]["warnings"] == [ALL_SKIPPED]


def test_mistake_of_ours_admits_the_object() -> None:
    class Broken(FakeServiceAccounts):
        def get(self, namespace: str, name: str) -> ServiceAccount | None:
            raise LookupError(namespace, name)

    with capture_logs() as logs:
        answered = answer(endpoint(Broken({})), deployment(note="MARKER"))

    assert answered["response"] == {"uid": UID, "allowed": True, "auditAnnotations": {"reason": "internal_error"}}
    assert [(line["event"], line.get("outcome")) for line in logs] == [
        ("review_failed", None),
        ("change_reviewed", "internal_error"),
    ]
    assert "MARKER" not in str(logs)


def test_reviews_are_counted_by_whether_somebody_was_warned() -> None:
    class Breaking(FakeServiceAccounts):
        def get(self, namespace: str, name: str) -> ServiceAccount | None:
            if name == "broken":
                raise LookupError(name)
            return super().get(namespace, name)

    metrics, registry = WebhookMetrics(snapshot_age=float), CollectorRegistry()
    registry.register(metrics)
    warn = endpoint(Breaking({"shop/app": annotated()}), metrics=metrics)
    broken = deployment()
    broken["spec"]["template"]["spec"]["serviceAccountName"] = "broken"
    for document in (deployment(**SKIPPING), deployment(), deployment(), deployment(), broken, broken):
        answer(warn, document)

    def count(outcome: str) -> float | None:
        return registry.get_sample_value("irsa_webhook_warn_reviews_total", {"outcome": outcome})

    assert (count("warned"), count("silent"), count("internal_error")) == (1, 3, 2)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"{}", 400, id="no review"),
        pytest.param(body({"request": {"uid": UID}}), 200, id="no object"),
        pytest.param(body({"request": {"uid": UID, "object": 1, "operation": "CREATE"}}), 200, id="a number"),
        pytest.param(b'{"request":{"uid":"' + UID.encode() + b'","object":' + b"[" * 10_000, 200, id="too deep"),
    ],
)
def test_whatever_has_a_uid_is_answered(data: bytes, status: int) -> None:
    reply = post(endpoint(FakeServiceAccounts({})), "/warn", data)

    assert reply.status == status
    assert status != 200 or json.loads(reply.body)["response"] == SILENT


def test_each_review_is_one_line_with_identifiers_only() -> None:
    warn = endpoint(FakeServiceAccounts({"shop/app": annotated()}))
    with capture_logs() as logs:
        answer(warn, deployment(**SKIPPING, note="MARKER"))

    (line,) = logs
    assert line.pop("ms") < 1000
    assert line == {
        "event": "change_reviewed",
        "log_level": "info",
        "outcome": "warned",
        "uid": UID,
        "kind": "Deployment",
        "namespace": "shop",
        "name": "shop-deployment",
        "warnings": (ALL_SKIPPED,),
    }

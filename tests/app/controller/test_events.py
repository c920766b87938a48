"""What is told of a pod, and on what."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.access.drift import judge
from app.access.pods import Pod
from app.cluster.objects import ServiceAccount
from app.controller.events import MAX_NOTE_BYTES, Finding, Regarding, event, findings, mappings_finding, series
from tests.app.access.running import OWNER_UID, POD_UID, deciding, injected, kept
from tests.builders import BARE, MOUNT_PATH, ROLE_ARN, annotated, container, pod

REPLICA_SET = Regarding(
    api_version="apps/v1", kind="ReplicaSet", namespace="shop", name="api-7d4b9c8f6d", uid=OWNER_UID
)
ACCOUNT = Regarding(api_version="v1", kind="ServiceAccount", namespace="shop", name="app")
ITSELF = Regarding(api_version="v1", kind="Pod", namespace="shop", name="debug", uid=POD_UID)
NOW = datetime(2026, 11, 25, 10, 0, 0, 123456, tzinfo=UTC)


def told(pod: Pod, service_account: ServiceAccount | None) -> list[Finding]:
    return list(findings(pod, judge(pod, deciding(service_account))))


def bare(document: dict[str, Any]) -> Pod:
    return kept(document, name="debug", generateName="", ownerReferences=[])


@pytest.mark.parametrize(
    ("found", "service_account", "reason", "note"),
    [
        pytest.param(
            kept(pod()),
            annotated(),
            "AdmittedUnpatched",
            f'kubectl rollout restart deployment/api -n shop: it runs without "{ROLE_ARN}", which ServiceAccount '
            '"shop/app" asks for',
            id="missed",
        ),
        pytest.param(
            kept(pod()),
            None,
            "ServiceAccountNotFound",
            'create the pod again: ServiceAccount "shop/app" is not known yet: nothing was injected',
            id="no ServiceAccount",
        ),
        pytest.param(
            kept(pod(container(volumeMounts=[{"name": "mine", "mountPath": MOUNT_PATH}]))),
            annotated(),
            "Conflict",
            f'mount volume "mine" of container "app" elsewhere: {MOUNT_PATH} is for the token: nothing was injected',
            id="conflict",
        ),
        pytest.param(
            kept(pod()),
            annotated(**{"role-arn": "\x1b[31m[link=x]"}),
            "InvalidAnnotation",
            "set eks.amazonaws.com/role-arn on the ServiceAccount to an IAM role's ARN such as "
            'arn:aws:iam::111122223333:role/name, got "\\x1b[31m[link=x]" (ServiceAccount "shop/app")',
            id="hostile role",
        ),
        pytest.param(
            kept(pod(*(container(f"c{number}") for number in range(1001)))),
            annotated(),
            "MalformedPod",
            "write at most 1000 containers, got more: nothing was injected",
            id="more containers than there can be",
        ),
        pytest.param(
            kept(injected(annotations={"eks.amazonaws.com/token-expiration": "x"})),
            annotated(),
            "InvalidAnnotation",
            'set eks.amazonaws.com/token-expiration on the pod to whole seconds from 600 to 31536000, got "x" '
            '(ServiceAccount "shop/app")',
            id="patched, with a slip",
        ),
    ],
)
def test_owner_is_told_what_to_do(found: Pod, service_account: ServiceAccount | None, reason: str, note: str) -> None:
    assert told(found, service_account) == [Finding(regarding=REPLICA_SET, reason=reason, note=note)]


@pytest.mark.parametrize(
    ("document", "service_account"),
    [
        pytest.param(injected(), annotated(), id="patched"),
        pytest.param(pod(), BARE, id="no role"),
        pytest.param(pod(annotations={"eks.amazonaws.com/skip-containers": "app"}), annotated(), id="skipped"),
    ],
)
def test_pod_that_is_as_somebody_wanted_is_not_told_of(
    document: dict[str, Any], service_account: ServiceAccount
) -> None:
    assert told(kept(document), service_account) == []


def test_pod_that_is_too_large_to_be_kept_is_not_judged() -> None:
    large = pod(*(container(f"c{number}", env=[{"name": f"AWS_{'X' * 200}"}]) for number in range(200)))

    assert told(kept(large), annotated()) == []


def test_bare_pod_is_told_of_on_its_service_account_without_its_name() -> None:
    assert told(bare(pod()), annotated()) == [
        Finding(
            regarding=ACCOUNT,
            reason="AdmittedUnpatched",
            note=f'create the pod again: it runs without "{ROLE_ARN}", which ServiceAccount "shop/app" asks for',
            fallback=ITSELF,
        )
    ]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda owner: {**owner, "name": "../secrets"}, id="name"),
        pytest.param(lambda owner: {**owner, "kind": "Kind\x1b[31m"}, id="kind"),
        pytest.param(lambda owner: {**owner, "kind": "K" * 64}, id="long kind"),
        pytest.param(lambda owner: {**owner, "controller": False}, id="no controller"),
    ],
)
def test_owner_that_cannot_be_is_passed_over(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "u", "controller": True}

    (found,) = told(kept(pod(), ownerReferences=[change(owner)]), annotated())

    assert found.regarding == ACCOUNT


def test_event_is_what_the_api_takes() -> None:
    (finding,) = told(kept(pod()), None)

    assert event(finding, uid=OWNER_UID, now=NOW, instance="irsa-controller-0") == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"api-7d4b9c8f6d.{finding.key}", "namespace": "shop"},
        "eventTime": "2026-11-25T10:00:00.123456Z",
        "reportingController": "irsa/controller",
        "reportingInstance": "irsa-controller-0",
        "action": "InjectIdentity",
        "reason": "ServiceAccountNotFound",
        "type": "Warning",
        "note": 'create the pod again: ServiceAccount "shop/app" is not known yet: nothing was injected',
        "regarding": {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "namespace": "shop",
            "name": "api-7d4b9c8f6d",
            "uid": OWNER_UID,
        },
    }
    assert series(7, NOW) == {"series": {"count": 7, "lastObservedTime": "2026-11-25T10:00:00.123456Z"}}


def test_note_fits_into_an_event() -> None:
    note = mappings_finding("irsa-system", "irsa-mappings", "\x1b\n" + "ü" * 2000).note

    assert note.startswith("\\x1b\\nüü")
    assert note.endswith("ü…")
    assert MAX_NOTE_BYTES - 3 < len(note.encode()) <= MAX_NOTE_BYTES


def test_name_is_the_same_after_a_restart_and_another_for_another_text() -> None:
    one, again, other = (mappings_finding("a", "b", text) for text in ("x", "x", "y"))

    assert one.event_name == again.event_name != other.event_name

"""What a person is told of a ServiceAccount or pod template. No pod is made in these tests."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cluster.objects import ServiceAccount
from app.webhook.advice import advice, subject_of
from app.webhook.annotations import MAX_ANNOTATIONS, Vocabulary
from app.webhook.change import Change
from app.webhook.decision import MAX_WARNING_CHARACTERS, MAX_WARNINGS, Policy, Subject
from app.webhook.mappings import MappedRole, Mappings
from app.webhook.rules import Rules
from tests.builders import BARE, MOUNT_PATH, ROLE_ARN, annotated, container

RULES = Rules(policy=Policy())
OTHER_ARN = "arn:aws:iam::111122223333:role/other"
KEY = "eks.amazonaws.com"
OWNED = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "uid": "1", "controller": True}]


def service_account(**annotations: str) -> dict[str, Any]:
    """A ServiceAccount; keywords are annotation names with underscores, under our prefix."""
    named = {f"{KEY}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return annotated_with(named)


def annotated_with(annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "app", "namespace": "shop", "annotations": annotations},
    }


def template(*containers: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"annotations": annotations or {}},
        "spec": {"serviceAccountName": "app", "containers": list(containers) or [container()]} | spec,
    }


def workload(
    pod: dict[str, Any] | None = None, *, kind: str = "Deployment", annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": {
            "Job": "batch/v1",
            "CronJob": "batch/v1",
            "PodTemplate": "v1",
            "ReplicationController": "v1",
        }.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"name": "app", "namespace": "shop", "annotations": annotations or {}},
    } | placed(kind, template() if pod is None else pod)


def placed(kind: str, pod: dict[str, Any]) -> dict[str, Any]:
    if kind == "PodTemplate":
        return {"template": pod}
    spec = {"template": pod}
    return {"spec": {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec}


def told(
    after: dict[str, Any],
    before: dict[str, Any] | None = None,
    *,
    known: ServiceAccount | None = annotated(),  # noqa: B008 - it is frozen
    rules: Rules = RULES,
) -> tuple[str, ...]:
    return advice(Change("shop", after, before), known, rules=rules)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({f"{KEY}/role-arn": ROLE_ARN}, (), id="good"),
        pytest.param(
            {f"{KEY}/role-arn": "shop"},
            (
                (
                    "set eks.amazonaws.com/role-arn on the ServiceAccount to an IAM role's ARN such as "
                    'arn:aws:iam::111122223333:role/name, got "shop"'
                ),
            ),
            id="no ARN",
        ),
        pytest.param(
            {f"{KEY}/role-arn": ROLE_ARN, f"{KEY}/token-expiration": "1h"},
            (
                (
                    "set eks.amazonaws.com/token-expiration on the ServiceAccount to whole seconds from 600 to "
                    '31536000, got "1h"'
                ),
            ),
            id="expiration",
        ),
        pytest.param(
            {"eks.amazon.com/role-arn": ROLE_ARN},
            (
                (
                    'write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount:'
                    " it is ignored"
                ),
            ),
            id="prefix",
        ),
        pytest.param(
            {f"{KEY}/role-arn": ROLE_ARN, f"{KEY}/profiles": "audit=audit"},
            (
                (
                    'set eks.amazonaws.com/profiles on the ServiceAccount for profile "audit" to an IAM role\'s ARN '
                    'such as arn:aws:iam::111122223333:role/name, got "audit"'
                ),
            ),
            id="profile",
        ),
        pytest.param(
            {f"{KEY}/audience": "x"},
            (
                (
                    "add eks.amazonaws.com/role-arn to the ServiceAccount: "
                    "without a role eks.amazonaws.com/audience does nothing"
                ),
            ),
            id="no role",
        ),
        pytest.param(
            {"irsa/require-identity": "true"},
            (
                (
                    "add eks.amazonaws.com/role-arn to the ServiceAccount: "
                    "without a role irsa/require-identity refuses its pods"
                ),
            ),
            id="required",
        ),
    ],
)
def test_service_account_is_told_of_without_a_pod(annotations: dict[str, str], expected: tuple[str, ...]) -> None:
    assert told(annotated_with(annotations)) == expected


def test_mapping_is_a_role_too() -> None:
    rules = Rules(policy=Policy(), mappings=Mappings({"shop/app": MappedRole(role_arn=ROLE_ARN)}))

    assert told(service_account(audience="x"), rules=rules) == ()


RESTART = "restart this ServiceAccount's running pods, irsa drift lists them: until then they "


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(
            {"role_arn": ROLE_ARN}, {"role_arn": OTHER_ARN}, (f'{RESTART}keep "{ROLE_ARN}"',), id="other role"
        ),
        pytest.param({}, {"role_arn": ROLE_ARN}, (f"{RESTART}have no role",), id="first role"),
        pytest.param({"role_arn": ROLE_ARN}, {}, (f'{RESTART}keep "{ROLE_ARN}"',), id="no role any more"),
        pytest.param(
            {"role_arn": ROLE_ARN},
            {"role_arn": ROLE_ARN, "audience": "x"},
            (f"{RESTART}keep their settings",),
            id="audience",
        ),
        pytest.param({"role_arn": "x"}, {"role_arn": ROLE_ARN}, (f"{RESTART}have no role",), id="mended"),
        pytest.param({"role_arn": ROLE_ARN}, {"role_arn": ROLE_ARN}, (), id="nothing"),
    ],
)
def test_change_of_a_role_leaves_running_pods_behind(
    before: dict[str, str], after: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert told(service_account(**after), service_account(**before)) == expected


def test_change_to_a_bad_role_is_told_of_as_bad_only() -> None:
    (text,) = told(service_account(role_arn="x"), service_account(role_arn=ROLE_ARN))

    assert text.endswith('got "x"')


def test_service_account_whose_other_annotations_change_is_left_alone() -> None:
    before = annotated_with({f"{KEY}/role-arn": "bad"})
    after = annotated_with({f"{KEY}/role-arn": "bad", "owner": "team"})

    assert told(after, before) == ()
    assert told(after) != ()


KINDS = [
    *("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "PodTemplate"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_template_is_told_of_as_its_pods_would_be(kind: str) -> None:
    slip = template(annotations={f"{KEY}/role-arn": ROLE_ARN})

    assert told(workload(slip, kind=kind)) == (
        ('move eks.amazonaws.com/role-arn to the ServiceAccount: on the pod it is ignored (ServiceAccount "shop/app")'),
    )
    assert told(workload(kind=kind)) == ()


def test_slip_of_the_service_account_is_told_of_with_its_name() -> None:
    known = ServiceAccount({"eks.amazon.com/role-arn": ""})

    assert told(workload(), known=known) == (
        (
            'write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount: it is ignored'
            ' (ServiceAccount "shop/app")'
        ),
    )


def test_conflict_is_told_of_before_there_is_a_pod() -> None:
    pod = template(container(volumeMounts=[{"name": "mine", "mountPath": MOUNT_PATH}]))

    (text,) = told(workload(pod))

    assert text.startswith('mount volume "mine" of container "app" elsewhere')
    assert text.endswith(": its pods will get nothing")


def test_containers_that_are_all_skipped_are_told_of() -> None:
    assert told(workload(template(annotations={f"{KEY}/skip-containers": "app"}))) == (
        ("leave one container at least to skip-containers and include-containers: its pods will get nothing"),
    )


def test_pods_that_will_be_refused_are_told_of_once() -> None:
    known = ServiceAccount({"irsa/require-identity": "true"})
    pod = template(container(volumeMounts=[{"name": "mine", "mountPath": MOUNT_PATH}]))
    required = annotated()
    refused = ServiceAccount({**required.annotations, "irsa/require-identity": "true"})

    assert told(workload(), known=known) == (
        (
            'annotate ServiceAccount "shop/app" with eks.amazonaws.com/role-arn: its pods must have an AWS identity '
            "and will be refused"
        ),
    )
    (text,) = told(workload(pod), known=refused)
    assert text.startswith('mount volume "mine" of container "app" elsewhere')
    assert text.endswith(": its pods must have an AWS identity and will be refused")


def test_service_account_that_nobody_knows_is_a_hint() -> None:
    pod = template(annotations={f"{KEY}/role-arn": ROLE_ARN})

    assert told(workload(pod), known=None) == (
        'create ServiceAccount "shop/app" too: it is not known yet, and pods cannot be made without it',
        "move eks.amazonaws.com/role-arn to the ServiceAccount: on the pod it is ignored",
    )


def test_default_service_account_comes_by_itself() -> None:
    assert told(workload(template(serviceAccountName="")), known=None) == ()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param(
            f"{KEY}/role-arn",
            'move eks.amazonaws.com/role-arn to the ServiceAccount "app": on the Deployment it is ignored',
            id="role",
        ),
        pytest.param(
            f"{KEY}/skip-containers",
            "move eks.amazonaws.com/skip-containers to the pod template: on the Deployment it is ignored",
            id="containers",
        ),
        pytest.param(
            "eks.amazon.com/role-arn",
            'write eks.amazonaws.com/role-arn on the ServiceAccount "app" instead of "eks.amazon.com/role-arn" on the '
            "Deployment: it is ignored",
            id="prefix",
        ),
        pytest.param(
            "irsa/require-identity",
            'move irsa/require-identity to the ServiceAccount "app": on the Deployment it is ignored',
            id="required",
        ),
        pytest.param(f"{KEY}/compute-type", None, id="somebody else's"),
        pytest.param("deployment.kubernetes.io/revision", None, id="not ours"),
    ],
)
def test_annotation_on_the_workload_is_in_vain(key: str, expected: str | None) -> None:
    assert told(workload(annotations={key: "x"})) == ((expected,) if expected else ())


BAD = template(annotations={f"{KEY}/role-arn": ROLE_ARN})


def test_update_that_leaves_the_template_alone_is_silent() -> None:
    before = workload(BAD)
    scaled = copy.deepcopy(before)
    scaled["spec"]["replicas"] = 3
    scaled["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    scaled["status"] = {"replicas": 3}

    assert told(scaled, before) == ()


def test_update_of_the_template_is_told_of_again() -> None:
    before = workload(BAD)
    restarted = copy.deepcopy(before)
    restarted["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "now"

    assert told(restarted, before) == told(before) != ()


def test_what_a_controller_makes_is_not_told_of() -> None:
    replica_set = workload(BAD, kind="ReplicaSet")
    replica_set["metadata"]["ownerReferences"] = OWNED

    assert told(replica_set) == ()
    assert subject_of(Change("shop", replica_set), vocabulary=Vocabulary()) is None


def test_what_is_being_deleted_is_not_told_of() -> None:
    going = workload(BAD)
    going["metadata"]["deletionTimestamp"] = "2026-11-25T00:00:00Z"

    assert told(going, workload()) == ()


def test_other_objects_are_not_told_of() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app"}, **BAD}
    rollout = workload(BAD) | {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}

    assert [told(document) for document in (pod, rollout, {}, {"kind": 1})] == [()] * 4


def test_subject_is_whom_the_pods_will_ask_for() -> None:
    assert subject_of(Change("shop", workload(BAD)), vocabulary=Vocabulary()) == Subject(
        namespace="shop", service_account="app", pod="app", annotations={f"{KEY}/role-arn": ROLE_ARN}
    )


def test_warnings_are_few_and_short() -> None:
    annotations = {f"eks.amazon{'a' * number}.com/role-arn": "x" for number in range(5)}
    pod = template(annotations=annotations | {f"{KEY}/{'z' * 60}{number}": "x" for number in range(9)})

    texts = told(workload(pod, annotations=annotations))

    assert len(texts) == MAX_WARNINGS
    assert all(len(text) <= MAX_WARNING_CHARACTERS for text in texts)


def test_more_annotations_than_a_person_types_are_passed_over() -> None:
    some = {f"example.com/{number}": "" for number in range(MAX_ANNOTATIONS - 1)}
    slip = {"eks.amazon.com/role-arn": ""}

    for document in (
        annotated_with,
        lambda each: workload(template(annotations=each)),
        lambda each: workload(annotations=each),
    ):
        assert told(document(some | slip)) != ()
        assert told(document(some | slip | {"example.com/more": ""})) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
DOCUMENTS = [
    service_account(role_arn="x", token_expiration="x"),
    workload(BAD, annotations={f"{KEY}/role-arn": "x"}),
    workload(kind="CronJob"),
]


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [place for key, value in children for place in ((*path, key), *places(value, (*path, key)))]


@given(data=st.data(), known=st.sampled_from([None, BARE, annotated()]))
def test_whatever_stands_in_an_object_there_is_an_answer(data: st.DataObject, known: ServiceAccount | None) -> None:
    before = data.draw(st.sampled_from(DOCUMENTS))
    after = copy.deepcopy(before)
    *parents, last = data.draw(st.sampled_from(places(before)))
    target = after
    for key in parents:
        target = target[key]
    target[last] = data.draw(JSON)

    for change in (Change("shop", after), Change("shop", after, before), Change("shop", before, after)):
        subject_of(change, vocabulary=Vocabulary())
        assert all(len(text) <= MAX_WARNING_CHARACTERS for text in advice(change, known, rules=RULES))

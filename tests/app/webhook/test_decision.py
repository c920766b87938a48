import pytest

from app.cluster.objects import ServiceAccount
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Decision, Policy, Reason, Subject, decide
from app.webhook.identity import Defaults, Identified, Identity, Source, identify
from app.webhook.inject import Object
from tests.builders import BARE, ENV, MOUNT, MOUNT_PATH, ROLE_ARN, VOLUME, annotated, container, pod

PREFIX = "eks.amazonaws.com/"


def identified(service_account: ServiceAccount, **pod_annotations: str) -> Identified:
    named = {PREFIX + name.replace("_", "-"): value for name, value in pod_annotations.items()}
    return identify(service_account.annotations, named, vocabulary=Vocabulary(), defaults=Defaults())


def test_role_alone_takes_everything_else_from_the_defaults() -> None:
    assert identified(annotated()) == Identified(
        identity=Identity(role_arn=ROLE_ARN, audience="sts.amazonaws.com", token_expiration=86_400, regional_sts=True),
        source=Source.ANNOTATION,
    )


def test_every_annotation_is_heard() -> None:
    service_account = annotated(audience="mine", sts_regional_endpoints="false", token_expiration="7200")

    assert identified(service_account, token_expiration="900", skip_containers="a,b") == Identified(
        identity=Identity(
            role_arn=ROLE_ARN,
            audience="mine",
            token_expiration=900,
            regional_sts=False,
            skip_containers=frozenset({"a", "b"}),
        ),
        source=Source.ANNOTATION,
    )


@pytest.mark.parametrize(
    ("on_service_account", "on_pod", "used"),
    [
        pytest.param("7200", "900", 900, id="pod-first"),
        pytest.param("7200", "", 7200, id="empty-is-absent"),
        pytest.param("7200", "1h", 7200, id="unusable-is-absent"),
        pytest.param("1h", "1h", 86_400, id="default"),
        pytest.param("60", "1h", 600, id="too-short-is-the-shortest"),
        pytest.param("60", "99999999", 31_536_000, id="too-long-is-the-longest"),
    ],
)
def test_token_expiration_is_the_first_usable_one(on_service_account: str, on_pod: str, used: int) -> None:
    found = identified(annotated(token_expiration=on_service_account), token_expiration=on_pod).identity

    assert found is not None
    assert found.token_expiration == used


def test_unusable_values_are_warned_of_with_annotation_problem_and_fix() -> None:
    found = identified(annotated(token_expiration="1h", sts_regional_endpoints="yes"), token_expiration="60")

    assert found.warnings == (
        f'set {PREFIX}sts-regional-endpoints on the ServiceAccount to "true" or "false", got "yes"',
        f'set {PREFIX}token-expiration on the pod to whole seconds from 600 to 31536000, got "60"',
        f'set {PREFIX}token-expiration on the ServiceAccount to whole seconds from 600 to 31536000, got "1h"',
    )


def test_malformed_role_arn_gives_no_identity() -> None:
    assert identified(annotated(role_arn="shop")) == Identified(
        identity=None,
        source=Source.ANNOTATION,
        warnings=(
            (
                f"set {PREFIX}role-arn on the ServiceAccount to an IAM role's ARN such as"
                ' arn:aws:iam::111122223333:role/name, got "shop"'
            ),
        ),
    )


def test_empty_role_arn_asks_for_nothing() -> None:
    assert identified(annotated(role_arn="")) == Identified(identity=None, source=None)


def test_other_prefix_reads_other_annotations() -> None:
    service_account = ServiceAccount({"irsa.example/role-arn": ROLE_ARN})

    found = identify(
        service_account.annotations, {}, vocabulary=Vocabulary("irsa.example"), defaults=Defaults()
    ).identity

    assert found is not None
    assert found.role_arn == ROLE_ARN


def decided(
    service_account: ServiceAccount | None,
    before: Object | None = None,
    *,
    name: str = "app",
    annotations: dict[str, str] | None = None,
) -> Decision:
    return decide(
        Subject(namespace="shop", service_account=name, annotations=annotations or {}),
        service_account,
        pod=lambda: before or pod(),
        policy=Policy(),
    )


def never() -> Object:
    raise AssertionError("nobody needs the whole pod")


def test_pod_of_an_annotated_service_account_is_patched() -> None:
    assert decided(annotated()) == Decision(
        reason=Reason.PATCHED,
        operations=(
            {"op": "add", "path": "/spec/volumes", "value": [VOLUME]},
            {"op": "add", "path": "/spec/containers/0/env", "value": ENV},
            {"op": "add", "path": "/spec/containers/0/volumeMounts", "value": [MOUNT]},
        ),
        role_arn=ROLE_ARN,
        source=Source.ANNOTATION,
    )


def test_pod_without_a_role_is_not_even_read() -> None:
    subject = Subject(namespace="shop", service_account="app")

    assert decide(subject, BARE, pod=never, policy=Policy()) == Decision(reason=Reason.NO_ROLE)


def test_unknown_service_account_says_what_to_do() -> None:
    assert decided(None) == Decision(
        reason=Reason.SERVICE_ACCOUNT_NOT_FOUND,
        warnings=('create the pod again: ServiceAccount "shop/app" is not known yet: nothing was injected',),
    )


def test_mirror_pod_is_left_alone_even_with_a_role() -> None:
    assert decided(annotated(), annotations={"kubernetes.io/config.mirror": "x"}) == Decision(reason=Reason.MIRROR_POD)


def test_pod_without_a_service_account_is_left_alone() -> None:
    assert decided(annotated(), name="") == Decision(reason=Reason.NO_SERVICE_ACCOUNT)


def test_pod_that_has_it_all_is_left_alone() -> None:
    before = pod(container(env=ENV, volumeMounts=[MOUNT]), volumes=[VOLUME])

    assert decided(annotated(), before) == Decision(
        reason=Reason.ALREADY_PRESENT, role_arn=ROLE_ARN, source=Source.ANNOTATION
    )


def test_skipping_every_container_is_its_own_reason() -> None:
    assert decided(annotated(), annotations={PREFIX + "skip-containers": "app"}) == Decision(
        reason=Reason.ALL_CONTAINERS_SKIPPED, source=Source.ANNOTATION
    )


CONFLICTING = pod(container(volumeMounts=[{"name": "x", "mountPath": MOUNT_PATH}]))


def test_conflict_injects_nothing_and_names_the_remedy_first() -> None:
    assert decided(annotated(), CONFLICTING) == Decision(
        reason=Reason.CONFLICT,
        warnings=(
            (f'mount volume "x" of container "app" elsewhere: {MOUNT_PATH} is for the token: nothing was injected'),
        ),
        source=Source.ANNOTATION,
    )


def test_malformed_role_arn_injects_nothing() -> None:
    decision = decided(annotated(role_arn="shop"))

    assert (decision.reason, decision.operations) == (Reason.INVALID_ANNOTATION, ())
    assert decision.warnings == (
        (
            f"set {PREFIX}role-arn on the ServiceAccount to an IAM role's ARN such as"
            ' arn:aws:iam::111122223333:role/name, got "shop" (ServiceAccount "shop/app")'
        ),
    )


def test_role_annotation_on_the_pod_is_sent_to_the_service_account() -> None:
    assert decided(BARE, annotations={PREFIX + "role-arn": ROLE_ARN}) == Decision(
        reason=Reason.NO_ROLE,
        warnings=(
            f'move {PREFIX}role-arn to the ServiceAccount: on the pod it is ignored (ServiceAccount "shop/app")',
        ),
    )


def test_control_characters_of_strangers_come_out_escaped() -> None:
    hostile = annotated(region="\x1b[31m\nforged")

    decision = decided(hostile, name="a\x1b[0m")
    unknown = decided(None, name="a\nforged")

    assert all(text.isprintable() for text in decision.warnings + unknown.warnings)
    assert decision.warnings
    assert unknown.warnings


def test_warnings_are_bounded_in_length_and_number() -> None:
    slips = {f"{PREFIX}x{number}{'y' * 200}": "" for number in range(50)}
    hostile = ServiceAccount(
        {**annotated(token_expiration="x" * 2000, sts_regional_endpoints="?").annotations, **slips}
    )

    warnings = decided(hostile, annotations=slips | {PREFIX + "token-expiration": "x" * 2000}).warnings

    assert len(warnings) == 6
    assert max(map(len, warnings)) <= 256

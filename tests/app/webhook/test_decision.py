from dataclasses import replace
from typing import Any

import pytest

from app.cluster.objects import ServiceAccount
from app.webhook.annotations import Vocabulary
from app.webhook.decision import (
    ADMITTED,
    Decision,
    Policy,
    Reason,
    Subject,
    decide,
    identify_subject,
    malformed,
    needs_confirmation,
    required,
)
from app.webhook.identity import Defaults, Source
from app.webhook.inject import Object
from app.webhook.mappings import MappedRole, Mappings
from tests.builders import BARE, ENV, MOUNT, MOUNT_PATH, ROLE_ARN, VOLUME, annotated, container, pod

PREFIX = "eks.amazonaws.com/"


def decided(
    service_account: ServiceAccount | None,
    before: Object | None = None,
    *,
    name: str = "app",
    annotations: dict[str, str] | None = None,
    **keywords: Any,
) -> Decision:
    return decide(
        Subject(namespace="shop", service_account=name, annotations=annotations or {}),
        service_account,
        pod=lambda: before or pod(),
        **{"policy": Policy()} | keywords,
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


# Mappings and container credentials.

MAPPED_ARN = "arn:aws:iam::111122223333:role/mapped"
MAPPINGS = Mappings({"shop/*": MappedRole(role_arn=MAPPED_ARN)})
ENDPOINT = frozenset({("shop", "app")})


@pytest.mark.parametrize("service_account", [BARE, None], ids=["bare", "unknown"])
def test_mapping_serves_a_service_account_that_nobody_knows_yet_too(service_account: ServiceAccount | None) -> None:
    decision = decided(service_account, mappings=MAPPINGS)

    assert (decision.reason, decision.role_arn, decision.source) == (Reason.PATCHED, MAPPED_ARN, Source.MAPPING)


@pytest.mark.parametrize("assigned", [{"mappings": MAPPINGS}, {"container_credentials": ENDPOINT}])
def test_what_is_assigned_to_a_service_account_that_nobody_knows_is_not_all_that_can_be_known(assigned: Any) -> None:
    assert decided(None, **assigned).is_without_account
    assert not decided(BARE, **assigned).is_without_account


@pytest.mark.parametrize("service_account", [BARE, annotated(), None], ids=["bare", "annotated", "unknown"])
def test_container_credentials_come_first_and_tell_no_role(service_account: ServiceAccount | None) -> None:
    decision = decided(service_account, mappings=MAPPINGS, container_credentials=ENDPOINT)

    assert (decision.reason, decision.role_arn) == (Reason.PATCHED, None)
    assert decision.source is Source.CONTAINER_CREDENTIALS


def test_neither_serves_others() -> None:
    assert decided(
        BARE, name="other", container_credentials=ENDPOINT, mappings=Mappings({"a/b": MappedRole(role_arn=MAPPED_ARN)})
    ) == Decision(reason=Reason.NO_ROLE)


def test_pods_of_one_owner_get_one_lifetime() -> None:
    policy = Policy(defaults=Defaults(token_expiration_jitter=0.5))

    def lifetime(**subject: Any) -> int:
        who = Subject(**{"namespace": "shop", "service_account": "app"} | subject)
        identity = identify_subject(who, annotated(), policy=policy).identity
        assert identity is not None
        return identity.token_expiration

    assert lifetime(owner_uid="1", pod="a") == lifetime(owner_uid="1", pod="b") != lifetime(owner_uid="2")
    assert lifetime(pod="a-") == lifetime(pod="a-x7k2p") != lifetime(service_account="other")


# Pods that must have an identity.

SUFFIX = ": this pod must have an AWS identity and would get none"


@pytest.mark.parametrize(
    ("service_account", "keywords", "reason", "remedy"),
    [
        pytest.param(
            BARE,
            {},
            Reason.NO_ROLE,
            f'annotate ServiceAccount "shop/app" with {PREFIX}role-arn',
            id="no-role",
        ),
        pytest.param(
            None,
            {},
            Reason.SERVICE_ACCOUNT_NOT_FOUND,
            'create the pod again: ServiceAccount "shop/app" is not known yet',
            id="not-found",
        ),
        pytest.param(
            annotated(),
            {"name": ""},
            Reason.NO_SERVICE_ACCOUNT,
            "name a ServiceAccount in spec.serviceAccountName",
            id="no-service-account",
        ),
        pytest.param(
            annotated(),
            {"annotations": {PREFIX + "skip-containers": "app"}},
            Reason.ALL_CONTAINERS_SKIPPED,
            "leave one container at least to skip-containers and include-containers",
            id="all-skipped",
        ),
        pytest.param(
            annotated(),
            {"before": CONFLICTING},
            Reason.CONFLICT,
            f'mount volume "x" of container "app" elsewhere: {MOUNT_PATH} is for the token',
            id="conflict",
        ),
        pytest.param(
            annotated(role_arn="x"),
            {"annotations": {PREFIX + "role-arn": "y"}},
            Reason.INVALID_ANNOTATION,
            (
                f"set {PREFIX}role-arn on the ServiceAccount to an IAM role's ARN such as"
                ' arn:aws:iam::111122223333:role/name, got "x" (ServiceAccount "shop/app")'
            ),
            id="invalid-annotation",
        ),
        pytest.param(
            annotated(),
            {"before": {"spec": 1}},
            Reason.MALFORMED_POD,
            "write an object at /spec, got a number",
            id="malformed",
        ),
    ],
)
def test_pod_that_must_have_an_identity_is_denied_with_the_remedy_first(
    service_account: ServiceAccount | None, keywords: dict[str, Any], reason: Reason, remedy: str
) -> None:
    decision = decided(service_account, **keywords, is_required=True)

    assert (decision.reason, decision.denial) == (reason, remedy + SUFFIX)
    assert decision == replace(decided(service_account, **keywords), denial=decision.denial)


def of(*variables: dict[str, Any] | tuple[str, str], **fields: Any) -> Object:
    env = [{"name": one[0], "value": one[1]} if isinstance(one, tuple) else one for one in variables]
    return container(env=env) | fields


EMPTY_TOKEN = ("AWS_WEB_IDENTITY_TOKEN_FILE", "")
EMPTY_ROLE = ("AWS_ROLE_ARN", "")
OTHER_TOKEN = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/own/token")
OWN_ROLE = ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/own")
OTHER_ENDPOINT = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")
KEY = ("AWS_ACCESS_KEY_ID", "AKIA")


@pytest.mark.parametrize(
    ("before", "names"),
    [
        pytest.param([of(EMPTY_TOKEN)], "AWS_WEB_IDENTITY_TOKEN_FILE", id="no-token"),
        pytest.param([of(OTHER_TOKEN)], "AWS_WEB_IDENTITY_TOKEN_FILE", id="token-that-nobody-mounts"),
        pytest.param([of(EMPTY_ROLE)], "AWS_ROLE_ARN", id="no-role"),
        pytest.param([of(EMPTY_TOKEN, EMPTY_ROLE)], "AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE", id="neither"),
        pytest.param([of(OWN_ROLE, OTHER_TOKEN)], "AWS_WEB_IDENTITY_TOKEN_FILE", id="own-role-and-no-token"),
        pytest.param([of(EMPTY_TOKEN), of(EMPTY_ROLE, name="b")], "AWS_WEB_IDENTITY_TOKEN_FILE", id="each"),
        pytest.param(
            [of(*ENV[1:2], {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "valueFrom": {}})],
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            id="token-from-elsewhere",
        ),
    ],
)
def test_pod_of_containers_that_keep_their_identity_away_is_denied_where_it_must_have_one(
    before: list[Object], names: str
) -> None:
    """And elsewhere it is what they want."""
    document = pod(*before)

    decision = decided(annotated(), document, is_required=True)

    assert (decision.reason, decision.operations) == (Reason.CONFLICT, ())
    assert decision.denial == f'remove {names} from container "app": no container uses its token{SUFFIX}'
    assert decided(annotated(), document).reason in ADMITTED
    strict = ServiceAccount({**annotated().annotations, "irsa/require-identity": "true"})
    assert decided(strict, document).denial == decision.denial


def test_pod_whose_endpoint_is_another_is_denied_where_it_must_have_one() -> None:
    decision = decided(BARE, pod(of(OTHER_ENDPOINT)), container_credentials=ENDPOINT, is_required=True)

    assert decision.denial == (
        'remove AWS_CONTAINER_CREDENTIALS_FULL_URI from container "app": no container uses its token' + SUFFIX
    )


OWN_TOKEN = {
    "name": "own",
    "projected": {"sources": [{"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token"}}]},
}
OF_THE_API = {"name": "own", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
MOUNTED = {"volumeMounts": [{"name": "own", "mountPath": "/own"}]}


@pytest.mark.parametrize(
    ("before", "is_denied"),
    [
        pytest.param(pod(of(EMPTY_TOKEN), container("b")), False, id="one-container-uses-it"),
        pytest.param(pod(of(EMPTY_TOKEN), initContainers=[container("b")]), False, id="an-init-container-does"),
        pytest.param(pod(of(OWN_ROLE)), False, id="another-role-with-our-token"),
        pytest.param(pod(of(OWN_ROLE, OTHER_TOKEN, **MOUNTED), volumes=[OWN_TOKEN]), False, id="token-of-its-own"),
        pytest.param(
            pod(of(OWN_ROLE, (OTHER_TOKEN[0], r"C:\own\token"), **MOUNTED), volumes=[OWN_TOKEN]), False, id="windows"
        ),
        pytest.param(pod(of(OTHER_TOKEN, **MOUNTED), volumes=[OWN_TOKEN]), True, id="token-without-a-role"),
        pytest.param(pod(of(OWN_ROLE, OTHER_TOKEN, **MOUNTED), volumes=[OF_THE_API]), True, id="token-for-the-api"),
        pytest.param(pod(of(OWN_ROLE, OTHER_TOKEN), volumes=[OWN_TOKEN]), True, id="token-that-is-not-mounted"),
    ],
)
def test_one_token_that_a_container_will_show_to_aws_is_an_identity(before: Object, is_denied: bool) -> None:
    decision = decided(annotated(), before, is_required=True)

    assert (decision.denial is not None) is is_denied


def test_static_keys_that_an_sdk_takes_first_are_told_of() -> None:
    """The pod has its identity, so it is not refused: it only does not use it."""
    decision = decided(annotated(), pod(of(KEY), of(("AWS_ACCESS_KEY_ID", ""), name="b")), is_required=True)

    assert (decision.reason, decision.denial) == (Reason.PATCHED, None)
    assert decision.warnings == ('remove AWS_ACCESS_KEY_ID from container "app": SDKs take it instead of the role',)


@pytest.mark.parametrize(
    ("service_account", "keywords", "reason"),
    [
        (annotated(), {}, Reason.PATCHED),
        (BARE, {"mappings": MAPPINGS}, Reason.PATCHED),
        (None, {"container_credentials": ENDPOINT}, Reason.PATCHED),
        (
            annotated(),
            {"before": pod(container(env=ENV, volumeMounts=[MOUNT]), volumes=[VOLUME])},
            Reason.ALREADY_PRESENT,
        ),
    ],
)
def test_pod_that_has_one_or_needs_none_is_admitted(
    service_account: ServiceAccount | None, keywords: dict[str, Any], reason: Reason
) -> None:
    decision = decided(service_account, **keywords, is_required=True)

    assert (decision.reason, decision.denial) == (reason, None)


def test_nothing_on_a_pod_exempts_it_from_the_identity_that_it_must_have() -> None:
    decision = decided(annotated(), annotations={"kubernetes.io/config.mirror": "x"}, is_required=True)

    assert decision.reason is Reason.MIRROR_POD
    assert decision.denial == (
        "remove the annotation kubernetes.io/config.mirror: this pod must have an AWS identity and would get none"
    )


@pytest.mark.parametrize(
    ("value", "is_denied"),
    [("true", True), ("1", True), ("false", False), ("0", False), ("", False), ("yes", True)],
)
def test_service_account_may_want_an_identity_for_its_pods(value: str, is_denied: bool) -> None:
    decision = decided(ServiceAccount({"irsa/require-identity": value}))

    assert decision.reason is Reason.NO_ROLE
    assert (decision.denial is not None) is is_denied
    assert bool(decision.warnings) is (value == "yes")


def test_annotation_on_the_pod_or_under_another_prefix_requires_nothing() -> None:
    assert decided(BARE, annotations={"irsa/require-identity": "true"}).denial is None
    assert decided(ServiceAccount({f"{PREFIX}require-identity": "true"})).denial is None


@pytest.mark.parametrize(
    ("decision", "denial"),
    [
        (malformed("write a pod"), f"write a pod{SUFFIX}"),
        (
            Decision(reason=Reason.INTERNAL_ERROR),
            f"try again, and then report it to whoever runs the webhook, whose log says more{SUFFIX}",
        ),
        (Decision(reason=Reason.NOT_A_POD), None),
        (Decision(reason=Reason.NOT_A_CREATION), None),
    ],
)
def test_decision_without_a_subject_is_denied_too(decision: Decision, denial: str | None) -> None:
    assert required(decision, vocabulary=Vocabulary()) == replace(decision, denial=denial)


def test_denial_is_bounded() -> None:
    hostile = annotated(role_arn="\N{PILE OF POO}" * 100)

    denial = decided(hostile, name="é" * 300, is_required=True).denial

    assert denial is not None
    assert denial.endswith(f"…{SUFFIX}")
    assert len(denial) == 256


def test_every_reason_is_either_admitted_or_denied_with_a_remedy() -> None:
    for reason in Reason:
        decision = required(Decision(reason=reason, warnings=("do this",)), vocabulary=Vocabulary())
        assert (decision.denial is None) == (reason in ADMITTED)


# When a live look is worth its time.


@pytest.mark.parametrize(
    ("decision", "owner_uid", "is_recent", "needed"),
    [
        pytest.param(Decision(reason=Reason.SERVICE_ACCOUNT_NOT_FOUND), "1", False, True, id="unknown"),
        pytest.param(Decision(reason=Reason.NO_ROLE), "", False, True, id="bare-pod"),
        pytest.param(Decision(reason=Reason.NO_ROLE), "1", True, True, id="recent"),
        pytest.param(Decision(reason=Reason.NO_ROLE, denial="x"), "1", False, True, id="denied"),
        pytest.param(Decision(reason=Reason.NO_ROLE), "1", False, False, id="every-other-pod"),
        pytest.param(Decision(reason=Reason.INVALID_ANNOTATION), "1", True, True, id="mended-a-moment-ago"),
        pytest.param(Decision(reason=Reason.PATCHED, source=Source.MAPPING), "", False, True, id="mapped"),
        pytest.param(Decision(reason=Reason.PATCHED, source=Source.MAPPING), "1", False, False, id="mapped-and-owned"),
        pytest.param(Decision(reason=Reason.PATCHED, source=Source.ANNOTATION), "", True, False, id="annotated"),
        pytest.param(
            Decision(reason=Reason.PATCHED, source=Source.CONTAINER_CREDENTIALS), "", True, False, id="endpoint"
        ),
        pytest.param(
            Decision(reason=Reason.PATCHED, source=Source.CONTAINER_CREDENTIALS, is_without_account=True),
            "1",
            False,
            True,
            id="unknown-and-assigned",
        ),
        pytest.param(Decision(reason=Reason.MIRROR_POD), "", True, False, id="mirror"),
        pytest.param(Decision(reason=Reason.NO_SERVICE_ACCOUNT, denial="x"), "", True, False, id="nobody-to-ask-for"),
        pytest.param(Decision(reason=Reason.MALFORMED_POD, denial="x"), "", True, False, id="malformed"),
    ],
)
def test_live_look_is_for_what_it_could_change(
    decision: Decision, owner_uid: str, is_recent: bool, needed: bool
) -> None:
    subject = Subject(namespace="shop", service_account="app", owner_uid=owner_uid)

    assert needs_confirmation(decision, subject, is_recent=is_recent) is needed


def test_proxy_that_stands_elsewhere_is_told_of_where_the_endpoint_is_local() -> None:
    proxied = container(
        env=[
            {"name": "HTTP_PROXY", "value": "http://proxy:3128"},
            {"name": "NO_PROXY", "valueFrom": {"configMapKeyRef": {"name": "proxy", "key": "none"}}},
        ]
    )
    decision = decide(
        Subject(namespace="shop", service_account="app"),
        BARE,
        pod=lambda: pod(proxied),
        policy=Policy(),
        container_credentials=frozenset({("shop", "app")}),
    )

    assert decision.reason is Reason.PATCHED
    assert [warning for warning in decision.warnings if "NO_PROXY" in warning] == list(decision.warnings)
    assert len(decision.warnings) == 1

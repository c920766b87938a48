import itertools
from typing import Any

import pytest

from app.cluster.objects import ServiceAccount
from app.webhook.accounts import Account
from app.webhook.annotations import Vocabulary
from app.webhook.identity import Defaults, Identified, Identity, Mode, Source, identify, jittered
from app.webhook.mappings import MappedRole
from app.webhook.profiles import Profile
from tests.builders import ROLE_ARN, annotated

PREFIX = "eks.amazonaws.com/"
MAPPED_ARN = "arn:aws:iam::111122223333:role/mapped"
MAPPING = MappedRole(role_arn=MAPPED_ARN)
OWN: dict[str, Any] = {
    "role_arn": ROLE_ARN,
    "audience": "sts.amazonaws.com",
    "token_expiration": 86_400,
    "regional_sts": True,
}
MAPPED = OWN | {"role_arn": MAPPED_ARN}
ENDPOINT = OWN | {"role_arn": "", "audience": "pods.eks.amazonaws.com", "mode": Mode.CONTAINER_CREDENTIALS}


def without_role(**annotations: str) -> ServiceAccount:
    return annotated(**({"role_arn": ""} | annotations))


def identified(service_account: ServiceAccount, pod: dict[str, str] | None = None, **keywords: Any) -> Identified:
    named = {PREFIX + name.replace("_", "-"): value for name, value in (pod or {}).items()}
    keywords.setdefault("defaults", Defaults())
    return identify(service_account.annotations, named, vocabulary=Vocabulary(), **keywords)


# Who says which role.


@pytest.mark.parametrize(
    ("service_account", "mapping", "uses_container_credentials", "identity", "source"),
    [
        pytest.param(annotated(), MAPPING, True, ENDPOINT, Source.CONTAINER_CREDENTIALS, id="container-credentials"),
        pytest.param(without_role(), None, True, ENDPOINT, Source.CONTAINER_CREDENTIALS, id="these-alone"),
        pytest.param(annotated(), MAPPING, False, OWN, Source.ANNOTATION, id="annotation"),
        pytest.param(without_role(), MAPPING, False, MAPPED, Source.MAPPING, id="empty-annotation"),
        pytest.param(ServiceAccount({}), MAPPING, False, MAPPED, Source.MAPPING, id="mapping"),
        pytest.param(annotated(role_arn="x"), MAPPING, False, None, Source.ANNOTATION, id="unusable-annotation"),
        pytest.param(without_role(), None, False, None, None, id="nobody"),
    ],
)
def test_role_comes_from_the_first_who_names_one(
    service_account: ServiceAccount,
    mapping: MappedRole | None,
    uses_container_credentials: bool,
    identity: dict[str, Any] | None,
    source: Source | None,
) -> None:
    found = identified(service_account, mapping=mapping, uses_container_credentials=uses_container_credentials)

    assert found.identity == (identity and Identity(**identity))
    assert found.source is source


FULL = MappedRole(
    role_arn=MAPPED_ARN, audience="mapped", regional_sts=False, token_expiration=7200, region="eu-central-1"
)


def test_mapping_says_the_rest_too() -> None:
    assert identified(ServiceAccount({}), mapping=FULL).identity == Identity(
        role_arn=MAPPED_ARN, audience="mapped", token_expiration=7200, regional_sts=False, region="eu-central-1"
    )


def test_annotations_come_before_the_mapping() -> None:
    service_account = without_role(
        audience="mine", sts_regional_endpoints="true", token_expiration="3600", region="us-east-1"
    )

    assert identified(service_account, {"token_expiration": "900"}, mapping=FULL).identity == Identity(
        role_arn=MAPPED_ARN, audience="mine", token_expiration=900, regional_sts=True, region="us-east-1"
    )


def test_mapping_says_nothing_where_the_annotation_names_the_role() -> None:
    assert identified(annotated(), mapping=FULL).identity == Identity(**OWN)


def test_defaults_are_the_operators() -> None:
    defaults = Defaults(audience="theirs", token_expiration=3600, regional_sts=False, has_session_name=True)

    assert identified(annotated(), defaults=defaults).identity == Identity(
        role_arn=ROLE_ARN, audience="theirs", token_expiration=3600, regional_sts=False, has_session_name=True
    )


def test_bare_names_are_roles_of_the_account_in_profiles_too() -> None:
    defaults = Defaults(account=Account(id="111122223333"))
    service_account = annotated(role_arn="shop", profiles="audit = path/audit")

    assert identified(service_account, defaults=defaults).identity == Identity(
        **OWN | {"profiles": (Profile(name="audit", role_arn="arn:aws:iam::111122223333:role/path/audit"),)}
    )


# What the other annotations say.


def test_role_alone_takes_everything_else_from_the_defaults() -> None:
    assert identified(annotated()) == Identified(
        identity=Identity(role_arn=ROLE_ARN, audience="sts.amazonaws.com", token_expiration=86_400, regional_sts=True),
        source=Source.ANNOTATION,
    )


def test_every_annotation_is_heard() -> None:
    service_account = annotated(audience="mine", sts_regional_endpoints="false", token_expiration="7200")

    assert identified(service_account, {"token_expiration": "900", "skip_containers": "a,b"}) == Identified(
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
    found = identified(annotated(token_expiration=on_service_account), {"token_expiration": on_pod}).identity

    assert found is not None
    assert found.token_expiration == used


def test_unusable_values_are_warned_of_with_annotation_problem_and_fix() -> None:
    found = identified(annotated(token_expiration="1h", sts_regional_endpoints="yes"), {"token_expiration": "60"})

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


@pytest.mark.parametrize(
    ("on_pod", "on_service_account", "skipped"),
    [("a,b", "b,c", "abc"), ("", "b,c", "bc"), ("a", "", "a"), ("", "", ""), ('"', "c", "c")],
)
def test_skipped_are_those_of_pod_and_service_account_together(
    on_pod: str, on_service_account: str, skipped: str
) -> None:
    identity = identified(annotated(skip_containers=on_service_account), {"skip_containers": on_pod}).identity

    assert identity is not None
    assert identity.skip_containers == set(skipped)


@pytest.mark.parametrize(
    ("on_pod", "on_service_account", "included"),
    [("a,b", "b,c", {"a", "b"}), ("", "b,c", {"b", "c"}), (" , ", "c", {"c"}), ('"', "c", {"c"}), ("", "", None)],
)
def test_included_are_those_of_the_pod_or_else_of_the_service_account(
    on_pod: str, on_service_account: str, included: set[str] | None
) -> None:
    identity = identified(annotated(include_containers=on_service_account), {"include_containers": on_pod}).identity

    assert identity is not None
    assert identity.include_containers == included


@pytest.mark.parametrize(
    ("value", "default", "named"),
    [("true", False, True), ("false", True, False), ("", True, True), ("yes", False, False), ("yes", True, True)],
)
def test_session_name_is_for_who_wants_it(value: str, default: bool, named: bool) -> None:
    identity = identified(annotated(session_name=value), defaults=Defaults(has_session_name=default)).identity

    assert identity is not None
    assert identity.has_session_name is named


def test_every_value_that_cannot_be_used_is_warned_of_and_counts_as_absent() -> None:
    service_account = annotated(
        region="EU", session_name="yes", include_containers='"', skip_containers='"', profiles="x"
    )
    required = ServiceAccount({**service_account.annotations, "irsa/require-identity": "yes"})

    assert identified(required) == Identified(
        identity=Identity(**OWN),
        source=Source.ANNOTATION,
        warnings=(
            'set irsa/require-identity on the ServiceAccount to "true" or "false", got "yes"',
            f'set {PREFIX}session-name on the ServiceAccount to "true" or "false", got "yes"',
            f'set {PREFIX}skip-containers on the ServiceAccount to container names with commas between them, got "\\""',
            (
                f"set {PREFIX}include-containers on the ServiceAccount to container names with commas between them,"
                ' got "\\""'
            ),
            f'set {PREFIX}region on the ServiceAccount to a region such as eu-central-1, got "EU"',
            (
                f"set {PREFIX}profiles on the ServiceAccount to lines of name=role-arn, source_profile=name after it or"
                ' not, got "x"'
            ),
        ),
    )


def test_role_that_cannot_be_used_is_told_first() -> None:
    slips = {f"{PREFIX}x{number}": "" for number in range(9)}

    warnings = identify(
        {f"{PREFIX}role-arn": "x", **slips}, slips, vocabulary=Vocabulary(), defaults=Defaults()
    ).warnings

    assert warnings[0].startswith(f"set {PREFIX}role-arn on the ServiceAccount to an IAM role's ARN")
    assert len(warnings) == 7


def test_endpoint_names_role_and_session_itself() -> None:
    service_account = annotated(
        audience="mine", token_expiration="7200", session_name="true", profiles=f"x={ROLE_ARN}", region="eu-west-1"
    )

    assert identified(service_account, uses_container_credentials=True) == Identified(
        identity=Identity(**ENDPOINT | {"token_expiration": 7200, "region": "eu-west-1"}),
        source=Source.CONTAINER_CREDENTIALS,
        warnings=(f"remove {PREFIX}profiles from the ServiceAccount: with container credentials it is ignored",),
    )


# What the AWS webhook makes of malformed input (facts/webhook.md 1.2.6), and we do.


@pytest.mark.parametrize(
    ("service_account", "pod", "different", "is_warned"),
    [
        pytest.param({"role_arn": "arn:aws:iam::1:role/x"}, {}, None, True, id="arn-injected-by-aws"),
        pytest.param({"role_arn": ""}, {}, None, False, id="empty-arn"),
        pytest.param({"sts_regional_endpoints": "no"}, {}, {}, True, id="boolean-ignored"),
        pytest.param({"sts_regional_endpoints": "F"}, {}, {"regional_sts": False}, False, id="boolean-of-go"),
        pytest.param({"token_expiration": "1h"}, {}, {}, True, id="expiration-ignored"),
        pytest.param({"token_expiration": "7200"}, {"token_expiration": "x"}, {"token_expiration": 7200}, True, id="1"),
        pytest.param({"token_expiration": "599"}, {}, {"token_expiration": 600}, True, id="expiration-too-short"),
        pytest.param({"token_expiration": "-7"}, {}, {"token_expiration": 600}, True, id="expiration-negative"),
        pytest.param({"token_expiration": "99999999"}, {}, {"token_expiration": 31_536_000}, True, id="no-bound-there"),
        pytest.param({}, {"skip_containers": 'a"b'}, {}, True, id="bare-quote"),
        pytest.param({}, {"skip_containers": ""}, {}, False, id="empty-skip"),
        pytest.param({}, {"skip_containers": "a, b"}, {"skip_containers": frozenset("ab")}, False, id="trimmed"),
        pytest.param({"skip_containers": "a"}, {}, {"skip_containers": frozenset("a")}, False, id="not-read-there"),
    ],
)
def test_malformed_input_is_read_as_by_aws_or_better(
    service_account: dict[str, str], pod: dict[str, str], different: dict[str, Any] | None, is_warned: bool
) -> None:
    found = identified(annotated(**service_account), pod)

    assert found.identity == (None if different is None else Identity(**OWN | different))
    assert bool(found.warnings) is is_warned


@pytest.mark.parametrize(
    ("value", "account", "arn"),
    [
        ("name", Account(id="111122223333", partition="aws-us-gov"), "arn:aws-us-gov:iam::111122223333:role/name"),
        ("name", None, None),
    ],
)
def test_bare_name_needs_an_account(value: str, account: Account | None, arn: str | None) -> None:
    identity = identified(annotated(role_arn=value), defaults=Defaults(account=account)).identity

    assert (identity.role_arn if identity else None) == arn


# Jitter.


def spread(
    owners: list[str], *, seconds: int = 86_400, mode: Mode = Mode.WEB_IDENTITY, jitter: float = 0.0
) -> list[int]:
    identity = Identity(**OWN | {"token_expiration": seconds, "mode": mode})
    defaults = Defaults(token_expiration_jitter=jitter)
    return [jittered(identity, defaults=defaults, owner=owner).token_expiration for owner in owners]


OWNERS = [f"shop/{number}" for number in range(1000)]


def test_nothing_is_shortened_unless_told_to() -> None:
    assert set(spread(OWNERS)) == {86_400}


def test_owners_are_spread_evenly_over_the_part_that_was_chosen() -> None:
    found = spread(OWNERS, jitter=0.25)

    assert 64_800 <= min(found) < 66_000
    assert 85_200 < max(found) <= 86_400
    assert max(len(list(group)) for _, group in itertools.groupby(sorted(value // 2160 for value in found))) < 150


def test_owner_gets_the_same_each_time() -> None:
    assert spread(OWNERS, jitter=0.5) == spread(OWNERS, jitter=0.5)
    assert spread(["shop/a"], jitter=0.5) != spread(["other/a"], jitter=0.5)


def test_shortest_lifetime_is_kept() -> None:
    assert set(spread(OWNERS, seconds=600, jitter=0.5)) == {600}
    assert min(spread(OWNERS, seconds=700, jitter=0.5)) == 600


def test_container_credentials_are_spread_as_by_aws_where_the_lifetime_is_the_default() -> None:
    found = spread(OWNERS, mode=Mode.CONTAINER_CREDENTIALS)

    assert 79_200 <= min(found) < 79_300
    assert 86_300 < max(found) <= 86_400
    assert set(spread(OWNERS, seconds=7200, mode=Mode.CONTAINER_CREDENTIALS, jitter=0.5)) == {7200}

import time
from collections.abc import Callable

import pytest

from app.webhook import profiles
from app.webhook.annotations import (
    ANNOTATIONS,
    KNOWN,
    MAX_ANNOTATIONS,
    MAX_COMPARED,
    Annotation,
    InvalidAnnotationError,
    Place,
    Vocabulary,
    audience,
    boolean,
    clamped_token_expiration,
    containers,
    region,
    role_arn,
    token_expiration,
)
from app.webhook.similar import is_near


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::111122223333:role/name",
        "arn:aws-cn:iam::111122223333:role/path/to/name",
        "arn:aws-us-gov:iam::111122223333:role/a+b=c,d.e@f_g-h",
        "arn:aws-iso-b:iam::111122223333:role/x",
    ],
)
def test_role_of_any_partition_and_path_is_a_role(arn: str) -> None:
    assert role_arn(arn) == arn


@pytest.mark.parametrize(
    "value",
    [
        "name",
        "arn:aws:iam::11112222333:role/name",
        "arn:aws:iam::111122223333:user/name",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/name ",
        "arn:aws:iam::111122223333:role/name\n",
        "arn:aws:sts::111122223333:assumed-role/name/session",
        "arn:aws:iam::١١١١٢٢٢٢٣٣٣٣:role/name",
        "arn:aws:iam::111122223333:role/" + "a" * 2048,
    ],
)
def test_what_is_no_role_arn_is_refused(value: str) -> None:
    with pytest.raises(
        InvalidAnnotationError, match=r"^to an IAM role's ARN such as arn:aws:iam::111122223333:role/name, got "
    ):
        role_arn(value)


@pytest.mark.parametrize(("value", "seconds"), [("600", 600), ("+3600", 3600), ("31536000", 31_536_000)])
def test_token_expiration_is_whole_seconds(value: str, seconds: int) -> None:
    assert token_expiration(value) == seconds


@pytest.mark.parametrize(
    ("value", "used"),
    [
        ("599", 600),
        ("-1", 600),
        ("31536001", 31_536_000),
        (str(2**63 - 1), 31_536_000),
        (str(2**63), None),
        ("9" * 20, None),
        ("1h", None),
        ("3600.0", None),
        ("٣٦٠٠", None),
        (" 3600", None),
    ],
)
def test_token_expiration_out_of_range_is_an_error_and_clamped_where_it_is_a_number(
    value: str, used: int | None
) -> None:
    with pytest.raises(InvalidAnnotationError) as caught:
        token_expiration(value)

    assert str(caught.value) == f'to whole seconds from 600 to 31536000, got "{value}"'
    assert clamped_token_expiration(value) == used


@pytest.mark.parametrize("value", ["1", "t", "T", "TRUE", "true", "True"])
def test_what_go_takes_for_true_is_true(value: str) -> None:
    assert boolean(value) is True


@pytest.mark.parametrize("value", ["0", "f", "F", "FALSE", "false", "False"])
def test_what_go_takes_for_false_is_false(value: str) -> None:
    assert boolean(value) is False


@pytest.mark.parametrize("value", ["yes", "tRUE", "", "on"])
def test_what_go_takes_for_neither_is_refused(value: str) -> None:
    with pytest.raises(InvalidAnnotationError, match=r'^to "true" or "false", got'):
        boolean(value)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a", {"a"}),
        ("a,b", {"a", "b"}),
        (" a , b ,", {"a", "b"}),
        ('"a", "b"', {"a", "b"}),
        ("a\nb", {"a"}),
        ("\na,b", {"a", "b"}),
        ("", set()),
    ],
)
def test_skip_containers_are_the_trimmed_names_of_one_csv_record(value: str, names: set[str]) -> None:
    assert containers(value) == names


@pytest.mark.parametrize("value", ['"a', '"a"b', 'a"b', 'a, b"', "a" * 4097])
def test_skip_containers_that_are_no_csv_or_endless_are_refused(value: str) -> None:
    with pytest.raises(InvalidAnnotationError):
        containers(value)


def test_audience_that_no_provider_can_have_is_refused() -> None:
    assert audience("a" * 255) == "a" * 255
    with pytest.raises(InvalidAnnotationError, match=r'^to at most 255 characters, got "a{80}…"$'):
        audience("a" * 256)


PARSERS: dict[str, Callable[[str], object]] = {
    "role-arn": role_arn,
    "audience": audience,
    "token-expiration": token_expiration,
    "sts-regional-endpoints": boolean,
    "region": region,
    "skip-containers": containers,
    "include-containers": containers,
    "session-name": boolean,
    "profiles": profiles.parse,
    "require-identity": boolean,
}
BEGINNINGS = {
    "role-arn": "arn:aws:iam::111122223333:role/",
    "profiles": "a=arn:aws:iam::111122223333:role/",
    "token-expiration": "3600",
    "sts-regional-endpoints": "true",
}


@pytest.mark.parametrize("known", ANNOTATIONS, ids=lambda known: known.name)
@pytest.mark.parametrize("character", ["a", "\N{PARTY POPPER}", " ", "\n"])
def test_value_that_is_too_long_is_refused_as_what_is_kept_of_it_is(known: Annotation, character: str) -> None:
    value = BEGINNINGS.get(known.name, "") + character * 10_000
    kept = value[: known.longest + 1]

    said = []
    for each in (value, kept):
        with pytest.raises(InvalidAnnotationError) as caught:
            PARSERS[known.name](each)
        said.append(str(caught.value).replace("10000", "2049"))
    assert said[0] == said[1]


def test_longest_good_value_of_each_kind_is_kept_whole() -> None:
    longest = {
        "role-arn": f"arn:aws:iam::111122223333:role/{'a' * 2017}",
        "audience": "a" * 255,
        "token-expiration": "+0000000000000086400",
        "sts-regional-endpoints": "false",
        "region": "a" * 63,
        "skip-containers": "a" * 2048,
        "include-containers": "a" * 2048,
        "session-name": "false",
        "profiles": f"a=arn:aws:iam::111122223333:role/{'a' * 2015}",
        "require-identity": "false",
    }

    for known in ANNOTATIONS:
        assert PARSERS[known.name](longest[known.name]) is not None
        assert len(longest[known.name]) <= known.longest


@pytest.mark.parametrize(
    ("key", "concerns"),
    [
        ("eks.amazonaws.com/role-arn", True),
        ("eks.amazonaws.com/anything", True),
        ("eks.amazon.com/role-arn", True),
        ("eks.amazon.com/anything", False),
        ("example.com/role-arn", False),
        ("role-arn", False),
        ("kubectl.kubernetes.io/last-applied-configuration", False),
    ],
)
def test_annotations_of_our_prefix_and_slips_for_it_concern_us(key: str, concerns: bool) -> None:
    assert list(Vocabulary().concerning([key])) == ([key] if concerns else [])


def test_slips_are_answered_with_what_to_write() -> None:
    annotations = {
        "eks.amazon.com/role-arn": "x",
        "eks.amazonaws.com/audiense": "x",
        "eks.amazonaws.com/skip-containers": "x",
        "eks.amazonaws.com/rolls": "x",
        "eks.amazonaws.com/compute-type": "x",
        "example.com/role-arn": "x",
        "eks.amazonaws.com/role-arn": "x",
    }

    assert Vocabulary().slips(annotations, "ServiceAccount") == [
        'write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount: it is ignored',
        'write eks.amazonaws.com/audience instead of "eks.amazonaws.com/audiense" on the ServiceAccount: it is ignored',
        ('remove "eks.amazonaws.com/rolls" from the ServiceAccount: there is no such annotation'),
    ]


@pytest.mark.parametrize(
    ("key", "place", "slip"),
    [
        ("irsa/require-identity", "ServiceAccount", None),
        (
            "irsa/require-identity",
            "pod",
            "move irsa/require-identity to the ServiceAccount: on the pod it is ignored",
        ),
        (
            "irsa/require-identty",
            "ServiceAccount",
            (
                'write irsa/require-identity instead of "irsa/require-identty" on the ServiceAccount or remove it:'
                " it is ignored"
            ),
        ),
        ("irsa/aws-config", "pod", None),
        (
            "eks.amazonaws.com/role-arn",
            "pod",
            "move eks.amazonaws.com/role-arn to the ServiceAccount: on the pod it is ignored",
        ),
        ("eks.amazonaws.com/skip-containers", "ServiceAccount", None),
        ("eks.amazonaws.com/include-containers", "ServiceAccount", None),
        ("eks.amazonaws.com/include-containers", "pod", None),
        ("eks.amazonaws.com/region", "ServiceAccount", None),
        (
            "eks.amazonaws.com/regions",
            "ServiceAccount",
            (
                'write eks.amazonaws.com/region instead of "eks.amazonaws.com/regions" on the ServiceAccount:'
                " it is ignored"
            ),
        ),
    ],
)
def test_place_and_name_of_a_key_are_checked(key: str, place: Place, slip: str | None) -> None:
    assert Vocabulary().slips({key: "true"}, place) == ([slip] if slip else [])


def test_prefix_of_our_own_reads_all_names_under_it() -> None:
    vocabulary = Vocabulary("irsa")
    keys = ["irsa/role-arn", "irsa/require-identity"]

    assert vocabulary.slips(dict.fromkeys(keys, ""), "ServiceAccount") == []
    assert vocabulary.slips({"irsa/aws-config": ""}, "pod") == []
    assert vocabulary.longest().keys() >= set(keys)


def test_every_warning_of_a_slip_is_shown_whole() -> None:
    longest = max(KNOWN, key=len)
    annotations = {f"eks.amazonaws.com/{longest}{'é' * 44}": "", f"eks.amazonaws.co/{longest}": ""}

    for text in Vocabulary().slips(annotations, "ServiceAccount"):
        assert len(text) + len(' (ServiceAccount "")') + 80 <= 256


def test_thousands_of_near_misses_cost_little_and_three_are_told() -> None:
    annotations = {f"eks.amazonaws.{number:05}/role-arn": "" for number in range(8_500)}
    annotations |= {f"{'eks.amazonaws.com' * 14}{number}/role-arn": "" for number in range(900)}

    started = time.process_time()
    warnings = Vocabulary().slips(annotations, "pod")

    assert len(warnings) == 3
    # A third of a second before the search was bounded; this is no benchmark, so the bound is a wide one.
    assert time.process_time() - started < 0.1


def test_control_characters_in_an_annotation_come_out_escaped() -> None:
    assert Vocabulary().slips({"eks.amazonaws.com/\x1b[31mred": ""}, "pod") == [
        r'remove "eks.amazonaws.com/\x1b[31mred" from the pod: there is no such annotation'
    ]


def test_slips_are_looked_for_among_so_many_keys_as_a_person_types() -> None:
    others = {f"example.com/{n}": "" for n in range(MAX_ANNOTATIONS)}
    slip = {"eks.amazon.com/role-arn": ""}

    assert len(Vocabulary().slips(slip | others, "pod")) == 1
    assert Vocabulary().slips(others | slip, "pod") == []


def test_slip_behind_many_annotations_of_others_is_told_of() -> None:
    # Names as ours under prefixes of others, some of which end as ours does.
    others = {f"{kind}.{part}.io/region": "" for kind in ("istio", "argocd", "helm") for part in range(20)}
    others |= {f"team-{number:02}.aws.com/profiles": "" for number in range(MAX_COMPARED - 1)}

    assert Vocabulary().slips(others | {"eks.amazon.com/role-arn": ""}, "ServiceAccount") == [
        'write eks.amazonaws.com/role-arn instead of "eks.amazon.com/role-arn" on the ServiceAccount: it is ignored'
    ]


def test_of_one_object_a_bounded_number_of_prefixes_is_compared() -> None:
    near = [f"eks.amaz{number:03}.com/role-arn" for number in range(MAX_ANNOTATIONS)]
    before = is_near.cache_info()

    found = list(Vocabulary().concerning(near))

    after = is_near.cache_info()
    assert found == near[:MAX_COMPARED]
    assert (after.hits + after.misses) - (before.hits + before.misses) == MAX_COMPARED


def test_prefix_of_many_keys_is_compared_once() -> None:
    near = [f"eks.amazon.com/{name}" for name in sorted(KNOWN)]
    before = is_near.cache_info()

    assert list(Vocabulary().concerning(near)) == near
    assert is_near.cache_info().hits + is_near.cache_info().misses - before.hits - before.misses == 1

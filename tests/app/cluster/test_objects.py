import sys

import pytest

from app.cluster.objects import LEFT_OUT, MAX_OTHERS, OBJECT_BYTES, UNANNOTATED, service_account, size
from app.webhook.annotations import Vocabulary

ROLE_ARN = "eks.amazonaws.com/role-arn"


def test_annotations_of_others_are_not_kept() -> None:
    kept = service_account({ROLE_ARN: "arn", "meta.helm.sh/release-name": "x"}, keep=Vocabulary())

    assert kept.annotations == {ROLE_ARN: "arn"}


def test_service_accounts_without_annotations_of_ours_are_one_object() -> None:
    assert service_account(None, keep=Vocabulary()) is UNANNOTATED
    assert service_account({}, keep=Vocabulary()) is UNANNOTATED
    assert service_account({"meta.helm.sh/release-name": "x"}, keep=Vocabulary()) is UNANNOTATED


def test_long_value_is_cut_to_one_more_than_the_longest_good_one_of_its_kind() -> None:
    names = ("role-arn", "audience", "region", "session-name")

    kept = service_account({f"eks.amazonaws.com/{name}": "a" * 100_000 for name in names}, keep=Vocabulary())

    assert [len(kept.annotations[f"eks.amazonaws.com/{name}"]) for name in names] == [2049, 256, 81, 81]


def test_only_the_keys_are_kept_of_what_is_told_of_and_not_read() -> None:
    unread = ("eks.amazonaws.com/role", "eks.amazon.com/role-arn")

    kept = service_account(dict.fromkeys(unread, "x"), keep=Vocabulary())

    assert kept.annotations == dict.fromkeys(unread, "")


def test_only_so_many_others_are_kept_and_those_that_are_known_come_first() -> None:
    # Go writes them in this order.
    others = {f"eks.amazonaws.com/a-{number:03}": "" for number in range(1_000)}

    kept = service_account(others | {ROLE_ARN: "arn"}, keep=Vocabulary())

    assert list(kept.annotations) == [ROLE_ARN, *list(others)[:MAX_OTHERS]]
    assert kept.annotations[ROLE_ARN] == "arn"


@pytest.mark.parametrize(("character", "most"), [("a", 18_000), ("\N{PARTY POPPER}", 45_000)])
def test_one_service_account_takes_so_many_bytes_and_no_more(character: str, most: int) -> None:
    known = dict.fromkeys(Vocabulary().longest(), character * 100000)
    # As kube-apiserver takes them, and it takes 256 kB.
    others = {f"eks.amazonaws.com/{number:03}{'a' * 300}": character for number in range(700)}

    kept = service_account(known | others, keep=Vocabulary())

    held = sum(map(sys.getsizeof, (*kept.annotations.keys(), *kept.annotations.values())))
    assert held + OBJECT_BYTES < most
    assert held < size(kept) + sum(map(sys.getsizeof, known)) < most * 1.2


def test_size_is_not_less_than_what_python_takes() -> None:
    kept = service_account({ROLE_ARN: "arn:aws:iam::111122223333:role/name"}, keep=Vocabulary())
    annotations = dict(kept.annotations)

    assert size(UNANNOTATED) == 0
    assert size(kept) > sum(map(sys.getsizeof, (kept, kept.annotations, annotations, *annotations.values())))


def test_keys_are_held_once_for_all() -> None:
    decoded = [b"eks.amazonaws.com/role-arn".decode() for _ in range(2)]
    assert decoded[0] is not decoded[1]

    first, second = (service_account({key: "arn"}, keep=Vocabulary()).annotations for key in decoded)

    assert next(iter(first)) is next(iter(second))


def test_what_was_left_out_is_none_that_exists() -> None:
    for annotations in (None, {}, {ROLE_ARN: "arn"}, {"eks.amazonaws.com/": ""}):
        assert service_account(annotations, keep=Vocabulary()) != LEFT_OUT

import sys

from app.cluster.objects import MAX_OTHERS, MAX_VALUE_CHARACTERS, UNANNOTATED, service_account
from app.webhook.annotations import KNOWN, Vocabulary

ROLE_ARN = "eks.amazonaws.com/role-arn"


def test_annotations_of_others_are_not_kept() -> None:
    kept = service_account({ROLE_ARN: "arn", "meta.helm.sh/release-name": "x"}, keep=Vocabulary())

    assert kept.annotations == {ROLE_ARN: "arn"}


def test_service_accounts_without_annotations_of_ours_are_one_object() -> None:
    assert service_account(None, keep=Vocabulary()) is UNANNOTATED
    assert service_account({}, keep=Vocabulary()) is UNANNOTATED
    assert service_account({"meta.helm.sh/release-name": "x"}, keep=Vocabulary()) is UNANNOTATED


def test_long_value_is_cut_to_one_more_than_the_longest_good_one() -> None:
    kept = service_account({ROLE_ARN: "a" * 100_000}, keep=Vocabulary())

    assert kept.annotations == {ROLE_ARN: "a" * (MAX_VALUE_CHARACTERS + 1)}


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


def test_one_service_account_takes_so_many_bytes_and_no_more() -> None:
    emoji = "\N{PARTY POPPER}" * 100_000
    known = {f"eks.amazonaws.com/{name}": emoji for name in sorted(KNOWN)}
    others = {f"eks.amazonaws.com/{number:03}{emoji}": emoji for number in range(1_000)}

    kept = service_account(known | others, keep=Vocabulary()).annotations

    assert sum(map(sys.getsizeof, (*kept.keys(), *kept.values()))) < 112 * 1024


def test_keys_are_held_once_for_all() -> None:
    decoded = [b"eks.amazonaws.com/role-arn".decode() for _ in range(2)]
    assert decoded[0] is not decoded[1]

    first, second = (service_account({key: "arn"}, keep=Vocabulary()).annotations for key in decoded)

    assert next(iter(first)) is next(iter(second))

from app.cluster.objects import MAX_ANNOTATIONS, MAX_VALUE_CHARACTERS, UNANNOTATED, service_account


def ours(key: str) -> bool:
    return key.startswith("eks.amazonaws.com/")


def test_annotations_of_others_are_not_kept() -> None:
    kept = service_account({"eks.amazonaws.com/role-arn": "arn", "meta.helm.sh/release-name": "x"}, keep=ours)

    assert kept.annotations == {"eks.amazonaws.com/role-arn": "arn"}


def test_service_accounts_without_annotations_of_ours_are_one_object() -> None:
    assert service_account(None, keep=ours) is UNANNOTATED
    assert service_account({}, keep=ours) is UNANNOTATED
    assert service_account({"meta.helm.sh/release-name": "x"}, keep=ours) is UNANNOTATED


def test_long_value_is_cut_to_one_more_than_the_longest_good_one() -> None:
    kept = service_account({"eks.amazonaws.com/role-arn": "a" * 100_000}, keep=ours)

    assert len(kept.annotations["eks.amazonaws.com/role-arn"]) == MAX_VALUE_CHARACTERS + 1


def test_only_so_many_annotations_are_kept() -> None:
    kept = service_account({f"eks.amazonaws.com/{number}": "" for number in range(1_000)}, keep=ours)

    assert len(kept.annotations) == MAX_ANNOTATIONS


def test_keys_are_held_once_for_all() -> None:
    decoded = [b"eks.amazonaws.com/role-arn".decode() for _ in range(2)]
    assert decoded[0] is not decoded[1]

    first, second = (service_account({key: "arn"}, keep=ours).annotations for key in decoded)

    assert next(iter(first)) is next(iter(second))

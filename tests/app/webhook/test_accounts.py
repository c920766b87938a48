import json
import re
from pathlib import Path

import botocore
import pytest

from app.webhook.accounts import ACCOUNT, PARTITION, Account, partition_of
from app.webhook.annotations import InvalidAnnotationError, role_arn

PARTITIONS = json.loads(Path(botocore.__file__).parent.joinpath("data", "partitions.json").read_text())["partitions"]


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda partition: partition["id"])
def test_every_region_that_botocore_knows_is_in_its_partition(partition: dict[str, dict[str, object]]) -> None:
    regions = [region for region in partition["regions"] if not region.startswith("aws-")]

    assert {partition_of(region) for region in regions} <= {partition["id"]}
    assert re.fullmatch(PARTITION, str(partition["id"]))


def test_without_a_region_the_partition_is_aws() -> None:
    assert partition_of(None) == "aws"


@pytest.mark.parametrize(
    ("value", "arn"),
    [
        ("name", "arn:aws-cn:iam::111122223333:role/name"),
        ("path/name", "arn:aws-cn:iam::111122223333:role/path/name"),
        ("/path/name", "arn:aws-cn:iam::111122223333:role/path/name"),
        ("role/name", "arn:aws-cn:iam::111122223333:role/name"),
        ("role/path/name", "arn:aws-cn:iam::111122223333:role/path/name"),
        ("arn:aws:iam::444455556666:role/name", "arn:aws:iam::444455556666:role/name"),
    ],
)
def test_bare_name_is_a_role_of_the_account(value: str, arn: str) -> None:
    assert role_arn(value, account=Account(id="111122223333", partition="aws-cn")) == arn


@pytest.mark.parametrize("value", ["role/", "a b", "arn:name", "arn:aws:iam::444455556666:user/name", "n\n"])
def test_what_is_no_name_is_refused_with_an_account_too(value: str) -> None:
    with pytest.raises(InvalidAnnotationError):
        role_arn(value, account=Account(id="111122223333"))


@pytest.mark.parametrize("value", ["11112222333", "1111222233334", "11112222333x", "١١١١٢٢٢٢٣٣٣٣"])
def test_account_is_twelve_digits(value: str) -> None:
    assert not re.fullmatch(ACCOUNT, value)

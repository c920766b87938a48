"""Where a role is whose bare name is given: partition and account, and the ARN that comes of it. Pure."""

from dataclasses import dataclass
from typing import Final

DEFAULT_PARTITION: Final = "aws"

PARTITIONS: Final = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
"""How the regions of a partition begin. A test compares it with botocore's partitions, which take 10 MB to import."""

ACCOUNT: Final = r"[0-9]{12}"
PARTITION: Final = r"aws(-[a-z0-9]+)*"


def partition_of(region: str | None) -> str:
    """Return the partition that *region* is in; ``aws`` where there is no region, or one that we do not know."""
    known = (partition for start, partition in PARTITIONS.items() if region and region.startswith(start))
    return next(known, DEFAULT_PARTITION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account that roles without an ARN are in."""

    id: str
    """Twelve digits."""
    partition: str = DEFAULT_PARTITION

    def role_arn(self, name: str) -> str:
        """Return the ARN of the role *name*: ``name``, ``path/name``, or either with ``role/`` before it."""
        return f"arn:{self.partition}:iam::{self.id}:role/{name.removeprefix('/').removeprefix('role/')}"

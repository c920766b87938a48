"""Annotations -> values, and what to tell the person who wrote a wrong one. Pure.

============================  ================  ===========================================================
annotation under our prefix   read from         value
============================  ================  ===========================================================
role-arn                      ServiceAccount    an IAM role's ARN
audience                      ServiceAccount    the token's audience
sts-regional-endpoints        ServiceAccount    a boolean as Go writes it
token-expiration              pod, then         seconds, 600 to a year
                              ServiceAccount
skip-containers               pod               names of containers that get nothing, CSV
============================  ================  ===========================================================

The meanings are those of the AWS webhook, https://github.com/aws/amazon-eks-pod-identity-webhook.
"""

import csv
import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from app.cluster.objects import MAX_VALUE_CHARACTERS
from app.text import shown

MIN_TOKEN_EXPIRATION: Final = 600
"""Seconds. kube-apiserver refuses a projected token that lives shorter (pkg/apis/core/validation)."""

MAX_TOKEN_EXPIRATION: Final = 365 * 86_400
"""Seconds. A year; whoever asks for more has lost a unit. kube-apiserver may cut it further."""

ROLE_ARN: Final = re.compile(r"arn:aws[a-z0-9-]*:iam::\d{12}:role/[\w/.@+=,-]+", re.ASCII)
MAX_ROLE_ARN_CHARACTERS: Final = 2048
"""AssumeRoleWithWebIdentity's RoleArn, botocore's service model."""

ON_SERVICE_ACCOUNT: Final = ("role-arn", "audience", "sts-regional-endpoints", "token-expiration")
ON_POD: Final = ("token-expiration", "skip-containers")
KNOWN: Final = frozenset(ON_SERVICE_ACCOUNT + ON_POD)
FOREIGN: Final = frozenset({"compute-type", "fargate-profile", "skip-pod-identity-webhook"})
"""Names under EKS's prefix that mean something to somebody else."""

NEAR: Final = 0.75
"""Similarity of two prefixes above which one is a slip for the other: eks.amazon.com has 0.90, eks.aws.com 0.79."""

MAX_SLIP_CHARACTERS: Final = 6
"""By so many a prefix that is a slip is longer or shorter than ours: eks.amazonaws.com.cn by 3."""

MAX_SLIPS: Final = 3
"""Slips that are told of one object: who mends these is told of the next."""

# strconv.ParseBool's list, which is what users of the AWS webhook have written.
BOOLEANS: Final = {word: value for words, value in (("1 t T TRUE true True", True), ("0 f F FALSE false False", False))
                   for word in words.split()}  # fmt: skip

Place = Literal["ServiceAccount", "pod"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The annotation names under one prefix, ``eks.amazonaws.com`` unless configured otherwise."""

    prefix: str = "eks.amazonaws.com"

    def key(self, name: str) -> str:
        """Return the full key of the annotation *name*."""
        return f"{self.prefix}/{name}"

    def is_known(self, key: str) -> bool:
        """Return whether the value of *key* is read."""
        prefix, slash, name = key.partition("/")
        return bool(slash) and prefix == self.prefix and name in KNOWN

    def concerns(self, key: str) -> bool:
        """Return whether *key* is ours or meant to be."""
        prefix, slash, name = key.partition("/")
        return bool(slash) and (prefix == self.prefix or (name in KNOWN and _is_near(prefix, self.prefix)))

    def slips(self, annotations: Mapping[str, str], place: Place) -> list[str]:
        """Return a warning for each key that its writer must have meant otherwise, at most `MAX_SLIPS` of them."""
        known = ON_SERVICE_ACCOUNT if place == "ServiceAccount" else ON_POD
        found = (self._slip(key, known, place) for key in annotations if "/" in key)
        return list(itertools.islice(filter(None, found), MAX_SLIPS))

    def _slip(self, key: str, known: Sequence[str], place: Place) -> str | None:
        prefix, _, name = key.partition("/")
        if prefix != self.prefix:
            if name in KNOWN and _is_near(prefix, self.prefix):
                return f"write {self.key(name)} instead of {shown(key)} on the {place}: it is ignored"
        elif name in KNOWN and name not in known:
            other = "pod" if place == "ServiceAccount" else "ServiceAccount"
            return f"move {key} to the {other}: on the {place} it is ignored"
        elif name not in KNOWN and name not in FOREIGN:
            names = ", ".join(known)
            return f"remove {shown(key)} from the {place} or mend its name, known are {names}: it is ignored"
        return None


@functools.lru_cache(maxsize=1024)
def _is_near(prefix: str, ours: str) -> bool:
    # Strangers choose the prefixes, thousands of them in one object: the bounds that are cheap come first, and whoever
    # repeats one pays once.
    if prefix == ours or abs(len(prefix) - len(ours)) > MAX_SLIP_CHARACTERS:
        return False
    matcher = SequenceMatcher(None, prefix, ours)
    return matcher.real_quick_ratio() >= NEAR and matcher.quick_ratio() >= NEAR and matcher.ratio() >= NEAR


class InvalidAnnotationError(ValueError):
    """A value that cannot be used. The message is the warning's middle: what was expected, what came."""


def role_arn(value: str) -> str:
    """Return *value* if it is the ARN of an IAM role in any partition."""
    if len(value) > MAX_ROLE_ARN_CHARACTERS or not ROLE_ARN.fullmatch(value):
        raise InvalidAnnotationError(
            f"to an IAM role's ARN such as arn:aws:iam::111122223333:role/name, got {shown(value)}"
        )
    return value


def token_expiration(value: str) -> int:
    """Return *value* as seconds; out of range it is an error, see `clamped_token_expiration` for what is used then."""
    number = whole_number(value)
    if number is None or not MIN_TOKEN_EXPIRATION <= number <= MAX_TOKEN_EXPIRATION:
        raise InvalidAnnotationError(
            f"to whole seconds from {MIN_TOKEN_EXPIRATION} to {MAX_TOKEN_EXPIRATION}, got {shown(value)}"
        )
    return number


def clamped_token_expiration(value: str) -> int | None:
    """Return the nearest lifetime that is allowed, or None where *value* is no number at all."""
    number = whole_number(value)
    return None if number is None else min(max(number, MIN_TOKEN_EXPIRATION), MAX_TOKEN_EXPIRATION)


def whole_number(value: str) -> int | None:
    """Return *value* as Go's strconv.ParseInt(value, 10, 64) reads it, or None."""
    # Twenty characters hold every int64; more would be work that a stranger chose for us.
    number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,19}", value) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def regional_sts(value: str) -> bool:
    """Return *value* as Go's strconv.ParseBool reads it."""
    if value not in BOOLEANS:
        raise InvalidAnnotationError(f'to "true" or "false", got {shown(value)}')
    return BOOLEANS[value]


def skip_containers(value: str) -> frozenset[str]:
    """Return the container names in *value*: the first CSV record that is not empty, each name trimmed."""
    if len(value) > MAX_VALUE_CHARACTERS:
        raise InvalidAnnotationError(f"to at most {MAX_VALUE_CHARACTERS} characters, got {len(value)}")
    try:
        records = csv.reader(value.splitlines(), skipinitialspace=True, strict=True)
        names = next(filter(None, records), [])
    except csv.Error:
        raise InvalidAnnotationError(f"to container names with commas between them, got {shown(value)}") from None
    return frozenset(name.strip() for name in names if name.strip())

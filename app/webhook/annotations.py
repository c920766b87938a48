"""Annotations -> values, and what to tell the person who wrote a wrong one. Pure.

`ANNOTATIONS` lists them. The meanings are those of the AWS webhook where it knows the annotation too,
https://github.com/aws/amazon-eks-pod-identity-webhook.
"""

import csv
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.cluster.objects import MAX_VALUE_CHARACTERS
from app.text import SHOWN_CHARACTERS, shown
from app.webhook import similar
from app.webhook.accounts import Account

MIN_TOKEN_EXPIRATION: Final = 600
"""Seconds. kube-apiserver refuses a projected token that lives shorter (pkg/apis/core/validation)."""

MAX_TOKEN_EXPIRATION: Final = 365 * 86_400
"""Seconds. A year; whoever asks for more has lost a unit. kube-apiserver may cut it further."""

ROLE_ARN: Final = re.compile(r"arn:aws[a-z0-9-]*:iam::\d{12}:role/[\w/.@+=,-]+", re.ASCII)
MAX_ROLE_ARN_CHARACTERS: Final = 2048
"""AssumeRoleWithWebIdentity's RoleArn, botocore's service model."""

MAX_AUDIENCE_CHARACTERS: Final = 255
"""IAM's clientIDType, botocore's service model: no provider takes a token with a longer one."""

OWN_PREFIX: Final = "irsa"
"""Of what has no AWS name. The operator cannot change it: namespaces have `REQUIRE_IDENTITY` as a label, which the
selectors of our webhook configuration name."""

Place = Literal["ServiceAccount", "pod"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One that we read."""

    name: str
    """What stands behind the slash."""
    prefix: str | None = None
    """What stands before it; None where the operator chooses."""
    on: tuple[Place, ...]
    """Where it is read, the first one first."""
    meaning: str
    default: str
    longest: int = SHOWN_CHARACTERS
    """Characters of a value that can be good. Of words and numbers so many that what is cut is shown as what is not."""


ANNOTATIONS: Final = (
    Annotation(
        name="role-arn",
        on=("ServiceAccount",),
        meaning="the role: `arn:aws:iam::111122223333:role/name`, any partition, any path; with `--aws-account` its"
        " name is enough",
        default="what the ConfigMap of mappings says",
        longest=MAX_ROLE_ARN_CHARACTERS,
    ),
    Annotation(
        name="audience",
        on=("ServiceAccount",),
        meaning="audience of the token",
        default="`--token-audience`",
        longest=MAX_AUDIENCE_CHARACTERS,
    ),
    Annotation(
        name="token-expiration",
        on=("pod", "ServiceAccount"),
        meaning="lifetime of the token in seconds, 600 to 31536000",
        default="`--token-expiration`",
    ),
    Annotation(
        name="sts-regional-endpoints",
        on=("ServiceAccount",),
        meaning='`"false"` lets old SDKs call the global STS',
        default="`--sts-regional-endpoint`",
    ),
    Annotation(
        name="region",
        on=("ServiceAccount",),
        meaning="region for containers that have none",
        default="`--aws-default-region`",
    ),
    Annotation(
        name="skip-containers",
        on=("pod", "ServiceAccount"),
        meaning="names of containers that get nothing, with commas between them; init containers too; where both have"
        " a list, both count",
        default="none",
        longest=MAX_VALUE_CHARACTERS,
    ),
    Annotation(
        name="include-containers",
        on=("pod", "ServiceAccount"),
        meaning="names of the only containers that get something; where both have a list, the pod's counts;"
        " `skip-containers` takes away from it",
        default="all",
        longest=MAX_VALUE_CHARACTERS,
    ),
    Annotation(
        name="session-name",
        on=("ServiceAccount",),
        meaning='`"true"` names the sessions of a pod after it (`AWS_ROLE_SESSION_NAME`)',
        default="`--session-name`",
    ),
    Annotation(
        name="profiles",
        on=("ServiceAccount",),
        meaning="further roles, for AWS profiles, a line each: `name = role-arn`, or `name = role-arn"
        " source_profile=other` where another profile assumes it",
        default="none",
        longest=MAX_VALUE_CHARACTERS,
    ),
    Annotation(
        name="require-identity",
        prefix=OWN_PREFIX,
        on=("ServiceAccount",),
        meaning='`"true"` has a pod refused that would get no identity, as long as the webhook answers',
        default='`"false"`',
    ),
)

REQUIRE_IDENTITY: Final = f"{OWN_PREFIX}/require-identity"

CHOSEN: Final = tuple(known for known in ANNOTATIONS if known.prefix is None)
ON_SERVICE_ACCOUNT: Final = tuple(known.name for known in CHOSEN if "ServiceAccount" in known.on)
ON_POD: Final = tuple(known.name for known in CHOSEN if "pod" in known.on)
KNOWN: Final = frozenset(ON_SERVICE_ACCOUNT + ON_POD)
FOREIGN: Final = frozenset({"aws-config", "compute-type", "fargate-profile", "skip-pod-identity-webhook"})
"""Names under EKS's prefix that mean something to somebody else, and one under ours that we write ourselves."""

REGION: Final = re.compile(r"[a-z0-9-]{1,63}")

MAX_ANNOTATIONS: Final = 256
"""Of one object so many are looked at. Nobody types more, and of a workload that has more none is."""

MAX_COMPARED: Final = 8
"""Prefixes of one object that are compared with ours: what takes long, see `similar.is_near`. A list has 100,000
ServiceAccounts, and whoever makes one chooses its prefixes."""

MAX_SLIPS: Final = 3
"""Slips that are told of one object: who mends these is told of the next."""

# strconv.ParseBool's list, which is what users of the AWS webhook have written.
BOOLEANS: Final = {word: value for words, value in (("1 t T TRUE true True", True), ("0 f F FALSE false False", False))
                   for word in words.split()}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The annotation names under one prefix, ``eks.amazonaws.com`` unless configured otherwise."""

    prefix: str = "eks.amazonaws.com"

    def key(self, name: str) -> str:
        """Return the full key of the annotation *name*."""
        return f"{self.prefix}/{name}"

    def named(self, annotations: Mapping[str, str]) -> dict[str, str]:
        """Return what *annotations* say under our prefix, by name; what is empty is as good as absent."""
        start = f"{self.prefix}/"
        return {key[len(start) :]: value for key, value in annotations.items() if value and key.startswith(start)}

    def longest(self) -> Mapping[str, int]:
        """Return the full keys of `ANNOTATIONS`, and how many characters a value of each has that can be good."""
        return _longest(self.prefix)

    def concerning(self, annotations: Iterable[str]) -> Iterator[str]:
        """Yield the keys of one object that are ours or meant to be, in order; the first `MAX_ANNOTATIONS` count."""
        near: dict[str, bool] = {}
        for key in itertools.islice(annotations, MAX_ANNOTATIONS):
            prefix, slash, name = key.partition("/")
            if not slash:
                continue
            if prefix in (self.prefix, OWN_PREFIX):
                yield key
            elif name in KNOWN and similar.may_be_near(prefix, self.prefix):
                if prefix not in near and len(near) < MAX_COMPARED:
                    near[prefix] = similar.is_near(prefix, self.prefix)
                if near.get(prefix):
                    yield key

    def slips(self, annotations: Mapping[str, str], place: Place) -> list[str]:
        """Return a warning for each key that its writer must have meant otherwise, at most `MAX_SLIPS` of them."""
        if not annotations:
            return []
        known = ON_SERVICE_ACCOUNT if place == "ServiceAccount" else ON_POD
        found = (self._slip(key, known, place) for key in self.concerning(annotations))
        return list(itertools.islice(filter(None, found), MAX_SLIPS))

    def _slip(self, key: str, known: Sequence[str], place: Place) -> str | None:
        """Return what is wrong with a *key* of `concerning`."""
        prefix, _, name = key.partition("/")
        if prefix == OWN_PREFIX and (prefix != self.prefix or key == REQUIRE_IDENTITY):
            return _own_slip(key, place)
        if prefix != self.prefix:
            return f"write {self.key(name)} instead of {shown(key)} on the {place}: it is ignored"
        if name in KNOWN and name not in known:
            other = "pod" if place == "ServiceAccount" else "ServiceAccount"
            return f"move {key} to the {other}: on the {place} it is ignored"
        if name not in KNOWN and name not in FOREIGN:
            near = similar.nearest(name, KNOWN)
            if near is not None:
                return f"write {self.key(near)} instead of {shown(key)} on the {place}: it is ignored"
            return f"remove {shown(key)} from the {place}: there is no such annotation"
        return None


@functools.cache
def _longest(prefix: str) -> Mapping[str, int]:
    return {f"{known.prefix or prefix}/{known.name}": known.longest for known in ANNOTATIONS}


def _own_slip(key: str, place: Place) -> str | None:
    """Return what is wrong with a key of the prefix ``irsa``. Pods have others there, which we write ourselves."""
    if place == "pod":
        return f"move {key} to the ServiceAccount: on the pod it is ignored" if key == REQUIRE_IDENTITY else None
    if key == REQUIRE_IDENTITY:
        return None
    return f"write {REQUIRE_IDENTITY} instead of {shown(key)} on the ServiceAccount or remove it: it is ignored"


class InvalidAnnotationError(ValueError):
    """A value that cannot be used. The message is the warning's middle: what was expected, what came."""


def role_arn(value: str, *, account: Account | None = None) -> str:
    """Return the ARN of the IAM role that *value* is, in any partition.

    Args:
        value: an ARN or, where there is an *account*, the name of a role in it, with its path or without.
        account: where such a role is.
    """
    arn = value if account is None or value.startswith("arn:") else account.role_arn(value)
    if len(arn) > MAX_ROLE_ARN_CHARACTERS or not ROLE_ARN.fullmatch(arn):
        raise InvalidAnnotationError(
            f"to an IAM role's ARN such as arn:aws:iam::111122223333:role/name, got {shown(value)}"
        )
    return arn


def audience(value: str) -> str:
    """Return *value* if a provider of IAM can have that audience."""
    if len(value) > MAX_AUDIENCE_CHARACTERS:
        raise InvalidAnnotationError(f"to at most {MAX_AUDIENCE_CHARACTERS} characters, got {shown(value)}")
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


def boolean(value: str) -> bool:
    """Return *value* as Go's strconv.ParseBool reads it."""
    if value not in BOOLEANS:
        raise InvalidAnnotationError(f'to "true" or "false", got {shown(value)}')
    return BOOLEANS[value]


def region(value: str) -> str:
    """Return *value* if a region could have that name."""
    if not REGION.fullmatch(value):
        raise InvalidAnnotationError(f"to a region such as eu-central-1, got {shown(value)}")
    return value


def containers(value: str) -> frozenset[str]:
    """Return the container names in *value*: the first CSV record that is not empty, each name trimmed."""
    if len(value) > MAX_VALUE_CHARACTERS:
        raise InvalidAnnotationError(f"to at most {MAX_VALUE_CHARACTERS} characters, got {len(value)}")
    try:
        records = csv.reader(value.splitlines(), skipinitialspace=True, strict=True)
        names = next(filter(None, records), [])
    except csv.Error:
        names = ['"']
    # Go's reader takes no quote in the middle of a name either.
    if any('"' in name for name in names):
        raise InvalidAnnotationError(f"to container names with commas between them, got {shown(value)}")
    return frozenset(name.strip() for name in names if name.strip())

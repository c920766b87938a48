"""Annotations, mappings and defaults -> the identity that a pod is to get. Pure.

======================  =================================================================================
what                    the first of these that is there and usable
======================  =================================================================================
mode and role           container-credentials entry, ServiceAccount's role-arn, mapping
audience                ServiceAccount, mapping, default; in container-credentials mode its own default
sts-regional-endpoints  ServiceAccount, mapping, default
region                  ServiceAccount, mapping; the injection adds the operator's default
token-expiration        pod, ServiceAccount, mapping, default
include-containers      pod, ServiceAccount
skip-containers         pod and ServiceAccount together
session-name            ServiceAccount, default; nothing in container-credentials mode
profiles                ServiceAccount; nothing in container-credentials mode
======================  =================================================================================

A mapping counts only where it names the role, and in container-credentials mode. A role-arn that cannot be used ends
the search: its writer meant that one, and would hardly notice another.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Final, TypeVar

from app.webhook import annotations as parse
from app.webhook import profiles
from app.webhook.accounts import Account
from app.webhook.annotations import MIN_TOKEN_EXPIRATION, REQUIRE_IDENTITY, InvalidAnnotationError, Place, Vocabulary
from app.webhook.mappings import MappedRole
from app.webhook.profiles import Profile

T = TypeVar("T")

ENDPOINT_EXPIRATION: Final = 86_400
ENDPOINT_JITTER: Final = 1 / 12
"""In container-credentials mode the AWS webhook makes of 86400 seconds 79200 to 86400, and of nothing else anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where no annotation says otherwise."""

    audience: str = "sts.amazonaws.com"
    token_expiration: int = 86_400
    token_expiration_jitter: float = 0.0
    """By what part of itself an expiration is shortened at most."""
    regional_sts: bool = True
    has_session_name: bool = False
    container_credentials_audience: str = "pods.eks.amazonaws.com"
    account: Account | None = None
    """Where roles are that are given by a bare name."""


class Mode(StrEnum):
    """How the pod's SDK turns its token into credentials."""

    WEB_IDENTITY = "web_identity"
    """It asks STS (AssumeRoleWithWebIdentity)."""
    CONTAINER_CREDENTIALS = "container_credentials"
    """It asks a local endpoint, as with EKS Pod Identity; the role is not in the pod."""


class Source(StrEnum):
    """Who says that a pod is to get an identity."""

    ANNOTATION = "annotation"
    """Its ServiceAccount's role-arn."""
    MAPPING = "mapping"
    CONTAINER_CREDENTIALS = "container_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a pod is to get, parsed and defaulted."""

    role_arn: str
    """Empty in container-credentials mode."""
    audience: str
    token_expiration: int
    regional_sts: bool
    skip_containers: frozenset[str] = frozenset()
    include_containers: frozenset[str] | None = None
    """Where there is one, all other containers get nothing."""
    mode: Mode = Mode.WEB_IDENTITY
    region: str | None = None
    """The ServiceAccount's own, before the operator's default."""
    has_session_name: bool = False
    """Whether AWS_ROLE_SESSION_NAME names the pod."""
    profiles: tuple[Profile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """The outcome: an identity or none, and what the people who wrote the annotations should know."""

    identity: Identity | None
    source: Source | None
    """Who asked for one; where there is none all the same, what they say cannot be used, and the first warning says
    so."""
    warnings: tuple[str, ...] = ()


def identify(
    service_account: Mapping[str, str],
    pod: Mapping[str, str],
    *,
    vocabulary: Vocabulary,
    defaults: Defaults,
    mapping: MappedRole | None = None,
    uses_container_credentials: bool = False,
) -> Identified:
    """Return the identity that a *pod* gets by its annotations and those of its *service_account*.

    A value that cannot be used counts as absent and is warned of, a role ARN excepted: without it there is no
    identity.

    Args:
        service_account: its annotations.
        pod: its annotations.
        vocabulary: the annotations' names.
        defaults: what holds where they say nothing.
        mapping: the entry for that ServiceAccount.
        uses_container_credentials: whether that ServiceAccount is one of container-credentials mode.
    """
    warnings = vocabulary.slips(pod, "pod")
    if not (service_account or mapping or uses_container_credentials):  # of most pods nothing else is asked
        return Identified(identity=None, source=None, warnings=tuple(warnings))
    warnings += vocabulary.slips(service_account, "ServiceAccount")
    reader = _Reader(vocabulary, vocabulary.named(pod), vocabulary.named(service_account), warnings)
    reader.requirement(service_account)
    if uses_container_credentials:
        identity = reader.container_credentials(mapping or NOBODY, defaults)
        return Identified(identity=identity, source=Source.CONTAINER_CREDENTIALS, warnings=tuple(warnings))
    if "role-arn" in reader.service_account:
        role_arn = reader.on_service_account("role-arn", partial(parse.role_arn, account=defaults.account))
        if role_arn is None:
            return Identified(identity=None, source=Source.ANNOTATION, warnings=(warnings[-1], *warnings[:-1]))
        # The mapping is for nothing then, as in the AWS webhook: whoever wrote the one may not know of the other.
        identity = reader.web_identity(MappedRole(role_arn=role_arn), defaults)
        return Identified(identity=identity, source=Source.ANNOTATION, warnings=tuple(warnings))
    if mapping is not None:
        identity = reader.web_identity(mapping, defaults)
        return Identified(identity=identity, source=Source.MAPPING, warnings=tuple(warnings))
    return Identified(identity=None, source=None, warnings=tuple(warnings))


def jittered(identity: Identity, *, defaults: Defaults, owner: str) -> Identity:
    """Return *identity* with an expiration that pods of another *owner* do not have, those of the same one do.

    Else all tokens of a cluster that came up at once are renewed at once. An owner's pods stay equal to each other.
    """
    is_endpoint = identity.mode is Mode.CONTAINER_CREDENTIALS
    part = defaults.token_expiration_jitter
    if is_endpoint:
        part = ENDPOINT_JITTER if identity.token_expiration == ENDPOINT_EXPIRATION else 0.0
    if not part:
        return identity
    draw = int.from_bytes(hashlib.sha256(owner.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
    shortened = identity.token_expiration - round(identity.token_expiration * part * draw)
    return replace(identity, token_expiration=max(shortened, MIN_TOKEN_EXPIRATION))


NOBODY: Final = MappedRole(role_arn="")
"""In container-credentials mode the role is not in the pod, and mostly in no mapping either."""


@dataclass(slots=True)
class _Reader:
    """Reads the annotations that there are, by name, and collects warnings of those that cannot be used."""

    vocabulary: Vocabulary
    pod: Mapping[str, str]
    service_account: Mapping[str, str]
    warnings: list[str]

    def requirement(self, annotations: Mapping[str, str]) -> None:
        self._parsed(annotations.get(REQUIRE_IDENTITY), REQUIRE_IDENTITY, "ServiceAccount", parse.boolean)

    def on_service_account(self, name: str, parser: Callable[[str], T]) -> T | None:
        value = self.service_account.get(name)
        return self._parsed(value, self.vocabulary.key(name), "ServiceAccount", parser) if value else None

    def on_pod(self, name: str, parser: Callable[[str], T]) -> T | None:
        value = self.pod.get(name)
        return self._parsed(value, self.vocabulary.key(name), "pod", parser) if value else None

    def _parsed(self, value: str | None, key: str, place: Place, parser: Callable[[str], T]) -> T | None:
        if not value:
            return None
        try:
            return parser(value)
        except InvalidAnnotationError as error:
            self.warnings.append(f"set {key} on the {place} {error}")
            return None

    def web_identity(self, role: MappedRole, defaults: Defaults) -> Identity:
        regional = self.on_service_account("sts-regional-endpoints", parse.boolean)
        session_name = self.on_service_account("session-name", parse.boolean)
        role_arn = partial(parse.role_arn, account=defaults.account)
        skipped, included = self._containers("skip-containers"), self._containers("include-containers")
        return Identity(
            role_arn=role.role_arn,
            audience=self.on_service_account("audience", parse.audience) or role.audience or defaults.audience,
            token_expiration=self._expiration() or role.token_expiration or defaults.token_expiration,
            regional_sts=_first(regional, role.regional_sts, defaults.regional_sts),
            region=self.on_service_account("region", parse.region) or role.region,
            skip_containers=frozenset().union(*skipped),
            include_containers=included[0] if included else None,
            has_session_name=_first(session_name, None, defaults.has_session_name),
            profiles=self.on_service_account("profiles", partial(profiles.parse, role_arn=role_arn)) or (),
        )

    def container_credentials(self, role: MappedRole, defaults: Defaults) -> Identity:
        """Return the identity where an endpoint on the node gives the credentials: it names role and session."""
        identity = self.web_identity(role, defaults)
        if identity.profiles:
            key = self.vocabulary.key("profiles")
            self.warnings.append(f"remove {key} from the ServiceAccount: with container credentials it is ignored")
        return replace(
            identity,
            mode=Mode.CONTAINER_CREDENTIALS,
            role_arn="",
            audience=defaults.container_credentials_audience,
            has_session_name=False,
            profiles=(),
        )

    def _expiration(self) -> int | None:
        name = "token-expiration"
        on_pod = self.on_pod(name, parse.token_expiration)
        on_service_account = self.on_service_account(name, parse.token_expiration)
        clamp = parse.clamped_token_expiration
        return (
            on_pod or clamp(self.pod.get(name, "")) or on_service_account or clamp(self.service_account.get(name, ""))
        )

    def _containers(self, name: str) -> list[frozenset[str]]:
        """Return the lists that are there, the pod's first."""
        found = (self.on_pod(name, parse.containers), self.on_service_account(name, parse.containers))
        return [names for names in found if names]


def _first(value: bool | None, other: bool | None, default: bool) -> bool:  # noqa: FBT001 - a choice between them
    if value is not None:
        return value
    return default if other is None else other

"""Annotations and defaults -> the identity that a pod is to get. Pure.

======================  ===================================================
what                    the first of these that is there and usable
======================  ===================================================
role_arn                ServiceAccount
audience                ServiceAccount, default
sts-regional-endpoints  ServiceAccount, default
token-expiration        pod, ServiceAccount, default
skip-containers         pod
======================  ===================================================
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from app.webhook import annotations as parse
from app.webhook.annotations import InvalidAnnotationError, Place, Vocabulary
from app.webhook.profiles import Profile

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where no annotation says otherwise."""

    audience: str = "sts.amazonaws.com"
    token_expiration: int = 86_400
    regional_sts: bool = True


class Mode(StrEnum):
    """How the pod's SDK turns its token into credentials."""

    WEB_IDENTITY = "web_identity"
    """It asks STS (AssumeRoleWithWebIdentity)."""
    CONTAINER_CREDENTIALS = "container_credentials"
    """It asks a local endpoint, as with EKS Pod Identity; the role is not in the pod."""


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
    asked: bool
    """Whether a role was asked for; with no identity that means that its ARN cannot be used."""
    warnings: tuple[str, ...] = ()


def identify(
    service_account: Mapping[str, str], pod: Mapping[str, str], *, vocabulary: Vocabulary, defaults: Defaults
) -> Identified:
    """Return the identity asked for by the annotations of a *service_account* for a *pod* of its own.

    A value that cannot be used counts as absent and is warned of, a role ARN excepted: without it there is no
    identity.
    """
    warnings = vocabulary.slips(pod, "pod")
    if not service_account:  # of most pods nothing else is asked
        return Identified(identity=None, asked=False, warnings=tuple(warnings))
    warnings += vocabulary.slips(service_account, "ServiceAccount")

    def read(source: Mapping[str, str], place: Place, name: str, parser: Callable[[str], T]) -> T | None:
        value = source.get(vocabulary.key(name))
        if not value:
            return None
        try:
            return parser(value)
        except InvalidAnnotationError as error:
            warnings.append(f"set {vocabulary.key(name)} on the {place} {error}")
            return None

    def expiration(source: Mapping[str, str], place: Place) -> int | None:
        value = read(source, place, "token-expiration", parse.token_expiration)
        if value is None:
            value = parse.clamped_token_expiration(source.get(vocabulary.key("token-expiration"), ""))
        return value

    asked = bool(service_account.get(vocabulary.key("role-arn")))
    role_arn = read(service_account, "ServiceAccount", "role-arn", parse.role_arn)
    if role_arn is None:
        return Identified(identity=None, asked=asked, warnings=tuple(warnings))
    regional = read(service_account, "ServiceAccount", "sts-regional-endpoints", parse.regional_sts)
    on_pod = expiration(pod, "pod")
    on_service_account = expiration(service_account, "ServiceAccount")
    identity = Identity(
        role_arn=role_arn,
        audience=service_account.get(vocabulary.key("audience")) or defaults.audience,
        token_expiration=on_pod or on_service_account or defaults.token_expiration,
        regional_sts=defaults.regional_sts if regional is None else regional,
        skip_containers=read(pod, "pod", "skip-containers", parse.skip_containers) or frozenset(),
    )
    return Identified(identity=identity, asked=True, warnings=tuple(warnings))

"""The variables that a container gets. Pure.

As with the AWS webhook (pkg/handler/handler.go), a variable that is there stays, whatever its value, and variables that
belong together are added together or not at all. Which credentials a container gets:

=============================================  ================================================================
a container that has                           gets
=============================================  ================================================================
web identity:
AWS_WEB_IDENTITY_TOKEN_FILE                    none: it brings its own
AWS_ROLE_ARN                                   AWS_WEB_IDENTITY_TOKEN_FILE: another role for this one container
AWS_ROLE_ARN, empty                            none: it wants none
another AWS_CONFIG_FILE, or no profiles asked  AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE
profiles asked for                             AWS_CONFIG_FILE, whose [default] has role and token
container credentials:
one of that mode's two                         none: it brings its own
neither                                        AWS_CONTAINER_CREDENTIALS_FULL_URI,
                                               AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
=============================================  ================================================================

The second row is not the AWS webhook's, which mounts the token and leaves AWS_ROLE_ARN alone: SDKs do nothing with half
of the pair. In container-credentials mode a container's own AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE do not count,
as there: the SDKs ask STS first then, and the container keeps what it had; with AWS_ROLE_ARN alone they ask the
endpoint (botocore's create_credential_resolver).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from app.webhook.document import Object

STS: Final = ("AWS_STS_REGIONAL_ENDPOINTS",)
REGION: Final = ("AWS_DEFAULT_REGION", "AWS_REGION")
ROLE_ARN: Final = "AWS_ROLE_ARN"
TOKEN_FILE: Final = "AWS_WEB_IDENTITY_TOKEN_FILE"  # noqa: S105 - a variable's name
WEB_IDENTITY: Final = (ROLE_ARN, TOKEN_FILE)
FULL_URI: Final = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
AUTHORIZATION_TOKEN_FILE: Final = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"  # noqa: S105 - a variable's name
SESSION_NAME: Final = "AWS_ROLE_SESSION_NAME"
CONFIG_FILE: Final = "AWS_CONFIG_FILE"

Group = tuple[tuple[str, ...], tuple[str | None, ...]]
"""Names and their values, None for the pod's name by the downward API; where a name is taken, none is added."""


class Chosen(NamedTuple):
    """What one container gets of the credentials."""

    groups: tuple[Group, ...]
    uses_token: bool
    """Whether its SDKs will read our token."""
    uses_config: bool = False


NOTHING: Final = Chosen((), uses_token=False)


class Credentials(NamedTuple):
    """The variables by which the SDKs of a pod find their credentials."""

    token_file: str
    whole: Chosen
    """What a container gets that has none of them."""
    without_config: Chosen | None = None
    """What it gets where it has another AWS config file; None without profiles."""


def web_identity(role_arn: str, token_file: str, *, config_file: str | None = None) -> Credentials:
    """Return the variables with which SDKs ask STS.

    Args:
        role_arn: the role.
        token_file: where a container finds the token.
        config_file: where it finds role and token instead, with further profiles; None without these.
    """
    pair = Chosen((((ROLE_ARN, TOKEN_FILE), (role_arn, token_file)),), uses_token=True)
    if config_file is None:
        return Credentials(token_file, pair)
    return Credentials(token_file, Chosen((((CONFIG_FILE,), (config_file,)),), uses_token=True, uses_config=True), pair)


def container_credentials(uri: str, token_file: str) -> Credentials:
    """Return the variables with which SDKs ask the endpoint at *uri*."""
    names = (FULL_URI, AUTHORIZATION_TOKEN_FILE)
    return Credentials(token_file, Chosen(((names, (uri, token_file)),), uses_token=True))


def choose(env: list[Any], present: AbstractSet[str], credentials: Credentials) -> Chosen:
    """Return what a container gets that has the variables *env*, whose names are *present*."""
    names, values = credentials.whole.groups[0]
    if FULL_URI in names:
        return credentials.whole if present.isdisjoint(names) else NOTHING
    if present.isdisjoint(WEB_IDENTITY):
        if credentials.without_config and CONFIG_FILE in present and literal(env, CONFIG_FILE) != values[0]:
            return credentials.without_config
        return credentials.whole
    if TOKEN_FILE in present or not has_value(env, ROLE_ARN):
        return NOTHING
    return Chosen((((TOKEN_FILE,), (credentials.token_file,)),), uses_token=True)


def uses(env: list[Any], present: AbstractSet[str], credentials: Credentials) -> bool:
    """Return whether a container's variables *env*, whose names are *present*, lead its SDKs to our token."""
    names, values = credentials.whole.groups[0]
    if FULL_URI in names:
        return FULL_URI in present and literal(env, FULL_URI) == values[0]
    return TOKEN_FILE in present and literal(env, TOKEN_FILE) == credentials.token_file


def missing(groups: tuple[Group, ...], present: AbstractSet[str]) -> list[Object]:
    """Return the variables of *groups* that a container lacks where names are *present*."""
    return [
        {"name": name, "value": value}
        if value is not None
        else {"name": name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        for names, values in groups
        if present.isdisjoint(names)
        for name, value in zip(names, values, strict=True)
    ]


def further(environment: Mapping[str, str]) -> tuple[Group, ...]:
    """Return the operator's own variables, each by itself."""
    return tuple(((name,), (value,)) for name, value in environment.items())


def literal(env: list[Any], name: str) -> str | None:
    """Return the value that *env* spells out for *name*; of two the last one counts, as for the kubelet."""
    values = [one.get("value") for one in env if one["name"] == name]
    return values[-1] if values and isinstance(values[-1], str) else None


def has_value(env: list[Any], name: str) -> bool:
    """Return whether *name* is more than empty in *env*, spelled out or taken from elsewhere."""
    found = [one for one in env if one["name"] == name]
    return bool(found and (found[-1].get("value") or found[-1].get("valueFrom")))

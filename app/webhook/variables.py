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

ENDPOINT: Final = (FULL_URI, AUTHORIZATION_TOKEN_FILE)

READERS: Final = ((TOKEN_FILE, ROLE_ARN), (AUTHORIZATION_TOKEN_FILE, FULL_URI))
"""Names the file of a token, and to whom it is shown or for what: SDKs do nothing with half of a pair."""

STATIC: Final = "AWS_ACCESS_KEY_ID"
"""With it every SDK looks no further."""

Group = tuple[tuple[str, ...], tuple[Object, ...]]
"""Names and the variables that have them; where one of the names is taken, none of these is added."""


class Chosen(NamedTuple):
    """What one container gets of the credentials."""

    groups: tuple[Group, ...]
    uses_token: bool
    """Whether its SDKs will read our token."""
    uses_config: bool = False


NOTHING: Final = Chosen((), uses_token=False)


class Credentials(NamedTuple):
    """The variables by which the SDKs of a pod find their credentials; a tuple as cheap as `Volume`."""

    names: tuple[str, ...]
    """A container that has one of these brings its own."""
    token_by: tuple[str, str]
    """Name and value of the variable by which SDKs find our token."""
    whole: Chosen
    """What a container gets that has none of them."""
    config_file: str = ""
    """What has role and token instead; empty without profiles."""
    without_config: Chosen = NOTHING
    """What a container gets that has another AWS config file."""


def web_identity(role_arn: str, token_file: str, *, config_file: str = "") -> Credentials:
    """Return the variables with which SDKs ask STS.

    Args:
        role_arn: the role.
        token_file: where a container finds the token.
        config_file: where it finds role and token instead, with further profiles; empty without these.
    """
    token_by = (TOKEN_FILE, token_file)
    variables = (variable(ROLE_ARN, role_arn), variable(TOKEN_FILE, token_file))
    pair = Chosen(((WEB_IDENTITY, variables),), uses_token=True)
    if not config_file:
        return Credentials(WEB_IDENTITY, token_by, pair)
    with_config = Chosen((((CONFIG_FILE,), (variable(CONFIG_FILE, config_file),)),), uses_token=True, uses_config=True)
    return Credentials(WEB_IDENTITY, token_by, with_config, config_file, pair)


def container_credentials(uri: str, token_file: str) -> Credentials:
    """Return the variables with which SDKs ask the endpoint at *uri*."""
    variables = (variable(FULL_URI, uri), variable(AUTHORIZATION_TOKEN_FILE, token_file))
    return Credentials(ENDPOINT, (FULL_URI, uri), Chosen(((ENDPOINT, variables),), uses_token=True))


def choose(env: list[Any], present: AbstractSet[str], credentials: Credentials) -> Chosen:
    """Return what a container gets that has the variables *env*, whose names are *present*."""
    if present.isdisjoint(credentials.names):
        if credentials.config_file and CONFIG_FILE in present and literal(env, CONFIG_FILE) != credentials.config_file:
            return credentials.without_config
        return credentials.whole
    if ROLE_ARN in credentials.names and TOKEN_FILE not in present and has_value(env, ROLE_ARN):
        return Chosen((((TOKEN_FILE,), (variable(*credentials.token_by),)),), uses_token=True)
    return NOTHING


def uses(env: list[Any], present: AbstractSet[str], credentials: Credentials) -> bool:
    """Return whether a container's variables *env*, whose names are *present*, lead its SDKs to our token."""
    name, value = credentials.token_by
    return name in present and literal(env, name) == value


def own_tokens(env: list[Any]) -> list[str]:
    """Return the files to which a container's variables *env* lead its SDKs, in either mode."""
    files = (literal(env, file) for file, whom in READERS if has_value(env, whom))
    return [file for file in files if file]


def in_the_way(env: list[Any], present: AbstractSet[str], credentials: Credentials) -> list[str]:
    """Return the variables of *env* for which a container gets no *credentials*; another role is none of them."""
    return [name for name in credentials.names if name in present and not (name == ROLE_ARN and has_value(env, name))]


def missing(groups: tuple[Group, ...], present: AbstractSet[str]) -> list[Object]:
    """Return the variables of *groups* that a container lacks where names are *present*.

    Containers share them: who changes one of a patched document changes it in all.
    """
    return [variable for names, variables in groups if present.isdisjoint(names) for variable in variables]


def variable(name: str, value: str) -> Object:
    """Return a variable with its value spelled out."""
    return {"name": name, "value": value}


def regional_sts() -> Group:
    """Return the variable that has old SDKs ask the STS of their region."""
    return STS, (variable(*STS, "regional"),)


def region(name: str) -> Group:
    """Return the two variables of the region: some SDKs read one, some the other."""
    return REGION, (variable(REGION[0], name), variable(REGION[1], name))


def session(name: str | None) -> Group:
    """Return the variable of the session name; where *name* is None, the kubelet gives it the pod's."""
    if name is not None:
        return (SESSION_NAME,), (variable(SESSION_NAME, name),)
    return (SESSION_NAME,), ({"name": SESSION_NAME, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},)


def further(environment: Mapping[str, str]) -> tuple[Group, ...]:
    """Return the operator's own variables, each by itself."""
    return tuple([((name,), (variable(name, value),)) for name, value in environment.items()])


def literal(env: list[Any], name: str) -> str | None:
    """Return the value that *env* spells out for *name*; of two the last one counts, as for the kubelet."""
    values = [one.get("value") for one in env if one["name"] == name]
    return values[-1] if values and isinstance(values[-1], str) else None


def has_value(env: list[Any], name: str) -> bool:
    """Return whether *name* is more than empty in *env*, spelled out or taken from elsewhere."""
    found = [one for one in env if one["name"] == name]
    return bool(found and (found[-1].get("value") or found[-1].get("valueFrom")))

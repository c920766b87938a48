"""(pod, identity, operator's choices) -> what its containers are to get. Pure.

Profiles are in the text of an AWS config file, which is in an annotation, which a volume shows to the containers. There
``[default]`` has the role and the token, and no variable does, because botocore does not look at ``AWS_PROFILE`` where
``AWS_ROLE_ARN`` and ``AWS_WEB_IDENTITY_TOKEN_FILE`` are set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from app.webhook import mounts, variables
from app.webhook.containers import file_in, is_windows
from app.webhook.document import Object, list_at, named
from app.webhook.identity import Identity, Mode
from app.webhook.mounts import Volume
from app.webhook.profiles import config_text
from app.webhook.proxies import bypasses
from app.webhook.session_name import session_name
from app.webhook.variables import Credentials, Group

VOLUME: Final = "aws-iam-token"
TOKEN_PATH: Final = "token"  # noqa: S105 - a file name
TOKEN_MOUNT_PATH: Final = "/var/run/secrets/eks.amazonaws.com/serviceaccount"  # noqa: S105 - a path

CONFIG_ANNOTATION: Final = "irsa/aws-config"
CONFIG_VOLUME: Final = "irsa-aws-config"
CONFIG_PATH: Final = "config"
CONFIG_MOUNT_PATH: Final = "/var/run/secrets/irsa/aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where pods find the endpoint of container-credentials mode, and the token for it; the defaults are EKS's."""

    full_uri: str = "http://169.254.170.23/v1/credentials"
    volume_name: str = "eks-pod-identity-token"
    token_mount_path: str = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"  # noqa: S105 - a path
    token_path: str = "eks-pod-identity-token"  # noqa: S105 - a file name


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What the operator wants of every injection."""

    token_mount_path: str = TOKEN_MOUNT_PATH
    default_region: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further variables, for containers that get a role and where absent."""
    endpoint: Endpoint = field(default_factory=Endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An AWS config file in one pod."""

    volume: Volume
    text: str


class Plan(NamedTuple):
    """What the containers of one pod get, each as far as it lacks it."""

    token: Volume
    credentials: Credentials
    before: tuple[Group, ...]
    """Variables that come before those of the credentials."""
    after: tuple[Group, ...] = ()
    session: tuple[Group, ...] = ()
    """For containers that use our token."""
    config: Config | None = None
    """With further profiles; None where there are none."""
    hosts: tuple[str, ...] = ()
    """What containers that use our token ask without a proxy."""


def plan(pod: Object, identity: Identity, *, spec: Object, injection: Injection) -> Plan:
    """Return what the containers of *pod*, whose *spec* that is, are to get by their *identity*.

    Raises:
        MalformedPodError: its volumes cannot be read.
    """
    volumes = named(list_at(spec, "volumes", "/spec"), "/spec", "volumes")
    windows = is_windows(spec)
    if identity.mode is Mode.CONTAINER_CREDENTIALS:
        return _container_credentials(volumes, identity, injection=injection, windows=windows)
    file = file_in(injection.token_mount_path, TOKEN_PATH, windows=windows)
    name = _session_name(pod) if identity.has_session_name else None
    config, config_file = None, ""
    if identity.profiles:
        config_file = file_in(CONFIG_MOUNT_PATH, CONFIG_PATH, windows=windows)
        region = identity.region or injection.default_region
        text = config_text(identity, token_file=file, region=region, session_name=name)
        config = Config(volume=_config_volume(volumes), text=text)
    return Plan(
        token=mounts.volume(
            volumes,
            VOLUME,
            mounts.token_source(identity, TOKEN_PATH),
            mount_path=injection.token_mount_path,
            content="the token",
        ),
        credentials=variables.web_identity(identity.role_arn, file, config_file=config_file),
        before=_before(identity, injection),
        after=variables.further(injection.environment),
        session=(variables.session(name),) if identity.has_session_name else (),
        config=config,
    )


def _container_credentials(
    volumes: list[tuple[str, Object]], identity: Identity, *, injection: Injection, windows: bool
) -> Plan:
    at = injection.endpoint
    file = file_in(at.token_mount_path, at.token_path, windows=windows)
    return Plan(
        token=mounts.volume(
            volumes,
            at.volume_name,
            mounts.token_source(identity, at.token_path),
            mount_path=at.token_mount_path,
            content="the token",
        ),
        credentials=variables.container_credentials(at.full_uri, file),
        before=_before(identity, injection),
        after=variables.further(injection.environment),
        hosts=bypasses(at.full_uri),
    )


def _before(identity: Identity, injection: Injection) -> tuple[Group, ...]:
    """Return the groups of the STS setting and the region; what the operator says of the former wins."""
    groups: tuple[Group, ...] = ()
    if identity.regional_sts and injection.environment.keys().isdisjoint(variables.STS):
        groups = (variables.regional_sts(),)
    region = identity.region or injection.default_region
    return (*groups, variables.region(region)) if region else groups


def _config_volume(volumes: list[tuple[str, Object]]) -> Volume:
    source = mounts.annotation_source(CONFIG_ANNOTATION, CONFIG_PATH)
    return mounts.volume(volumes, CONFIG_VOLUME, source, mount_path=CONFIG_MOUNT_PATH, content="the AWS config file")


def _session_name(pod: Object) -> str | None:
    """Return the session name of *pod*, or None where only the kubelet will know its name.

    A controller gives each of its pods another name than that of their template, which says no kind.
    """
    metadata = pod.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) and pod.get("kind") == "Pod" else None
    return session_name(name) if isinstance(name, str) and name else None

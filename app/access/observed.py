"""A pod -> the AWS roles that its containers ask for, and the identity that was injected into it. Pure.

A container has an identity of ours where two variables that belong together stand one behind the other, as every
injection adds them, and the file that they name is a projected token of our volume; or where its AWS config file is
the annotation that we write. A container's own ``AWS_ROLE_ARN`` stands alone or elsewhere. Where it happens to stand
so, the other containers of the pod tell: one injection gives all of them one role.
"""

import configparser
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from app.access.pods import LEGACY_ROLE, Pod
from app.webhook.identity import Mode
from app.webhook.inject import MalformedPodError, Object
from app.webhook.plan import CONFIG_ANNOTATION, VOLUME
from app.webhook.variables import AUTHORIZATION_TOKEN_FILE, CONFIG_FILE, FULL_URI, REGION, ROLE_ARN, WEB_IDENTITY

CONTAINER_CREDENTIALS: Final = (FULL_URI, AUTHORIZATION_TOKEN_FILE)


class Origin(StrEnum):
    """How a container came to ask for a role."""

    INJECTED = "injected"
    """A webhook did it."""
    VARIABLE = "variable"
    """Its own AWS_ROLE_ARN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A projected ServiceAccount token that a container reads."""

    volume: str
    audience: str
    expiration: int
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one container asks AWS for.

    Attributes:
        container: its name.
        mode: by web identity, or at a local endpoint.
        role_arn: empty where the endpoint decides, or where the value is not in the pod.
        token: what it proves itself with; None where that is no projected token.
        config: the text of the AWS config file that says so, empty where variables do.
        region: as its variables say; None where they do not.
        origin: how it came to that.
    """

    container: str
    mode: Mode
    role_arn: str
    token: Token | None
    config: str = ""
    region: str | None = None
    origin: Origin = Origin.INJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a pod asks AWS for as it is now."""

    requests: tuple[Request, ...] = ()
    legacy_role: str = ""
    """What kube2iam or kiam would give it."""

    @property
    def injected(self) -> tuple[Request, ...]:
        """What a webhook gave it; the same role for all of them."""
        return tuple(request for request in self.requests if request.origin is Origin.INJECTED)


def observe(pod: Pod, *, expected_role: str = "") -> Observed:
    """Return what *pod* asks for; of one that cannot be read, its annotation only.

    Args:
        pod: the pod.
        expected_role: the role that it would get today. It decides where containers look injected with several.
    """
    legacy = pod.annotations.get(LEGACY_ROLE, "")
    try:
        requests = requests_of(pod.document())
    except MalformedPodError:
        requests = ()
    return Observed(requests=told_apart(requests, expected_role), legacy_role=legacy)


def requests_of(document: Object) -> tuple[Request, ...]:
    """Return what each container of a pod's *document* asks for, those that ask for nothing left out."""
    spec = document["spec"]
    sources = dict(_sources(spec))
    config = (document["metadata"].get("annotations") or {}).get(CONFIG_ANNOTATION, "")
    found = (_request(container, sources, config) for container in containers(spec))
    return tuple(request for request in found if request is not None)


def containers(spec: Object) -> Iterator[Object]:
    """Yield the documents of a pod's containers, init containers last."""
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()


def pair_at(variables: list[Object], pair: tuple[str, str]) -> int | None:
    """Return where the two variables of *pair* stand one behind the other, or None."""
    names = [variable["name"] for variable in variables]
    for index in range(len(names) - 1):
        if (names[index], names[index + 1]) == pair:
            return index
    return None


def volumes_of(spec: Object) -> frozenset[str]:
    """Return the names of the volumes that an injection made: a token under our name, a file from our annotation."""
    return frozenset(
        name
        for name, sources in _sources(spec)
        if (name.startswith(VOLUME) and any("serviceAccountToken" in one for one in sources))
        or any(_annotation_path(one) for one in sources)
    )


def _request(container: Object, sources: Mapping[str, list[Object]], config: str) -> Request | None:
    variables: list[Object] = container.get("env") or []
    values = {variable["name"]: variable.get("value") or "" for variable in variables}
    region = next((values[name] for name in reversed(REGION) if values.get(name)), None)
    for pair, mode in ((WEB_IDENTITY, Mode.WEB_IDENTITY), (CONTAINER_CREDENTIALS, Mode.CONTAINER_CREDENTIALS)):
        if pair[0] in values or pair[1] in values:
            token = _token(values.get(pair[1], ""), container, sources)
            # Nobody writes the endpoint by hand; a web identity people did before there were webhooks.
            is_ours = token is not None and (mode is Mode.CONTAINER_CREDENTIALS or token.volume.startswith(VOLUME))
            return Request(
                container=container["name"],
                mode=mode,
                role_arn=values.get(ROLE_ARN, "") if mode is Mode.WEB_IDENTITY else "",
                token=token,
                region=region,
                origin=Origin.INJECTED if is_ours and pair_at(variables, pair) is not None else Origin.VARIABLE,
            )
    if config and CONFIG_FILE in values and _is_annotation(values[CONFIG_FILE], container, sources):
        default = _section(config, "default")
        token = _token(default.get("web_identity_token_file", ""), container, sources)
        return Request(
            container=container["name"],
            mode=Mode.WEB_IDENTITY,
            role_arn=default.get("role_arn", ""),
            token=token,
            config=config,
            region=region,
        )
    return None


def told_apart(requests: tuple[Request, ...], expected_role: str) -> tuple[Request, ...]:
    """Return *requests* with one injected role: the expected one, or that of the first container.

    One injection gives all containers one role, so another one is a container's own, however it looks.
    """
    roles = [request.role_arn for request in requests if request.origin is Origin.INJECTED]
    if len(set(roles)) < 2:  # noqa: PLR2004 - nothing to tell apart
        return requests
    role = expected_role if expected_role in roles else roles[0]
    return tuple(_as_variable(one) if one.role_arn != role else one for one in requests)


def _as_variable(request: Request) -> Request:
    return Request(
        container=request.container,
        mode=request.mode,
        role_arn=request.role_arn,
        token=request.token,
        region=request.region,
        origin=Origin.VARIABLE,
    )


def _sources(spec: Object) -> Iterator[tuple[str, list[Object]]]:
    """Yield the name of each volume that is made of the pod's own data, and of what it is made."""
    for volume in spec.get("volumes") or ():
        projected, downward = volume.get("projected"), volume.get("downwardAPI")
        if isinstance(projected, dict):
            yield volume["name"], [one for one in projected.get("sources") or () if isinstance(one, dict)]
        elif isinstance(downward, dict):
            yield volume["name"], [{"downwardAPI": downward}]


def _token(file: str, container: Object, sources: Mapping[str, list[Object]]) -> Token | None:
    """Return the projected token at the path *file* of *container*."""
    for volume, path in _places(file, container):
        for source in sources.get(volume, ()):
            token = source.get("serviceAccountToken")
            if isinstance(token, dict) and token.get("path") == path:
                # An hour is what Kubernetes puts where nothing is said (pkg/apis/core/v1/defaults.go).
                expiration = int(token.get("expirationSeconds") or 3600)
                return Token(volume=volume, audience=str(token.get("audience") or ""), expiration=expiration)
    return None


def _is_annotation(file: str, container: Object, sources: Mapping[str, list[Object]]) -> bool:
    """Return whether the path *file* of *container* holds the annotation that we write."""
    return any(
        path and _annotation_path(source) == path
        for volume, path in _places(file, container)
        for source in sources.get(volume, ())
    )


def _annotation_path(source: Object) -> str | None:
    """Return where in its volume *source* puts the annotation that we write, None where it does not."""
    for item in (source.get("downwardAPI") or {}).get("items") or ():
        if (item.get("fieldRef") or {}).get("fieldPath") == f"metadata.annotations['{CONFIG_ANNOTATION}']":
            return str(item.get("path"))
    return None


def _places(file: str, container: Object) -> Iterator[tuple[str, str]]:
    """Yield the volumes in which the path *file* of *container* may be, and the path in each."""
    path = posixpath.normpath(file.removeprefix("C:").replace("\\", "/"))
    for mount in container.get("volumeMounts") or ():
        at = posixpath.normpath(str(mount.get("mountPath") or "").removeprefix("C:").replace("\\", "/"))
        if path.startswith(f"{at}/"):
            yield mount["name"], path[len(at) + 1 :]


def profiles_of(config: str) -> list[tuple[str, str]]:
    """Return the profiles, and the role of each, that an AWS config file has besides the default one."""
    parsed = _parsed(config)
    names = (name for name in parsed.sections() if name.startswith("profile "))
    return [(name.removeprefix("profile ").strip(), parsed[name].get("role_arn", "")) for name in names]


def _section(config: str, name: str) -> Mapping[str, Any]:
    parsed = _parsed(config)
    return dict(parsed[name]) if name in parsed else {}


def _parsed(config: str) -> configparser.ConfigParser:
    # Whoever made the pod may have written this annotation, so it may be anything.
    parser = configparser.ConfigParser(interpolation=None, default_section="", strict=False)
    try:
        parser.read_string(config)
    except configparser.Error:
        return configparser.ConfigParser(interpolation=None, default_section="")
    return parser

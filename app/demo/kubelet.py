"""Plays the kubelet for one pod, without containers: files of volumes, environment, command.

Like a kubelet: a ``serviceAccountToken`` source becomes a token with the audience and lifetime that the volume asks
for, bound to the pod; ``configMap`` volumes become files; the environment is what the container's ``env`` says.

Unlike one: there is no container. What is mounted lies below the pod's folder, so paths in the command and in the
environment that point into a mount are rewritten to it; ``python`` is the interpreter that runs the demo, in place of
the image's; the process runs as us and sees this machine's files and network. PATH and an empty HOME are the image's.
Tokens are not renewed, nothing is restarted, and of a pod's many fields only those of the examples are known: what else
would change the result (``envFrom``, ``valueFrom``, ``$(NAME)``, ``subPath``, other volumes) is refused, not ignored.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from app.demo.files import write_private
from app.demo.processes import Process, Processes, bare_environment
from app.errors import DemoError
from app.text import shown
from oidc.tokens import Token

Object = dict[str, Any]
ConfigMaps = Mapping[str, Mapping[str, str]]

DEFAULT_TOKEN_EXPIRATION: Final = 3600
"""What kube-apiserver takes where a volume asks for nothing (pkg/apis/core/v1/defaults.go)."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token that a volume asks for; its lifetime is in seconds."""

    audience: str
    token_expiration: int


Mint = Callable[[TokenRequest], Token]
Content = str | TokenRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write and what to run.

    Attributes:
        files: where in the container -> what. The path is relative to the container's root.
        command: the program and its arguments, on this machine's paths.
        environment: the container's variables, on this machine's paths.
    """

    files: Mapping[PurePosixPath, Content]
    command: tuple[str, ...]
    environment: Mapping[str, str]


def plan(pod: Object, *, config_maps: ConfigMaps, root: Path) -> Plan:
    """Return what the one container of *pod* needs, with *root* for the root of its file system.

    Raises:
        DemoError: the pod wants something that this kubelet does not know, or kube-apiserver would not have taken it.
    """
    try:
        return _plan(pod, config_maps, root)
    except (KeyError, TypeError, AttributeError) as error:
        raise DemoError(f"kubelet: expected a pod that kube-apiserver takes, got a {type(error).__name__}") from error


def _plan(pod: Object, config_maps: ConfigMaps, root: Path) -> Plan:
    spec = pod["spec"]
    if len(spec["containers"]) != 1 or spec.get("initContainers"):
        raise DemoError("kubelet: expected a pod with one container, got more")
    container = spec["containers"][0]
    _refuse(container, "envFrom", "args", "workingDir")
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or ()}
    mounts = {_mount_path(mount): volumes[mount["name"]] for mount in container.get("volumeMounts") or ()}

    def here(value: str) -> str:
        return _here(value, mounts, root)

    command = [here(_plain(word, where="the command")) for word in container["command"]]
    if command[0] in {"python", "python3"}:
        command[0] = sys.executable
    return Plan(
        files={
            mount.relative_to("/") / path: content
            for mount, volume in mounts.items()
            for path, content in _files(volume, config_maps)
        },
        command=tuple(command),
        environment={variable["name"]: here(_value(variable)) for variable in container.get("env") or ()},
    )


def run(planned: Plan, processes: Processes, *, name: str, root: Path, mint: Mint) -> Process:
    """Write the files of *planned* below *root*, which is made, and start its command."""
    root.mkdir(mode=0o700, parents=True)
    home = root / "home"
    home.mkdir()
    for path, content in planned.files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else mint(content).reveal()
        write_private(file, text.encode())
    return processes.start(name, planned.command, environment={**bare_environment(home), **planned.environment})


def _files(volume: Object, config_maps: ConfigMaps) -> Iterator[tuple[PurePosixPath, Content]]:
    match volume:
        case {"configMap": {"name": name, **rest}} if not rest and name in config_maps:
            yield from ((_inside(key), value) for key, value in config_maps[name].items())
        case {"projected": {"sources": [*sources]}}:
            for source in sources:
                yield _token_file(source)
        case _:
            raise DemoError(f"kubelet: expected a configMap or projected volume, got {shown(volume['name'])}")


def _token_file(source: Object) -> tuple[PurePosixPath, TokenRequest]:
    match source:
        case {"serviceAccountToken": {"audience": str(audience), "path": str(path), "expirationSeconds": int(seconds)}}:
            return _inside(path), TokenRequest(audience, seconds)
        case {"serviceAccountToken": {"audience": str(audience), "path": str(path)}}:
            return _inside(path), TokenRequest(audience, DEFAULT_TOKEN_EXPIRATION)
        case _:
            raise DemoError("kubelet: expected a serviceAccountToken with an audience in a projected volume")


def _value(variable: Object) -> str:
    where = f"variable {shown(variable['name'])}"
    if "valueFrom" in variable:
        raise DemoError(f"kubelet: expected a value in {where}, got valueFrom")
    return _plain(variable.get("value", ""), where=where)


def _plain(value: str, *, where: str) -> str:
    if "$(" in value:
        raise DemoError(f"kubelet: expected no $(NAME) in {where}, got one")
    return value


def _mount_path(mount: Object) -> PurePosixPath:
    _refuse(mount, "subPath", "subPathExpr")
    path = PurePosixPath(mount["mountPath"])
    if not path.is_absolute() or ".." in path.parts:
        raise DemoError(f"kubelet: expected an absolute mountPath, got {shown(mount['mountPath'])}")
    return path


def _inside(path: str) -> PurePosixPath:
    """Return *path* if it stays in its volume."""
    inside = PurePosixPath(path)
    if inside.is_absolute() or ".." in inside.parts:
        raise DemoError(f"kubelet: expected a path inside the volume, got {shown(path)}")
    return inside


def _here(value: str, mounts: Mapping[PurePosixPath, Object], root: Path) -> str:
    """Return *value* on this machine's paths if it is a path into one of *mounts*."""
    path = PurePosixPath(value)
    is_mounted = any(path.is_relative_to(mount) for mount in mounts)
    return str(root / path.relative_to("/")) if is_mounted else value


def _refuse(owner: Object, *fields: str) -> None:
    for field in fields:
        if owner.get(field):
            raise DemoError(f"kubelet: expected {shown(owner['name'])} without {field}, got one with it")

"""The file of ``--config``: YAML, one section a command, one key a flag."""

from pathlib import Path
from typing import Any

from app.cli.commands import COMMANDS, GROUPS
from app.cluster.manifest_files import read_file
from app.cluster.manifests import read_documents
from app.errors import ConfigurationError
from app.text import shown


def read(path: Path) -> dict[str, Any]:
    """Return the sections in *path*; those of a group are nested, as its commands are.

    Raises:
        ConfigurationError: it cannot be read, or is not made of sections, commands and values.
    """
    documents = read_documents(read_file(path), source=str(path))
    if len(documents) != 1:
        raise ConfigurationError(f"{path}: expected one YAML document of settings, got {len(documents)}")
    content = _mapping(path, documents[0].content, "commands as sections")
    for command, settings in _sections(path, content):
        _check_settings(path, command, settings)
    return content


def _sections(path: Path, content: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return each command in *content*, those of groups by their whole name, and its settings."""
    found = [(name, settings) for name, settings in content.items() if name not in GROUPS]
    for group in GROUPS.keys() & content.keys():
        commands = _mapping(path, content[group], f"commands as sections below {group}")
        found += [(f"{group} {name}", settings) for name, settings in commands.items()]
    for command, _ in found:
        if command not in COMMANDS:
            raise ConfigurationError(f"{path}: expected commands as sections, got {shown(command)}")
    return found


def _check_settings(path: Path, command: str, settings: Any) -> None:
    for key, value in _mapping(path, settings, f"flags as keys below {command}").items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float) for one in values):
            raise ConfigurationError(f"{path}: expected a value or a list of values for {command} {shown(key)}")


def _mapping(path: Path, value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigurationError(f"{path}: expected {what}, got something else")
    return value

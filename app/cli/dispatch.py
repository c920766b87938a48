"""Words -> the command's function, its settings filled in from flags, environment and file."""

import os
from collections.abc import Sequence
from typing import Any

from cyclopts import App, ArgumentCollection, CycloptsError
from cyclopts.config import Env, Yaml

from app.cli import environment, settings_errors
from app.cli.commands import COMMANDS, GROUPS, ROLES
from app.errors import ConfigurationError
from app.text import shown


def dispatch(arguments: Sequence[str]) -> int:
    """Run the command that *arguments* name and return its exit status.

    Raises:
        ConfigurationError: a flag, variable or key of the file that cannot be used; and what the command raises.
    """
    file, tokens = _without_config(arguments)
    sources: list[Any] = [_strict, Env(environment.PREFIX, command=False)]
    if file is not None:
        sources.append(_settings_file(file))
    try:
        status = _application(sources)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        command = " ".join(error.command_chain or ())
        raise ConfigurationError(f"{settings_errors.one_line(error)}; see `irsa {command} --help`") from error
    return status if isinstance(status, int) else 0


def _without_config(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the file after ``--config``, and the other words."""
    tokens = list(arguments)
    if "--config" not in tokens:
        return None, tokens
    at = tokens.index("--config")
    if at + 1 == len(tokens):
        raise ConfigurationError("expected a file after --config, got nothing")
    file = tokens[at + 1]
    del tokens[at : at + 2]
    return file, tokens


def _application(sources: list[Any]) -> App:
    app = App(name="irsa", config=sources, version_flags=(), default_parameter=None)
    groups = {name: App(name=name, help=text, version_flags=()) for name, text in GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for name, (target, text) in COMMANDS.items():
        *parents, leaf = name.split(" ")
        (groups[parents[0]] if parents else app).command(target, name=leaf, help=text)
    return app


def _strict(_app: App, command: tuple[str, ...], flags: ArgumentCollection) -> None:
    if " ".join(command) in ROLES:
        environment.refuse_unknown(os.environ, flags=[name for flag in flags for name in flag.names])


def _settings_file(path: str) -> Yaml:
    file = Yaml(path, must_exist=True)
    try:
        sections = file.config
    except (OSError, CycloptsError) as error:
        problem = error.strerror if isinstance(error, OSError) else settings_errors.one_line(error)
        raise ConfigurationError(f"expected a YAML file of settings at {path}, got: {problem}") from error
    commands = {name.split(" ")[0] for name in COMMANDS}
    for section in sections:
        if section not in commands:
            raise ConfigurationError(f"expected commands as sections of {path}, got {shown(section)}")
    return file

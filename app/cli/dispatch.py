"""Words -> the command's function, its settings filled in from flags, environment and file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection, CycloptsError
from cyclopts.config import Dict, Env

from app.cli import environment, settings_errors, settings_file
from app.cli.commands import COMMANDS, GROUPS, ROLES
from app.errors import ConfigurationError


def dispatch(arguments: Sequence[str]) -> int:
    """Run the command that *arguments* name and return its exit status.

    Raises:
        ConfigurationError: a flag, variable or key of the file that cannot be used; and what the command raises.
    """
    for name in environment.service_links(os.environ):
        del os.environ[name]
    file, tokens = _without_config(arguments)
    sources: list[Any] = [_strict, Env(environment.PREFIX, command=False)]
    if file is not None:
        sources.append(Dict(settings_file.read(Path(file)), source=file))
    try:
        status = _application(sources)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        command = " ".join(("irsa", *(error.command_chain or ())))
        raise ConfigurationError(f"{settings_errors.one_line(error)}; see `{command} --help`") from error
    return status if isinstance(status, int) else 0


def _without_config(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the file after ``--config``, and the other words."""
    file, tokens = None, []
    words = iter(arguments)
    for word in words:
        if word == "--config":
            file = next(words, "")
        elif word.startswith("--config="):
            file = word.removeprefix("--config=")
        else:
            tokens.append(word)
            continue
        if not file:
            raise ConfigurationError("expected a file after --config, got nothing")
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

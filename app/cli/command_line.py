"""A command line: finds the command, imports only that one, turns errors into one line and an exit status.

Exit status: 0 it did what it should; 1 it could not, and says why; 2 a flag, setting or file must be changed first;
130 interrupted.

Settings come from flags, then the environment (``IRSA_PORT`` for ``--port``), then a file (``--config FILE``, YAML,
one section a command).
"""

import difflib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from app.cli.commands import COMMANDS
from app.errors import ConfigurationError, IrsaError
from app.text import shown


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    _open_streams()
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except IrsaError as error:
        print(f"irsa: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    except BrokenPipeError:
        # At exit Python would flush what is left, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Who read our output has enough of it (`irsa inject | head`), but nobody has heard how another command ended.
        return 0 if arguments[0] == "inject" else 1
    except OSError as error:
        print(f"irsa: expected to read and write where we were told, got: {error.strerror or error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in {"--help", "-h", "help"}:
        print(overview())
        return 0
    if arguments[0] == "--version":
        from importlib import metadata  # noqa: PLC0415 - 0.03 s that `irsa --help` has no use for

        print(metadata.version("irsa"))
        return 0
    _check_command(arguments[0])
    from app.cli.dispatch import dispatch  # noqa: PLC0415 - 0.2 s that `irsa --help` has no use for

    return dispatch(arguments)


def _open_streams() -> None:
    """Give a stream to whoever has none (``>&-``), and every character a way out of it (``LC_ALL=C``)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - it is there until we end
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def overview() -> str:
    """Return the page of ``irsa --help``. Made by hand: the library's page takes four times its 0.2 seconds."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
    return (
        "irsa: AWS IAM Roles for Service Accounts on any Kubernetes cluster\n\n"
        f"Usage: irsa COMMAND [flags]\n\nCommands:\n{rows}\n\n"
        "`irsa COMMAND --help` explains its flags. Every flag is also an environment variable (--port: IRSA_PORT) and\n"
        "a key in the file named by --config, in the section of its command."
    )


def _check_command(word: str) -> None:
    known = sorted({name.split(" ")[0] for name in COMMANDS})
    if word not in known and word.partition("=")[0] != "--config":
        near = difflib.get_close_matches(word, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigurationError(f"expected a command, got {shown(word)}; {hint}")

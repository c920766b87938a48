"""``irsa``: finds the command, imports only that one, turns errors into one line and an exit status.

Exit status: 0 it did what it should; 1 it could not, and says why; 2 a flag, setting or file must be changed first;
130 interrupted.

Settings come from flags, then the environment (``IRSA_PORT`` for ``--port``), then a file (``--config FILE``, YAML,
one section a command).
"""

import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Final

from app.errors import ConfigurationError, IrsaError
from app.text import shown

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "webhook": ("app.cli.webhook:webhook", "Serve the mutating admission webhook."),
    "issuer keygen": ("app.cli.issuer:keygen", "Make a signing key for the cluster's service account tokens."),
    "issuer render": ("app.cli.issuer:render", "Write discovery document and JWKS to a folder."),
    "issuer serve": ("app.cli.issuer:serve", "Serve discovery document and JWKS over HTTPS."),
    "inject": ("app.cli.inject:inject", "Apply the webhook's mutation to YAML, offline."),
    "demo": ("app.cli.demo:demo", "Run the whole chain on this machine against a real STS."),
}
"""Command -> where its function is, and its one line of help. Nothing is imported until the command is known."""

ROLES: Final = frozenset({"webhook", "issuer serve"})
"""Commands that a cluster runs: every IRSA_* variable of theirs must mean something. A shell may hold anybody's."""

GROUPS: Final[Mapping[str, str]] = {"issuer": "Make and serve the documents that STS trusts."}


def main() -> None:
    """Run the command named in ``sys.argv`` and exit with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        if not arguments or arguments[0] in {"--help", "-h", "help"}:
            _print(overview())
            return 0
        if arguments[0] == "--version":
            _print(metadata.version("irsa"))
            return 0
        _check_command(arguments[0])
        from app.cli.dispatch import dispatch  # noqa: PLC0415 - 0.2 s that `irsa --help` has no use for

        return dispatch(arguments)
    except IrsaError as error:
        print(f"irsa: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    except BrokenPipeError:
        # Who read our output has enough of it (`irsa inject | head`); at exit Python would flush, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _print(text: str) -> None:
    print(text, flush=True)


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
    if word not in known and word != "--config":
        near = difflib.get_close_matches(word, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigurationError(f"expected a command, got {shown(word)}; {hint}")

"""kubectl and helm, as a person would run them: found on PATH, with the person's own environment and KUBECONFIG."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any, Final

from app.demo.text import plain
from app.errors import ConfigurationError, DemoError

Object = dict[str, Any]

BOUND_SECONDS: Final = 60.0


def kubectl(*arguments: str, manifests: Sequence[Object] = (), seconds: float = BOUND_SECONDS) -> str:
    """Run kubectl and return what it printed. *manifests* are its standard input.

    Raises:
        ConfigurationError: there is no kubectl.
        DemoError: it failed; the message has its last line.
    """
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)}) if manifests else None
    return _run("kubectl", arguments, text=text, seconds=seconds)


def kubectl_get(*arguments: str) -> Any:
    """Return what ``kubectl get`` finds, as a document."""
    return json.loads(kubectl("get", "-o", "json", *arguments))


def helm(*arguments: str, seconds: float = BOUND_SECONDS) -> str:
    """Run helm and return what it printed; raises as `kubectl` does."""
    return _run("helm", arguments, text=None, seconds=seconds)


def _run(program: str, arguments: Sequence[str], *, text: str | None, seconds: float) -> str:
    what = f"{program} {arguments[0]}"
    try:
        done = subprocess.run(  # noqa: S603 - a program of the person's own, with our arguments
            [program, *arguments], input=text or "", capture_output=True, text=True, check=False, timeout=seconds
        )
    except FileNotFoundError as error:
        raise ConfigurationError(f"expected {program} on PATH, found none; install it") from error
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{what}: expected its end within {seconds:.0f} s, it still runs") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise DemoError(f"{what}: expected it to succeed, got: {plain(last)}")
    return done.stdout

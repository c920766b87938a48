"""The chart, rendered by a real helm as a user's would."""

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parent.parent.parent
CHART: Final = ROOT / "manifests/chart"
BASE: Final = ROOT / "manifests/base"
NAMESPACE: Final = "irsa-system"
VERSION: Final[str] = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["project"]["version"]

KUBE_VERSION: Final = "1.30.0"
"""The oldest that the chart takes; helm has a version of its own that may be older still."""

BOUND_SECONDS: Final = 60

Manifest = dict[str, Any]


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm; *values* are a file of values on its standard input."""
    if shutil.which("helm") is None:
        pytest.skip("no helm on PATH")
    given = [] if values is None else ["--values", "-"]
    return subprocess.run(  # noqa: S603 - the arguments are the test's own
        ["helm", *arguments, *given],  # noqa: S607 - from PATH, as the design says
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND_SECONDS,
    )


def template(values: Mapping[str, Any] | None = None, *, namespace: str = NAMESPACE) -> str:
    """Return what the chart makes of *values*."""
    return _template(json.dumps(values or {}), namespace)


@cache
def _template(values: str, namespace: str) -> str:
    options = ["--namespace", namespace, "--kube-version", KUBE_VERSION]
    done = helm("template", "irsa", str(CHART), *options, values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(values: Mapping[str, Any] | None = None, *, namespace: str = NAMESPACE) -> list[Manifest]:
    return documents(template(values, namespace=namespace))


def documents(text: str) -> list[Manifest]:
    return [document for document in YAML(typ="safe").load_all(text) if document]


@cache
def base() -> tuple[Manifest, ...]:
    """Return what the chart makes of no values, without needing helm: manifests/base is that (test_base.py)."""
    return tuple(documents(BASE.joinpath("irsa.yaml").read_text()))


def named(manifests: Iterable[Manifest], kind: str, name: str) -> Manifest:
    [found] = [one for one in manifests if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def kinds(manifests: Iterable[Manifest]) -> set[str]:
    return {f"{one['kind']}/{one['metadata']['name']}" for one in manifests}

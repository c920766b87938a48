"""The programs in other languages: built from their locked packages, into pytest's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
SECONDS: Final = 300
"""A first build compiles the whole SDK for Go, beside other work."""

OUR_FAULT: Final = ("EINTEGRITY", "EUSAGE", "EJSONPARSE", "EBADENGINE", "missing go.sum entry", "checksum mismatch")
"""In what a package client says: the lock is wrong. All else is a registry that cannot be reached."""


def botocore(cache: Path) -> list[str]:
    """Return the command of the program in Python."""
    del cache
    return [sys.executable, str(HERE / "python" / "caller.py")]


def javascript(cache: Path) -> list[str]:
    """Return the command of the program in JavaScript, skipping the test where it cannot be had."""
    node, npm = _tool("node"), _tool("npm")
    folder = _folder(cache, HERE / "javascript")
    if not (folder / "complete").exists():
        shutil.copytree(HERE / "javascript", folder, dirs_exist_ok=True)
        _fetch(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", folder=folder)
        (folder / "complete").touch()
    return [node, str(folder / "caller.js")]


def go(cache: Path) -> list[str]:
    """Return the program in Go, skipping the test where it cannot be had."""
    tool = _tool("go")
    folder = _folder(cache, HERE / "go")
    if not (folder / "caller").exists():
        _fetch(tool, "mod", "download", folder=HERE / "go")
        subprocess.run(  # noqa: S603 - ours
            [tool, "build", "-o", folder / "caller", "."],
            cwd=HERE / "go",
            env=_environment(),
            timeout=SECONDS,
            check=True,
        )
    return [str(folder / "caller")]


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _folder(cache: Path, sources: Path) -> Path:
    """Return the place for what is built of *sources*, another one for each of their states."""
    state = hashlib.sha256()
    for file in sorted(sources.iterdir()):
        state.update(file.read_bytes())
    folder = cache / f"{sources.name}-{state.hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _environment() -> dict[str, str]:
    return os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}


def _fetch(*command: str, folder: Path) -> None:
    done = subprocess.run(  # noqa: S603 - ours
        command, cwd=folder, env=_environment(), timeout=SECONDS, check=False, capture_output=True, text=True
    )
    if done.returncode and any(word in done.stderr for word in OUR_FAULT):
        pytest.fail(done.stderr)
    if done.returncode:
        pytest.skip(f"packages cannot be fetched: {' '.join(done.stderr.split())[:200]}")

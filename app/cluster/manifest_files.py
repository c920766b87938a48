"""A folder -> the manifests in it: which files count, and their bytes. Apart from its watcher, which imports more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.errors import ManifestError

SUFFIXES: Final = (".yaml", ".yml", ".json")


def manifest_files(folder: Path) -> list[Path]:
    """Return the manifests in *folder* and below, in order.

    Raises:
        ManifestError: there is no such folder, or it cannot be read.
    """
    try:
        return list(_walk(folder, above=frozenset()))
    except OSError as error:
        problem = f"expected a folder of YAML manifests, got: {error.strerror}"
        raise ManifestError(f"{folder}: {problem}") from error


def read_file(path: Path) -> bytes:
    """Return what is in *path*.

    Raises:
        ManifestError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: expected a readable file, got: {error.strerror}") from error


def _walk(folder: Path, *, above: frozenset[Path]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above:
        return  # a link to a folder in which it is itself
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue  # editors' files, .git, and the `..data` where a mounted ConfigMap has everything a second time
        if path.is_dir():
            yield from _walk(path, above=above | {here})
        elif path.suffix in SUFFIXES and path.is_file():
            yield path

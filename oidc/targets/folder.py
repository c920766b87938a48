"""Documents -> files, for any web server or ``aws s3 sync`` that serves the folder at the issuer URL."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

from oidc.documents import Documents
from oidc.errors import ConfigurationError
from oidc.issuer import DISCOVERY, JWKS

FILE_MODE: Final = 0o644
FOLDER_MODE: Final = 0o755
"""Both are set whatever the umask: these are public, and the web server is somebody else."""


def render(documents: Documents, folder: Path) -> tuple[Path, ...]:
    """Write both documents into *folder* and return the files that changed.

    The folder stands for the issuer URL, path and all. The JWKS goes first, so that a discovery document never names
    an algorithm whose keys are not there yet. A reader sees the old file or the new one, never a part.

    Raises:
        ConfigurationError: *folder* is something else, or cannot be written.
    """
    files = ((JWKS, documents.jwks), (DISCOVERY, documents.discovery))
    try:
        return tuple(path for name, content in files if _write(path := folder / name[1:], content, root=folder))
    except OSError as error:
        where = error.filename or folder
        reason = (error.strerror or "unknown error").lower()
        raise ConfigurationError(f"output: expected a folder to write to, got {str(where)!r}: {reason}") from error


def _write(path: Path, content: bytes, *, root: Path) -> bool:
    if path.is_file() and path.read_bytes() == content:
        return False
    _make_folders(path.parent, root)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(descriptor, FILE_MODE)
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def _make_folders(folder: Path, root: Path) -> None:
    if folder != root:
        _make_folders(folder.parent, root)
    if folder.is_dir():
        return
    try:
        folder.mkdir(parents=folder == root)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    folder.chmod(FOLDER_MODE)

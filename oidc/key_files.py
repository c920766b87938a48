"""Key files: private ones are read and made so that nobody else ever gets to see them."""

import errno
import os
import shlex
import stat
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oidc.errors import KeyFileError
from oidc.keys import PublicKey, SigningKey, parse

MAX_BYTES: Final = 262_144
"""A hundred RSA-4096 public keys, the most that STS takes, are 80 kB."""

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class _KeyFile:
    content: bytes = field(repr=False)
    mode: int
    is_link: bool


def read_public_keys(*paths: Path) -> list[PublicKey]:
    """Return the public keys in all *paths*, which may hold private ones too, as kube-apiserver's flag allows.

    A file with a private key must be kept like one, whichever flag names it.

    Raises:
        KeyFileError: unreadable, not a file, no keys that can be used, or a private key that others may read.
    """
    public_keys = []
    for path in paths:
        file = _read(path)
        for key in parse(file.content, str(path)):
            if isinstance(key, SigningKey):
                _refuse_exposed(path, file)
                public_keys.append(key.public_key)
            else:
                public_keys.append(key)
    return public_keys


def read_signing_key(path: Path) -> SigningKey:
    """Return the first private key in *path*, the one that kube-apiserver signs with.

    Raises:
        KeyFileError: as `read_public_keys`, or there is no private key.
    """
    file = _read(path)
    for key in parse(file.content, str(path)):
        if isinstance(key, SigningKey):
            _refuse_exposed(path, file)
            return key
    raise KeyFileError(f"{path}: expected a private key, got public ones only")


def write_pair(key: SigningKey, private: Path, public: Path) -> None:
    """Write *key* to two new files, *private* with mode 0600. Leaves neither where one could not be written.

    Raises:
        KeyFileError: one of them exists already, or cannot be written.
    """
    with ExitStack() as undo:
        _create(private, key.private_pem(), mode=0o600)
        undo.callback(private.unlink)
        _create(public, key.public_key.pem(), mode=0o644)
        undo.pop_all()


def _read(path: Path) -> _KeyFile:
    """Read *path*, and say of the very descriptor that was read whether it was a link and who else may read it.

    Asking the path again afterwards would leave a moment in which it can be swapped.
    """
    try:
        descriptor, is_link = _open(path)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise KeyFileError(f"{path}: expected a file, got a {_kind(mode)}")
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                content = stream.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KeyFileError(f"{path}: expected a readable key file, got: {_reason(error)}") from error
    if len(content) > MAX_BYTES:
        raise KeyFileError(f"{path}: expected a key file of at most {MAX_BYTES} bytes, got a longer one")
    return _KeyFile(content, stat.S_IMODE(mode), is_link)


def _open(path: Path) -> tuple[int, bool]:
    # O_NONBLOCK: a pipe without a writer would be waited for without end.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags | os.O_NOFOLLOW), False
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    # Public keys may come through a link: every file of a mounted ConfigMap is one.
    return os.open(path, flags), True


def _refuse_exposed(path: Path, file: _KeyFile) -> None:
    if file.is_link:
        raise KeyFileError(
            f"{path}: expected a private key in a file of its own, got a symbolic link; name the file it points to"
        )
    if file.mode & OTHERS:
        raise KeyFileError(
            f"{path}: expected a private key without permissions for group and others, got mode {file.mode:04o}; "
            f"run `chmod 600 {shlex.quote(str(path))}`"
        )


def _create(path: Path, content: bytes, *, mode: int) -> None:
    """Make a file that was not there, not even as a link, with at most the permissions in *mode*."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise KeyFileError(
            f"{path}: expected no file there, got one; a key is never overwritten: name another file"
        ) from error
    except OSError as error:
        raise KeyFileError(f"{path}: expected to make a key file, got: {_reason(error)}") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileError(f"{path}: expected to write a key file, got: {_reason(error)}") from error


def _kind(mode: int) -> str:
    return "folder" if stat.S_ISDIR(mode) else "device, pipe or socket"


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()

"""Files that nobody else may read: tokens, keys, configurations with keys in them."""

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write a new file with mode 0600.

    Raises:
        FileExistsError: there is one; nothing of the demo is written twice.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)

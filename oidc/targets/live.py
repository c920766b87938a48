"""Documents that follow their key files: a server reads the current ones, and an edit that is bad changes nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog
from watchfiles import awatch

from oidc.documents import Documents, documents
from oidc.errors import IrsaError
from oidc.issuer import Issuer
from oidc.key_files import read_public_keys

RELOAD_MILLISECONDS: Final = 5_000
"""Files are also read this often without being told: network file systems do not tell, and nobody tells of an edit
between the first reading and the beginning of the watch."""

log = structlog.get_logger()


class LiveDocuments:
    """The documents of one issuer and its key files, as of the last edit that could be used.

    Raises:
        ConfigurationError: the files cannot be used now, so there is nothing to start with.
    """

    def __init__(self, issuer: Issuer, key_files: Sequence[Path]) -> None:
        self._issuer = issuer
        self._key_files = tuple(key_files)
        self._current = self._load()

    def current(self) -> Documents:
        """Return the documents to serve now. Does no I/O."""
        return self._current

    def reload(self) -> None:
        """Read the key files again; where they cannot be used, the log says why and `current` stays."""
        try:
            loaded = self._load()
        except IrsaError as error:
            log.error("documents_kept", reason=str(error))  # noqa: TRY400 - bad input is one line, not a traceback
            return
        if loaded != self._current:
            self._current = loaded
            log.info("documents_changed", issuer=self._issuer.url)

    async def run(self) -> None:
        """Reload whenever a key file may have changed, until cancelled. Never returns.

        The folders are watched, not the files: an editor and a mounted ConfigMap replace a file by another one.
        """
        folders = {path.absolute().parent for path in self._key_files}
        changes = awatch(
            *folders, watch_filter=None, recursive=False, rust_timeout=RELOAD_MILLISECONDS, yield_on_timeout=True
        )
        async for _ in changes:
            self.reload()

    def _load(self) -> Documents:
        return documents(self._issuer, read_public_keys(*self._key_files))

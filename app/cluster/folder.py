"""ServiceAccounts of a folder of YAML manifests, for development and the demo."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import structlog
from watchfiles import awatch

from app.cluster.manifest_files import manifest_files, read_file
from app.cluster.manifests import read_documents, service_accounts_in
from app.cluster.objects import Keep, ServiceAccount
from app.cluster.source import ServiceAccounts
from app.errors import ManifestError

DEBOUNCE_MILLISECONDS: Final = 200
"""How long to wait for an editor or a copy to finish; a file that is read too early is read again."""

LOOK_MILLISECONDS: Final = 5_000
"""We look at the folder so often even when nobody reports a change: network file systems report none."""

log = structlog.get_logger()

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _File:
    """What a file held when it could last be read, and the stamp of the content that was last looked at."""

    stamp: Stamp
    service_accounts: ServiceAccounts


class FolderSource:
    """A `ServiceAccountSource` that reads the manifests in a folder and in the folders below it.

    It watches them, and notices the ``..data`` swap by which the kubelet updates a mounted ConfigMap. A file that can
    no longer be read keeps what it held, and one log line names it and the problem. Of two manifests of the same
    ServiceAccount the one in the later file counts, in order of names.
    """

    def __init__(self, folder: Path, *, keep: Keep, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._keep = keep
        self._clock = clock
        self._files: dict[Path, _File] = {}
        self._snapshot = ServiceAccounts()
        self._looked = float("-inf")
        self._folder_problem = ""

    @classmethod
    def open(cls, folder: Path, *, keep: Keep, clock: Callable[[], float] = time.monotonic) -> Self:
        """Read *folder* once and return its source.

        Raises:
            ManifestError: the folder, or a manifest in it, cannot be read.
        """
        source = cls(folder, keep=keep, clock=clock)
        source._look(_raise)
        return source

    def __len__(self) -> int:
        return len(self._snapshot)

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as the snapshot has it, or None."""
        return self._snapshot.get(namespace, name)

    async def confirm(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return what `get` does: nobody else knows more of a file."""
        return self.get(namespace, name)

    def is_recent(self, namespace: str, name: str) -> bool:
        """Return False: a file is read when it is complete."""
        del namespace, name
        return False

    def age(self, now: float) -> float:
        """Return the seconds since we last looked at the folder."""
        return now - self._looked

    async def run(self) -> None:
        """Read what changes, until cancelled."""
        changes = awatch(
            self._folder,
            watch_filter=None,  # the default one passes over names that we want to see
            debounce=DEBOUNCE_MILLISECONDS,
            rust_timeout=LOOK_MILLISECONDS,
            yield_on_timeout=True,
            ignore_permission_denied=True,
        )
        async for _ in changes:
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Look at the folder now. What cannot be read is logged, once."""
        try:
            self._look(_log)
        except ManifestError as error:
            if str(error) != self._folder_problem:
                self._folder_problem = str(error)
                _log(error)
        else:
            self._folder_problem = ""

    def _look(self, on_problem: Callable[[ManifestError], None]) -> None:
        """Read the files whose stamp changed, and publish the snapshot of all by one assignment."""
        files = {path: self._file(path, stamp, on_problem) for path, stamp in _manifests(self._folder)}
        if files != self._files:
            snapshot = ServiceAccounts()
            for file in files.values():
                for namespace, name, service_account in file.service_accounts:
                    snapshot.put(namespace, name, service_account)
            self._files, self._snapshot = files, snapshot
            log.info("manifests_read", folder=str(self._folder), files=len(files), service_accounts=len(snapshot))
        self._looked = self._clock()

    def _file(self, path: Path, stamp: Stamp, on_problem: Callable[[ManifestError], None]) -> _File:
        known = self._files.get(path)
        if known is not None and known.stamp == stamp:
            return known
        try:
            return _File(stamp, service_accounts_in(read_documents(read_file(path), source=str(path)), keep=self._keep))
        except ManifestError as error:
            on_problem(error)
            return _File(stamp, known.service_accounts if known is not None else ServiceAccounts())


def _manifests(folder: Path) -> list[tuple[Path, Stamp]]:
    """Return the manifests in *folder* and below, in order, with their stamps.

    Raises:
        ManifestError: there is no such folder, or it cannot be read.
    """
    try:
        return [(path, _stamp(path.stat())) for path in manifest_files(folder)]
    except OSError as error:  # one that was there a moment ago
        raise ManifestError(f"{folder}: expected manifests that stay, got: {error.strerror}") from error


def _stamp(status: os.stat_result) -> Stamp:
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _raise(error: ManifestError) -> None:
    raise error


def _log(error: ManifestError) -> None:
    log.warning("manifest_unreadable", problem=str(error), next_step="the last good content stays")

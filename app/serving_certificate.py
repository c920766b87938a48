"""The certificate of a running server, read anew when its files change."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

import structlog

from app.errors import ConfigurationError
from app.tls import ServerTls, server_context
from app.validity import not_after

LOOK_SECONDS: Final = 1.0
"""How often we look at the files: three calls of stat. Being told of changes would want a library and its thread."""

log = structlog.get_logger()

Stamp = tuple[int, int, int, int]


class ServingCertificate:
    """Certificate, key and client CA as they were when they last belonged together.

    A connection keeps what it was opened with. What cannot be used changes nothing: one log line says why, and the
    files are read again until they can. The kubelet swaps all files of a mounted Secret at once (``..data``); files
    that are copied one after the other are read between the two copies, and once more after the second.

    Attributes:
        context: for the next handshake; None while there was never a certificate that could be used.
        not_after: until when the certificate is valid, in Unix seconds; None where there is none, or none can say.
        problem: why the files, as they are now, cannot be used; empty where they are in use.
        loads: how often files came into use.
        refusals: how often a new problem kept them from it.
    """

    def __init__(self, tls: ServerTls) -> None:
        self.context: ssl.SSLContext | None = None
        self.not_after: float | None = None
        self.problem = ""
        self.loads = 0
        self.refusals = 0
        self._tls = tls
        self._stamps: list[Stamp | None] = []
        self._waiting: list[Callable[[], None]] = []

    @classmethod
    def open(cls, tls: ServerTls, *, wait: bool = False) -> Self:
        """Read the files.

        Args:
            tls: names them.
            wait: that they cannot be used, or are not there yet, is no error: `run` reads them when they come.

        Raises:
            ConfigurationError: they cannot be used.
        """
        certificate = cls(tls)
        try:
            certificate._load()
        except ConfigurationError as error:
            if not wait:
                raise
            certificate.problem = str(error)
            log.warning("certificate_awaited", problem=certificate.problem)
        return certificate

    def when_loaded(self, call: Callable[[], None]) -> None:
        """Call *call* once, when there is a certificate; now, if there is one."""
        if self.context is not None:
            call()
        else:
            self._waiting.append(call)

    def missing(self) -> str | None:
        """Return why no client could use it now, or None: a check for ``/readyz``."""
        if self.context is None:
            return f"not there yet: {self.problem}"
        if self.not_after is not None and self.not_after < time.time():
            return "expired"
        return None

    async def run(self) -> None:
        """Look at the files again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Read the files if they changed, or cannot be used so far."""
        if not self.problem and self._stamps == self._look():
            return
        try:
            self._load()
        except ConfigurationError as error:
            self._refuse(str(error))
        else:
            log.info("certificate_loaded", certificate=str(self._tls.certificate), not_after=self.not_after)

    def _load(self) -> None:
        # Before the files: what changes while we read has another stamp the next time.
        stamps = self._look()
        self.context = server_context(self._tls)
        with suppress(OSError):
            self.not_after = not_after(self._tls.certificate.read_bytes())
        self._stamps, self.problem = stamps, ""
        self.loads += 1
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def _refuse(self, problem: str) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        self.refusals += 1
        if self.context is None:
            log.warning("certificate_awaited", problem=problem)
        else:
            log.warning("certificate_unusable", problem=problem, next_step="the last good one stays")

    def _look(self) -> list[Stamp | None]:
        stamps: list[Stamp | None] = []
        for _, path in self._tls.files():
            try:
                status = path.stat()
            except OSError:
                stamps.append(None)
            else:
                # The change time too: a copy can have the modification time of its original (`cp -p`).
                stamps.append((status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))
        return stamps

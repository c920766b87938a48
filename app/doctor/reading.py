"""Reads of a doctor: each within a bound, and what cannot be read is no error but something to tell. A shell."""

import asyncio
from typing import Any, Final, Protocol

import msgspec

from app.cluster.api import Collection, ReadingApi, WritingApi
from app.cluster.decoding import UNREADABLE, octets
from app.cluster.pages import every
from app.cluster.statuses import status
from app.doctor.record import Read, Secret, Several, Unread
from app.errors import ClusterError, RefusedError

READ_SECONDS: Final = 15.0
"""For all pages of one kind, or one object."""

METRICS: Final = "/metrics"
METRICS_SECONDS: Final = 10.0
"""An API server of a large cluster has some 20 MB of them."""


class Api(ReadingApi, WritingApi, Protocol):
    """What a doctor needs; of the writing half it makes dry runs, and reviews that store nothing."""


class Reader:
    """Reads documents, and says why where it cannot."""

    def __init__(self, api: Api, *, seconds: float = READ_SECONDS) -> None:
        self.api = api
        self._seconds = seconds

    async def one(self, path: str) -> Read:
        """Return the object at *path*, None where there is none."""
        try:
            async with asyncio.timeout(self._seconds):
                return msgspec.json.decode(await self.api.get(path), type=dict[str, Any])
        except RefusedError as error:
            return None if error.is_not_found else unread(error)
        except (ClusterError, TimeoutError, *UNREADABLE) as error:
            return unread(error)

    async def several(self, path: str, *, label_selector: str = "") -> Several:
        """Return all objects of the collection at *path*."""
        try:
            async with asyncio.timeout(self._seconds):
                return tuple(
                    [one async for one in every(self.api, Collection(path=path, label_selector=label_selector))]
                )
        except (ClusterError, TimeoutError) as error:
            return unread(error)

    async def secret(self, path: str) -> Secret | Unread | None:
        """Return what we keep of the Secret at *path*: of a key nothing but that it is there."""
        found = await self.one(path)
        if found is None or isinstance(found, Unread):
            return found
        data = found.get("data") or {}
        certificates = {key: octets(data[key]) for key in ("tls.crt", "ca.crt") if data.get(key)}
        return Secret(certificates=certificates, filled=frozenset(key for key, value in data.items() if value))

    async def metrics(self) -> str | Unread:
        """Return the API server's own metrics."""
        try:
            body = await self.api.get(METRICS, timeout_seconds=METRICS_SECONDS)
        except ClusterError as error:
            return unread(error)
        return body.decode(errors="replace")


def unread(error: Exception) -> Unread:
    """Return why something could not be read."""
    if isinstance(error, RefusedError):
        return Unread(str(error), is_forbidden=error.reason == "Forbidden")
    if isinstance(error, ClusterError):
        return Unread(str(error))
    return Unread("no answer in time" if isinstance(error, TimeoutError) else "an answer that is no object")


def said(error: RefusedError) -> str:
    """Return with what words the API refused."""
    return status(error.body).message or str(error)

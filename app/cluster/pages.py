"""Paged LISTs: one loop for those who follow a collection and for those who read it once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from app.cluster.api import Collection, ReadingApi
from app.cluster.decoding import UNREADABLE, problem
from app.cluster.events import MESSAGE_CHARACTERS
from app.cluster.kinds import ListMeta
from app.cluster.paths import words
from app.errors import ClusterError, ExpiredError, PageTooLargeError

PAGE_SIZE: Final = 500
"""Objects a page, as client-go's pager: some 300 kB of JSON for ServiceAccounts, decoded in about a millisecond."""

MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
"""Of one page: 500 objects of 16 kB, where 600 bytes are usual. A tenant who writes bigger annotations makes our pages
smaller (`pages`), not our memory larger."""

STEP: Final = 4
"""By how much pages become smaller and larger."""

ATTEMPTS: Final = 5
"""How often `every` begins anew. kube-apiserver keeps a continue token for five minutes."""


class HasContinueToken(Protocol):
    """What was read of a page."""

    @property
    def continue_token(self) -> str:
        """Empty on the last page."""


P = TypeVar("P", bound=HasContinueToken)


async def pages(
    api: ReadingApi, collection: Collection, *, read: Callable[[bytes], Awaitable[P]], page_size: int = PAGE_SIZE
) -> AsyncIterator[P]:
    """Yield what *read* makes of each page of *collection*, in order.

    A page that is too large is asked for in smaller ones.

    Raises:
        ExpiredError: the list took so long that it cannot go on. What was yielded of it is no complete list.
        ClusterError: everything else.
    """
    limit, continue_token = page_size, ""
    while True:
        try:
            body = await api.list_page(collection, limit=limit, continue_token=continue_token)
        except PageTooLargeError:
            if limit == 1:
                raise
            limit = max(1, limit // STEP)
            continue
        # Or one object that is large makes 100,000 requests of the rest, longer than a continue token is good for. But
        # where all are large, every second page would be made and sent in vain.
        if len(body) * STEP <= MAX_PAGE_BYTES:
            limit = min(limit * STEP, page_size)
        page = await read(body)
        yield page
        continue_token = page.continue_token
        if not continue_token:
            return


class _Listed(msgspec.Struct):
    metadata: ListMeta
    items: list[dict[str, Any]] | None

    @property
    def continue_token(self) -> str:
        return self.metadata.continue_token


async def every(
    api: ReadingApi, collection: Collection, *, page_size: int = PAGE_SIZE
) -> AsyncIterator[dict[str, Any]]:
    """Yield every object of *collection* once, for commands that read it once; a page is in memory at a time.

    A list that the API no longer goes on with (its reader took five minutes, say) is begun anew, and what was yielded
    already is passed over, known by its uid. Each object is then as it was at one of these moments, and one that was
    deleted since may have been yielded.

    Objects of a list have no ``apiVersion`` and ``kind`` of their own.

    Raises:
        ClusterError: the list failed, or expired `ATTEMPTS` times.
    """
    seen: set[str] = set()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async for page in pages(api, collection, read=_reader(collection), page_size=page_size):
                for item in page.items or ():
                    key = _key(item)
                    if key not in seen:
                        seen.add(key)
                        yield item
        except ExpiredError:
            if attempt == ATTEMPTS:
                raise
        else:
            return


def _reader(collection: Collection) -> Callable[[bytes], Awaitable[_Listed]]:
    async def read(body: bytes) -> _Listed:
        try:
            return msgspec.json.decode(body, type=_Listed)
        except UNREADABLE as error:
            got = problem(error, MESSAGE_CHARACTERS)
            raise ClusterError(f"expected a page of {words(collection.path)}, got {got}") from error

    return read


def _key(item: dict[str, Any]) -> str:
    metadata = item.get("metadata")
    described = metadata if isinstance(metadata, dict) else {}
    return str(described.get("uid") or f"{described.get('namespace', '')}/{described.get('name', '')}")

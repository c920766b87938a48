"""The Kubernetes API over HTTP: list, watch, get, create, patch and delete, as ``api`` describes them."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Self

import aiohttp
import msgspec
from aiohttp.http_exceptions import LineTooLong

from app.cluster.api import ANSWER_SECONDS, Answer, Collection, PatchType
from app.cluster.configuration import Load
from app.cluster.connection import JSON, Connection, Query, left
from app.cluster.decoding import UNREADABLE
from app.cluster.pages import MAX_PAGE_BYTES
from app.cluster.paths import words
from app.cluster.statuses import warnings
from app.errors import ClusterError, ExpiredError, PageTooLargeError, RefusedError

METADATA_ONLY: Final = "application/json;as={kind};g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

JSON_OR_KEYS: Final = f"{JSON},application/jwk-set+json"
"""What is at ``/openid/v1/jwks`` is served as its own media type (RFC 7517, section 8.5.1) and no other."""

CONNECT_SECONDS: Final = 10.0
REQUEST_SECONDS: Final = 60.0
"""For one page, or one write with all the webhooks that look at it, connecting included. kube-apiserver gives up after
the same time (--request-timeout)."""

SILENT_SECONDS: Final = 150.0
"""A watch that says nothing for so long is taken for dead: bookmarks come about every minute, so it missed two."""

MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Of one object, a page with one, and a watch event. An object has at most 1.5 MiB in etcd (its --max-request-bytes),
but Go writes each ``<``, ``>`` and ``&`` of it as six bytes of JSON: 9 MiB, and some for what stands around them.
Whoever may create ServiceAccounts can make such a one, and if we refused it we would never finish a list again."""


class KubernetesApi:
    """The `ReadingApi` and the `WritingApi` of a real cluster."""

    def __init__(
        self, load: Load, *, connect_seconds: float = CONNECT_SECONDS, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._connection = Connection(load)
        self._request_timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=connect_seconds)
        self._watch_timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_read=silent_seconds)

    async def __aenter__(self) -> Self:
        """Load the configuration. Nothing is asked of the API yet.

        Raises:
            ConfigurationError: no kubeconfig or a bad one, or not in a pod.
        """
        await self._connection.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def list_page(self, collection: Collection, *, limit: int, continue_token: str) -> bytes:
        """Return one page of a LIST; see `ReadingApi`."""
        most = MAX_OBJECT_BYTES if limit == 1 else MAX_PAGE_BYTES
        response = await self._connection.request(
            "list",
            collection.path,
            _query(**_selectors(collection), limit=str(limit), **{"continue": continue_token}),
            accept=_accept("PartialObjectMetadataList", metadata_only=collection.metadata_only),
            within=self._request_timeout,
        )
        with left(response):
            body = await self._connection.read(response, most)
        if len(body) > most:
            raise PageTooLargeError(f"expected a page of at most {most} bytes for {limit} objects, got more")
        return body

    @asynccontextmanager
    async def watch(
        self, collection: Collection, resource_version: str, *, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the lines of a WATCH; see `ReadingApi`."""
        how = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        response = await self._connection.request(
            "watch",
            collection.path,
            _query(**_selectors(collection), **how, timeoutSeconds=str(timeout_seconds)),
            accept=_accept("PartialObjectMetadata", metadata_only=collection.metadata_only),
            within=self._watch_timeout,
        )
        with left(response):
            async with aclosing(self._lines(response)) as lines:
                yield lines

    async def get(self, path: str, *, metadata_only: bool = False, timeout_seconds: float = ANSWER_SECONDS) -> bytes:
        """Return one object; see `ReadingApi`."""
        accept = _accept("PartialObjectMetadata", metadata_only=True) if metadata_only else JSON_OR_KEYS
        within = aiohttp.ClientTimeout(total=timeout_seconds)
        response = await self._connection.request("get", path, [], accept=accept, within=within)
        with left(response):
            return await self._whole(response, path)

    async def create(self, path: str, document: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        """Create an object; see `WritingApi`."""
        query = _query(dryRun="All" if dry_run else "")
        return await self._write("create", path, query, document=dict(document), content_type=JSON)

    async def patch(
        self,
        path: str,
        document: Any,
        *,
        patch_type: PatchType,
        field_manager: str = "irsa",
        force: bool = False,
        dry_run: bool = False,
    ) -> Answer:
        """Change an object; see `WritingApi`."""
        query = _query(fieldManager=field_manager, force="true" if force else "", dryRun="All" if dry_run else "")
        return await self._write("patch", path, query, document=document, content_type=patch_type)

    async def delete(self, path: str) -> None:
        """Delete an object; see `WritingApi`."""
        try:
            await self._write("delete", path, [], document=None, content_type=JSON)
        except RefusedError as error:
            if not error.is_not_found:
                raise

    async def _write(self, verb: str, path: str, query: Query, *, document: Any, content_type: str) -> Answer:
        """Return what the API answers to a write: the object, or a Status for some deletions."""
        response = await self._connection.request(
            verb, path, query, document=document, content_type=content_type, within=self._request_timeout
        )
        with left(response):
            body = await self._whole(response, path)
        try:
            answered = msgspec.json.decode(body, type=dict[str, Any])
        except UNREADABLE as error:
            raise ClusterError(f"expected an object in answer to {verb} {words(path)}, got something else") from error
        return Answer(answered, warnings(response.headers.getall("Warning", ())))

    async def _whole(self, response: aiohttp.ClientResponse, path: str) -> bytes:
        body = await self._connection.read(response, MAX_OBJECT_BYTES)
        if len(body) > MAX_OBJECT_BYTES:
            raise ClusterError(f"expected {words(path)} in at most {MAX_OBJECT_BYTES} bytes, got more")
        return body

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        while True:
            try:
                with self._connection.errors_as_ours():
                    # Unless told otherwise, aiohttp takes no line that is longer than its buffer, 4 MiB.
                    line = await response.content.readline(max_line_length=MAX_OBJECT_BYTES)
            except ClusterError as error:
                if isinstance(error.__cause__, LineTooLong):
                    # The next watch from the same version would begin with the same event.
                    raise ExpiredError(
                        f"expected events of at most {MAX_OBJECT_BYTES} bytes, got a longer one"
                    ) from error
                if isinstance(error.__cause__, aiohttp.SocketTimeoutError):
                    # Not only a dead connection is silent. An API restored from a backup counts from an older version:
                    # it accepts a watch from ours and says nothing before it has caught up (seen). A list finds out.
                    raise ExpiredError(f"expected {self._connection.host} to send bookmarks, got silence") from error
                raise
            if not line:
                return
            yield line


def _accept(kind: str, *, metadata_only: bool) -> str:
    return METADATA_ONLY.format(kind=kind) if metadata_only else JSON


def _selectors(collection: Collection) -> dict[str, str]:
    return {"fieldSelector": collection.field_selector, "labelSelector": collection.label_selector}


def _query(**parameters: str) -> Query:
    """Return those of *parameters* that have a value."""
    return [(name, value) for name, value in parameters.items() if value]

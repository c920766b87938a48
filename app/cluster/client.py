"""The Kubernetes API over HTTP: requests and their failures. With ``configuration``, the only import of ``kubernetes``.

We use its `ApiClient`, never a class such as ``CoreV1Api``: that one loads 250 modules of models, 0.8 s and 25 MB, and
we decode the answers ourselves. On top of aiohttp (0.2 s, 8 MB) it costs 0.15 s and 10 MB, which is what ``import
kubernetes`` itself drags in (requests, oauthlib, the synchronous half); there is no door past that.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from http import HTTPStatus
from importlib import metadata
from typing import Any, Final, NoReturn, Self

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from app.cluster.api import ANSWER_SECONDS, Answer, Collection, PatchType
from app.cluster.configuration import Load
from app.cluster.decoding import UNREADABLE
from app.cluster.events import MESSAGE_CHARACTERS
from app.cluster.paths import words
from app.cluster.statuses import retry_after_seconds, status, warnings
from app.errors import ClusterError, ConfigurationError, ExpiredError, PageTooLargeError, RefusedError
from app.text import shown

JSON: Final = "application/json"
METADATA_ONLY: Final = "application/json;as={kind};g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

CONNECT_SECONDS: Final = 10.0
REQUEST_SECONDS: Final = 60.0
"""For one page, or one write with all the webhooks that look at it, connecting included. kube-apiserver gives up after
the same time (--request-timeout)."""

SILENT_SECONDS: Final = 150.0
"""A watch that says nothing for so long is taken for dead: bookmarks come about every minute, so it missed two."""

MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
"""Of one page: 500 objects of 16 kB, where 600 bytes are usual. A tenant who writes bigger annotations makes our pages
smaller (``pages.pages``), not our memory larger."""

MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Of one object, a page with one, and a watch event. An object has at most 1.5 MiB in etcd (its --max-request-bytes),
but Go writes each ``<``, ``>`` and ``&`` of it as six bytes of JSON: 9 MiB, and some for what stands around them.
Whoever may create ServiceAccounts can make such a one, and if we refused it we would never finish a list again."""

MAX_STATUS_BYTES: Final = 64 * 1024

# HttpProcessingError: a line of a watch that is too long. ConfigException: the mounted token is empty. TimeoutError is
# an OSError, and ValueError what aiohttp thinks of a token with a line end in it.
_FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, ConfigException, OSError, ValueError)

# kubernetes says that it is typed, and half of it is.
_Client: Final[Any] = ApiClient

Query = list[tuple[str, str]]


class KubernetesApi:
    """The `ReadingApi` and the `WritingApi` of a real cluster. Connections are kept and used again."""

    def __init__(
        self, load: Load, *, connect_seconds: float = CONNECT_SECONDS, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._load = load
        self._request_timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=connect_seconds)
        self._watch_timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_read=silent_seconds)
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Load the configuration. Nothing is asked of the API yet.

        Raises:
            ConfigurationError: no kubeconfig or a bad one, or not in a pod.
        """
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def list_page(self, collection: Collection, *, limit: int, continue_token: str) -> bytes:
        """Return one page of a LIST; see `ReadingApi`."""
        most = MAX_OBJECT_BYTES if limit == 1 else MAX_PAGE_BYTES
        query = [*_selectors(collection), ("limit", str(limit))]
        query += [("continue", continue_token)] if continue_token else []
        accept = _accept(metadata_only=collection.metadata_only, kind="PartialObjectMetadataList")
        with _left(
            await self._request("list", collection.path, query, accept=accept, within=self._request_timeout)
        ) as response:
            body = await self._read(response, most)
        if len(body) > most:
            raise PageTooLargeError(f"expected a page of at most {most} bytes for {limit} objects, got more")
        return body

    @asynccontextmanager
    async def watch(
        self, collection: Collection, resource_version: str, *, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the lines of a WATCH; see `ReadingApi`."""
        query = [
            *_selectors(collection),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", str(timeout_seconds)),
        ]
        accept = _accept(metadata_only=collection.metadata_only)
        with _left(
            await self._request("watch", collection.path, query, accept=accept, within=self._watch_timeout)
        ) as response:
            async with aclosing(self._lines(response)) as lines:
                yield lines

    async def get(self, path: str, *, metadata_only: bool = False, timeout_seconds: float = ANSWER_SECONDS) -> bytes:
        """Return one object; see `ReadingApi`."""
        within = aiohttp.ClientTimeout(total=timeout_seconds)
        accept = _accept(metadata_only=metadata_only)
        with _left(await self._request("get", path, [], accept=accept, within=within)) as response:
            body = await self._read(response, MAX_OBJECT_BYTES)
        if len(body) > MAX_OBJECT_BYTES:
            raise ClusterError(f"expected {words(path)} of at most {MAX_OBJECT_BYTES} bytes, got more")
        return body

    async def create(self, path: str, document: Mapping[str, Any], *, dry_run: bool = False) -> Answer:
        """Create an object; see `WritingApi`."""
        return await self._write("create", path, _dry_run(asked=dry_run), document=dict(document), content_type=JSON)

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
        query = [("fieldManager", field_manager), *([("force", "true")] if force else []), *_dry_run(asked=dry_run)]
        return await self._write("patch", path, query, document=document, content_type=patch_type)

    async def delete(self, path: str) -> None:
        """Delete an object; see `WritingApi`."""
        try:
            await self._write("delete", path, [], document=None, content_type=JSON)
        except RefusedError as error:
            if not error.is_not_found:
                raise

    async def _write(self, verb: str, path: str, query: Query, *, document: Any, content_type: str) -> Answer:
        """Return what the API answers to a write: the object, or for some deletions a Status."""
        within = self._request_timeout
        with _left(
            await self._request(verb, path, query, document=document, content_type=content_type, within=within)
        ) as response:
            body = await self._read(response, MAX_OBJECT_BYTES)
        try:
            answered = msgspec.json.decode(body, type=dict[str, Any])
        except UNREADABLE as error:
            raise ClusterError(f"expected an object in answer to {verb} {words(path)}, got something else") from error
        return Answer(answered, warnings(response.headers.getall("Warning", ())))

    async def _request(
        self,
        verb: str,
        path: str,
        query: Query,
        *,
        within: aiohttp.ClientTimeout,
        accept: str = JSON,
        document: Any = None,
        content_type: str = JSON,
    ) -> aiohttp.ClientResponse:
        """Return a response that is no refusal, its body unread, or raise what it says instead."""
        client = self._client or await self._reopen()
        try:
            with self._errors_as_ours():
                request = await client.param_serialize(
                    _METHODS[verb],
                    path,
                    query_params=query,
                    header_params={"Accept": accept, "Content-Type": content_type},
                    body=document,
                    auth_settings=["BearerToken"],
                )
                answer = await client.call_api(*request, _request_timeout=within)
        except ClusterError as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError):
                await self._close(client)  # a new CA is in the file, perhaps
            raise
        except RuntimeError as error:
            if client is self._client:
                raise  # a mistake of ours, and not aiohttp's "Session is closed"
            raise ClusterError(f"expected {self._host} to answer, got another request's refusal") from error
        response: aiohttp.ClientResponse = answer.response
        if not response.ok:
            with _left(response):
                await self._refuse(verb, path, response, client=client)
        return response

    async def _refuse(self, verb: str, path: str, response: aiohttp.ClientResponse, *, client: Any) -> NoReturn:
        why = status(await self._read(response, MAX_STATUS_BYTES))
        got = f"got {response.status} from {self._host}: {why.said}"
        match response.status:
            case HTTPStatus.GONE:
                raise ExpiredError(f"expected to go on from a state that the API knows, {got}")
            case HTTPStatus.UNAUTHORIZED:
                expected = f"credentials with the right to {verb} {words(path)}"
                await self._close(client)  # the next request loads the configuration anew, and the token with it
            case HTTPStatus.FORBIDDEN:
                expected = f"the right to {verb} {words(path)}"
            case _:
                expected = f"to {verb} {words(path)}"
        raise RefusedError(
            f"expected {expected}, {got}",
            status=response.status,
            reason=why.reason,
            retry_after_seconds=retry_after_seconds(response.headers.get("Retry-After", "")),
        )

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        while True:
            try:
                with self._errors_as_ours():
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
                    raise ExpiredError(f"expected {self._host} to send bookmarks, got silence") from error
                raise
            if not line:
                return
            yield line

    async def _read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """Return the body, or as much of it as shows that it has more than *limit* bytes."""
        body = bytearray()
        with self._errors_as_ours():
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > limit:
                    break
        return bytes(body)

    async def _open(self) -> Any:
        configuration = await self._load()
        try:
            client = _Client(configuration)
        except (OSError, ValueError) as error:  # what Python's TLS says of a file
            said = shown(str(error), MESSAGE_CHARACTERS)
            raise ConfigurationError(f"expected CA and client certificate as PEM files that fit, got {said}") from error
        client.user_agent = f"irsa/{metadata.version('irsa')}"
        self._client = client
        return client

    async def _reopen(self) -> Any:
        async with self._opening:
            try:
                return self._client or await self._open()
            except ConfigurationError as error:
                # It was good when we started, so somebody is replacing it right now: no reason to end.
                raise ClusterError(str(error)) from error

    async def _close(self, client: Any = None) -> None:
        """Close *client*, by default the current one. Requests that are under way on it fail, and may be repeated."""
        closing = client or self._client
        if closing is self._client:
            self._client = None
        if closing is not None:
            await closing.close()

    @property
    def _host(self) -> str:
        return str(self._client.configuration.host) if self._client is not None else "the Kubernetes API"

    @contextmanager
    def _errors_as_ours(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            said = shown(str(error) or type(error).__name__, MESSAGE_CHARACTERS)
            raise ClusterError(f"expected {self._host} to answer, got {said}") from error


_METHODS: Final = {
    "list": "GET", "watch": "GET", "get": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"
}  # fmt: skip


def _accept(*, metadata_only: bool, kind: str = "PartialObjectMetadata") -> str:
    return METADATA_ONLY.format(kind=kind) if metadata_only else JSON


def _selectors(collection: Collection) -> Query:
    given = {"fieldSelector": collection.field_selector, "labelSelector": collection.label_selector}
    return [(name, selector) for name, selector in given.items() if selector]


def _dry_run(*, asked: bool) -> Query:
    return [("dryRun", "All")] if asked else []


@contextmanager
def _left(response: aiohttp.ClientResponse) -> Iterator[aiohttp.ClientResponse]:
    """Leave *response* behind. One that was read to its end has given its connection back already.

    One that was not is cut off: TLS would wait half a minute for the other side's goodbye, longer than we may live.
    """
    try:
        yield response
    finally:
        connection = response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        response.close()

"""Requests to the Kubernetes API, and how they fail."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from importlib import metadata
from typing import Any, Final, NoReturn

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from app.cluster.configuration import Load
from app.cluster.events import MESSAGE_CHARACTERS
from app.cluster.library import ConfigException, LibraryClient
from app.cluster.paths import words
from app.cluster.statuses import retry_after_seconds, status
from app.errors import ClusterError, ConfigurationError, ExpiredError, RefusedError
from app.text import shown

JSON: Final = "application/json"

MAX_STATUS_BYTES: Final = 64 * 1024

# HttpProcessingError: a line of a watch that is too long. ConfigException: the mounted token is empty. TimeoutError is
# an OSError, and ValueError what aiohttp thinks of a token with a line end in it.
_FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, ConfigException, OSError, ValueError)

_METHODS: Final = {"create": "POST", "patch": "PATCH", "delete": "DELETE"}
"""Of the API's verbs those that are no GET."""

Query = list[tuple[str, str]]


class Connection:
    """Sends requests with the credentials of a configuration, which is loaded anew where they are refused.

    The TCP connections below it are kept and used again.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def open(self) -> Any:
        """Load the configuration. Nothing is asked of the API yet.

        Raises:
            ConfigurationError: no kubeconfig or a bad one, or not in a pod.
        """
        configuration = await self._load()
        try:
            client = LibraryClient(configuration)
        except (OSError, ValueError) as error:  # what Python's TLS says of a file
            said = shown(str(error), MESSAGE_CHARACTERS)
            raise ConfigurationError(f"expected CA and client certificate as PEM files that fit, got {said}") from error
        client.user_agent = f"irsa/{metadata.version('irsa')}"
        self._client = client
        return client

    async def close(self, client: Any = None) -> None:
        """Close *client*, by default the current one. Requests that are under way on it fail, and may be repeated."""
        closing = client or self._client
        if closing is self._client:
            self._client = None
        if closing is not None:
            await closing.close()

    @property
    def host(self) -> str:
        """The URL that requests go to."""
        return str(self._client.configuration.host) if self._client is not None else "the Kubernetes API"

    async def request(
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
        """Return a response that is no refusal, its body unread, to be `left` behind.

        Args:
            verb: the API's word for it, as in RBAC.
            path: of a collection or an object.
            query: names and values.
            within: how long to wait.
            accept: what to answer in.
            document: the body, in JSON.
            content_type: of the body.

        Raises:
            ExpiredError: HTTP 410.
            RefusedError: any other status that is an error.
            ClusterError: there was no answer.
        """
        client = self._client or await self._reopen()
        try:
            with self.errors_as_ours():
                request = await client.param_serialize(
                    _METHODS.get(verb, "GET"),
                    path,
                    query_params=query,
                    header_params={"Accept": accept, "Content-Type": content_type},
                    body=document,
                    auth_settings=["BearerToken"],
                )
                answer = await client.call_api(*request, _request_timeout=within)
        except ClusterError as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError):
                await self.close(client)  # a new CA is in the file, perhaps
            raise
        except RuntimeError as error:
            if client is self._client:
                raise  # a mistake of ours, and not aiohttp's "Session is closed"
            raise ClusterError(f"expected {self.host} to answer, got another request's refusal") from error
        response: aiohttp.ClientResponse = answer.response
        if not response.ok:
            with left(response):
                await self._refuse(verb, path, response, client=client)
        return response

    async def read(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """Return the body, or as much of it as shows that it has more than *limit* bytes."""
        body = bytearray()
        with self.errors_as_ours():
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > limit:
                    break
        return bytes(body)

    @contextmanager
    def errors_as_ours(self) -> Iterator[None]:
        """Raise ClusterError for whatever goes wrong with a request."""
        try:
            yield
        except _FAILURES as error:
            said = shown(str(error) or type(error).__name__, MESSAGE_CHARACTERS)
            raise ClusterError(f"expected {self.host} to answer, got {said}") from error

    async def _reopen(self) -> Any:
        async with self._opening:
            try:
                return self._client or await self.open()
            except ConfigurationError as error:
                # It was good when we started, so somebody is replacing it right now: no reason to end.
                raise ClusterError(str(error)) from error

    async def _refuse(self, verb: str, path: str, response: aiohttp.ClientResponse, *, client: Any) -> NoReturn:
        body = await self.read(response, MAX_STATUS_BYTES)
        why = status(body)
        got = f"got {response.status} from {self.host}: {why.said}"
        match response.status:
            case HTTPStatus.GONE:
                raise ExpiredError(f"expected to go on from a state that the API knows, {got}")
            case HTTPStatus.UNAUTHORIZED:
                expected = f"credentials with the right to {verb} {words(path)}"
                await self.close(client)  # the next request loads the configuration anew, and the token with it
            case HTTPStatus.FORBIDDEN:
                expected = f"the right to {verb} {words(path)}"
            case _:
                expected = f"to {verb} {words(path)}"
        raise RefusedError(
            f"expected {expected}, {got}",
            status=response.status,
            reason=why.reason,
            retry_after_seconds=retry_after_seconds(response.headers.get("Retry-After", "")),
            body=body,
        )


@contextmanager
def left(response: aiohttp.ClientResponse) -> Iterator[aiohttp.ClientResponse]:
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

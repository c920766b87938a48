"""The Kubernetes API through ``kubernetes.aio``: the only import of ``kubernetes``, and of the aiohttp under it.

We use its configuration and its `ApiClient`, never a class such as ``CoreV1Api``: that one loads 250 modules of models,
0.8 s and 25 MB, and we decode the answers ourselves. Both names come through the lazy attributes of
``kubernetes.aio.client``, its public door. On top of aiohttp (0.2 s, 8 MB) they cost 0.15 s and 10 MB, which is what
``import kubernetes`` itself drags in (requests, oauthlib, the synchronous half); there is no door past that.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NoReturn, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import KubeConfigLoader

from app.cluster.decoding import UNREADABLE
from app.cluster.events import MESSAGE_CHARACTERS
from app.errors import ClusterError, ConfigurationError, ExpiredError, PageTooLargeError
from app.text import shown

SERVICE_ACCOUNTS: Final = "/api/v1/serviceaccounts"
METADATA_ONLY: Final = "application/json;as={kind};g=meta.k8s.io;v=v1"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches"""

MOUNTED: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts a pod's own token and the cluster's CA."""

CONNECT_SECONDS: Final = 10.0
LIST_SECONDS: Final = 60.0
"""For one page, connecting included. kube-apiserver gives up after the same time (--request-timeout)."""

SILENT_SECONDS: Final = 150.0
"""A watch that says nothing for so long is taken for dead: bookmarks come about every minute, so it missed two."""

MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
"""Of one page: 500 objects of 16 kB, where 600 bytes are usual. A tenant who writes bigger annotations makes our pages
smaller (``watch._list``), not our memory larger."""

MAX_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Of a page with one object, and of a watch event. An object has at most 1.5 MiB in etcd (its --max-request-bytes), but
Go writes each ``<``, ``>`` and ``&`` of it as six bytes of JSON: 9 MiB, and some for what stands around them. Whoever
may create ServiceAccounts can make such a one, and if we refused it we would never finish a list again."""

MAX_STATUS_BYTES: Final = 64 * 1024

Load = Callable[[], Awaitable[Configuration]]

# HttpProcessingError: a line of a watch that is too long. ConfigException: the mounted token is empty. TimeoutError is
# an OSError, and ValueError what aiohttp thinks of a token with a line end in it.
_FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, ConfigException, OSError, ValueError)

# kubernetes says that it is typed, and half of it is.
_InCluster: Final[Any] = InClusterConfigLoader
_FromKubeconfig: Final[Any] = KubeConfigLoader
_Client: Final[Any] = ApiClient


class _Status(msgspec.Struct):
    """An error as the API says it: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/."""

    kind: str
    message: str = ""


def in_cluster(environ: Mapping[str, str] = os.environ, *, mounted: Path = MOUNTED) -> Load:
    """Return what loads the configuration of a pod: the API's address from *environ*, CA and token from *mounted*."""

    async def load() -> Configuration:
        configuration = Configuration()
        loader: Any = _InCluster(str(mounted / "token"), str(mounted / "ca.crt"), environ=environ)
        try:
            # The loader leaves a hook that reads the token anew every minute: the kubelet replaces it.
            loader.load_and_set(configuration)
        except (ConfigException, OSError, ValueError) as error:
            # These texts are the loader's own and name files and variables, never content.
            raise ConfigurationError(
                "expected to run in a pod with a ServiceAccount token, or --kubeconfig FILE, got neither: "
                f"{shown(str(error), MESSAGE_CHARACTERS)}"
            ) from error
        return configuration

    return load


def from_kubeconfig(file: Path) -> Load:
    """Return what loads the configuration of a kubeconfig *file*'s current context."""
    folder = str(file.absolute().parent)

    async def load() -> Configuration:
        configuration = Configuration()
        content = _kubeconfig(file)
        try:
            # Keys that stand in the file go to temporary files with mode 0600 until we exit, because Python's TLS takes
            # them from files only.
            loader: Any = _FromKubeconfig(content, config_base_path=folder)
            await loader.load_and_set(configuration)
        except ConfigException as error:
            # It names sections and entries of the file, never a value.
            raise ConfigurationError(f"kubeconfig {file}: {shown(str(error), MESSAGE_CHARACTERS)}") from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            # What Python says of a section of the wrong shape may quote it, and with it a token.
            problem = "expected clusters, users and contexts as kubectl writes them, got something else"
            raise ConfigurationError(f"kubeconfig {file}: {problem}") from error
        url = urlsplit(configuration.host)
        if url.scheme not in {"http", "https"} or not url.hostname or url.username or url.password:
            raise ConfigurationError(
                f"kubeconfig {file}: expected server to be https://HOST[:PORT], got something else"
            )
        return configuration

    return load


def _kubeconfig(file: Path) -> dict[str, object]:
    from app.cluster.manifests import read_documents  # noqa: PLC0415 - 1.6 MB that a pod has no use for

    try:
        documents = read_documents(file.read_bytes(), source=str(file))
    except OSError as error:
        raise ConfigurationError(f"kubeconfig {file}: expected a readable file, got: {error.strerror}") from error
    match [document.content for document in documents]:
        case [dict() as content]:
            return content
        case _:
            raise ConfigurationError(f"kubeconfig {file}: expected one YAML mapping, got something else")


class KubernetesApi:
    """The `ServiceAccountApi` of a real cluster: metadata of all ServiceAccounts, nothing else of them."""

    def __init__(
        self, load: Load, *, connect_seconds: float = CONNECT_SECONDS, silent_seconds: float = SILENT_SECONDS
    ) -> None:
        self._load = load
        self._list_timeout = aiohttp.ClientTimeout(total=LIST_SECONDS, connect=connect_seconds)
        self._watch_timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_read=silent_seconds)
        self._client: Any = None

    async def __aenter__(self) -> Self:
        """Load the configuration. Nothing is asked of the API yet.

        Raises:
            ConfigurationError: no kubeconfig or a bad one, or not in a pod.
        """
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def list_page(self, *, limit: int, continue_token: str) -> bytes:
        """Return one page of a LIST; see `ServiceAccountApi`."""
        most = MAX_OBJECT_BYTES if limit == 1 else MAX_PAGE_BYTES
        query = [("limit", str(limit))] + ([("continue", continue_token)] if continue_token else [])
        response = await self._get("list", "PartialObjectMetadataList", query, within=self._list_timeout)
        with _left(response), self._errors_as_ours():
            body = await _read(response, most)
        if len(body) > most:
            raise PageTooLargeError(f"expected a page of at most {most} bytes for {limit} objects, got more")
        return body

    @asynccontextmanager
    async def watch(self, resource_version: str, *, timeout_seconds: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the lines of a WATCH; see `ServiceAccountApi`."""
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", str(timeout_seconds)),
        ]
        response = await self._get("watch", "PartialObjectMetadata", query, within=self._watch_timeout)
        with _left(response):
            async with aclosing(self._lines(response)) as lines:
                yield lines

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

    async def _get(
        self, verb: str, kind: str, query: Sequence[tuple[str, str]], *, within: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Return a response with status 200, its body unread, or raise what it says instead."""
        client = self._client or await self._reopen()
        try:
            with self._errors_as_ours():
                request = await client.param_serialize(
                    "GET",
                    SERVICE_ACCOUNTS,
                    query_params=list(query),
                    header_params={"Accept": METADATA_ONLY.format(kind=kind)},
                    auth_settings=["BearerToken"],
                )
                answer = await client.call_api(*request, _request_timeout=within)
        except ClusterError as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError):
                await self._close()  # a new CA is in the file, perhaps
            raise
        response: aiohttp.ClientResponse = answer.response
        if response.status != HTTPStatus.OK:
            with _left(response):
                await self._refuse(verb, response)
        return response

    async def _refuse(self, verb: str, response: aiohttp.ClientResponse) -> NoReturn:
        with self._errors_as_ours():
            said = _message(await _read(response, MAX_STATUS_BYTES))
        got = f"got {response.status} from {self._host}: {said}"
        match response.status:
            case HTTPStatus.GONE:
                raise ExpiredError(f"expected to go on from a state that the API knows, {got}")
            case HTTPStatus.UNAUTHORIZED:
                await self._close()  # the next request loads the configuration anew, and the token with it
                raise ClusterError(f"expected credentials with the right to {verb} serviceaccounts, {got}")
            case HTTPStatus.FORBIDDEN:
                raise ClusterError(f"expected the right to {verb} serviceaccounts in all namespaces, {got}")
            case _:
                raise ClusterError(f"expected to {verb} serviceaccounts, {got}")

    async def _open(self) -> Any:
        configuration = await self._load()
        try:
            self._client = _Client(configuration)
        except (OSError, ValueError) as error:  # what Python's TLS says of a file
            said = shown(str(error), MESSAGE_CHARACTERS)
            raise ConfigurationError(f"expected CA and client certificate as PEM files that fit, got {said}") from error
        self._client.user_agent = f"irsa/{metadata.version('irsa')}"
        return self._client

    async def _reopen(self) -> Any:
        try:
            return await self._open()
        except ConfigurationError as error:
            # It was good when we started, so somebody is replacing it right now: no reason to end.
            raise ClusterError(str(error)) from error

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

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


@contextmanager
def _left(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Leave *response* behind, read to its end or not.

    One that was not is cut off: TLS would wait half a minute for the other side's goodbye, longer than we may live.
    """
    try:
        yield
    finally:
        connection = response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        response.close()


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, or as much of it as shows that it has more than *limit* bytes."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)


def _message(body: bytes) -> str:
    """Return a Status' message. Bodies of another kind are somebody else's, a proxy's, and may hold anything."""
    try:
        status = msgspec.json.decode(body, type=_Status)
    except UNREADABLE:
        return "no Status"
    return shown(status.message, MESSAGE_CHARACTERS) if status.kind == "Status" else "no Status"

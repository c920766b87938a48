import asyncio
import datetime as dt
import gc
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from app.cluster.api import Collection
from app.cluster.client import KubernetesApi
from app.cluster.configuration import from_kubeconfig, in_cluster
from app.cluster.kinds import service_accounts
from app.cluster.objects import ServiceAccount
from app.cluster.watch import Watched
from app.errors import ClusterError, ConfigurationError, ExpiredError, PageTooLargeError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_api import EXPIRED, FakeApi, status
from tests.app.cluster.running import running

pytestmark = pytest.mark.anyio

ROLE_ARN = "eks.amazonaws.com/role-arn"
TOKEN = "MARKER-TOKEN-THAT-NOBODY-MAY-SEE"  # noqa: S105 - it is here to be searched for

ACCOUNTS = Collection(path="/api/v1/serviceaccounts", metadata_only=True)
MIB = 1024 * 1024
ESCAPED = "\x01" * (3 * MIB // 2)
"""As much as etcd holds of an object, and six times that in JSON, as `<` is in Go's."""


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def following(fake: FakeApi, folder: Path, *, page_size: int = 500) -> AsyncIterator[Watched[ServiceAccount]]:
    """A source that keeps itself current from *fake*, once its first watch is there."""
    async with KubernetesApi(from_kubeconfig(fake.write_kubeconfig(folder / "kubeconfig"))) as api:
        source = Watched(api, service_accounts(Vocabulary()), page_size=page_size, sleep=no_wait)
        async with running(source.run()):
            await eventually(lambda: fake.watching == 1)
            yield source


def role(source: Watched[ServiceAccount], name: str) -> str | None:
    found = source.get("shop", name)
    return None if found is None else found.annotations.get(ROLE_ARN, "")


def test_no_model_of_kubernetes_is_loaded() -> None:
    """250 of them are 25 MB and most of a second, and one name too many in an import brings them all."""
    script = "import sys, app.cluster.client; print([name for name in sys.modules if '.models.' in name])"

    output = subprocess.check_output([sys.executable, "-c", script], text=True)  # noqa: S603 - our own words

    assert output == "[]\n"


async def test_service_accounts_arrive_change_and_vanish(tmp_path: Path) -> None:
    fake = FakeApi().put("shop", "api", {ROLE_ARN: "one"}).put("shop", "old")
    async with fake.serving(), following(fake, tmp_path) as source:
        assert (role(source, "api"), role(source, "old"), role(source, "web")) == ("one", "", None)

        fake.put("shop", "web", {ROLE_ARN: "two", "other": "x"})
        fake.put("shop", "api", {})
        fake.delete("shop", "old")

        await eventually(lambda: source.get("shop", "old") is None)
        assert (role(source, "api"), role(source, "web")) == ("", "two")
        assert fake.verbs() == ["list", "watch"]


async def test_every_page_is_read(tmp_path: Path) -> None:
    async with FakeApi().fill(25, annotated=5).serving() as fake, following(fake, tmp_path, page_size=10) as source:
        assert len(source) == 25
        assert fake.verbs() == ["list", "page", "page", "watch"]


async def test_watch_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, following(fake, tmp_path) as source:
        version = fake.bookmark()
        fake.send(None)
        await eventually(lambda: len(fake.requests) == 3)
        fake.put("shop", "api")

        await eventually(lambda: len(source) == 1)
        assert fake.verbs() == ["list", "watch", "watch"]
        assert fake.requests[-1]["resourceVersion"] == version


@pytest.mark.parametrize("in_stream", [True, False])
async def test_version_that_is_too_old_lists_anew(tmp_path: Path, *, in_stream: bool) -> None:
    fake = FakeApi(expire_in_stream=in_stream).put("shop", "old")
    async with fake.serving(), following(fake, tmp_path) as source:
        fake.send(None)  # no watch is told of what happens now
        fake.delete("shop", "old")
        fake.put("shop", "api")
        fake.compact()

        await eventually(lambda: fake.verbs() == ["list", "watch", "watch", "list", "watch"])
        await eventually(lambda: role(source, "api") == "")
        assert source.get("shop", "old") is None


async def test_lines_that_are_no_events_do_not_end_it(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, following(fake, tmp_path) as source:
        fake.send(b"<html>\n")
        await eventually(lambda: fake.verbs() == ["list", "watch", "list", "watch"] and fake.watching == 1)
        fake.send(b'{"type": "ADDED", "object": null}\n')
        await eventually(lambda: len(fake.requests) == 6 and fake.watching == 1)
        fake.put("shop", "api")

        await eventually(lambda: role(source, "api") == "")


async def test_api_that_fails_for_a_while(tmp_path: Path) -> None:
    fake = FakeApi().put("shop", "api")
    fake.answers.extend([(500, b"no JSON"), (429, msgspec.json.encode(status(429, "slow down"))), (200, b"{}")])
    async with fake.serving(), following(fake, tmp_path) as source:
        assert role(source, "api") == ""
        assert fake.verbs() == ["list", "list", "list", "list", "watch"]


async def list_once(fake: FakeApi, folder: Path, *, limit: int = 500, **settings: float) -> bytes:
    load = from_kubeconfig(fake.write_kubeconfig(folder / "kubeconfig", token=TOKEN))
    async with KubernetesApi(load, **settings) as api:
        return await api.list_page(ACCOUNTS, limit=limit, continue_token="")


async def watch_once(fake: FakeApi, folder: Path, **settings: float) -> list[bytes]:
    load = from_kubeconfig(fake.write_kubeconfig(folder / "kubeconfig", token=TOKEN))
    async with KubernetesApi(load, **settings) as api, api.watch(ACCOUNTS, "1", timeout_seconds=300) as lines:
        return [line async for line in lines]


FORBIDDEN = 'serviceaccounts is forbidden: User "irsa" cannot list resource "serviceaccounts" in API group ""'


@pytest.mark.parametrize(
    ("code", "body", "message"),
    [
        pytest.param(
            403, status(403, FORBIDDEN),
            "expected the right to list serviceaccounts, got 403 from {url}: "
            '"serviceaccounts is forbidden: User \\"irsa\\" cannot list resource \\"serviceaccounts\\" '
            'in API group \\"\\""',
            id="forbidden",
        ),
        pytest.param(
            401, status(401, "Unauthorized"),
            'expected credentials with the right to list serviceaccounts, got 401 from {url}: "Unauthorized"',
            id="unauthorized",
        ),
        pytest.param(
            503, status(503, "etcd \x1b[31mis\ngone"),
            'expected to list serviceaccounts, got 503 from {url}: "etcd \\x1b[31mis\\ngone"',
            id="control-characters-are-escaped",
        ),
        pytest.param(
            500, status(500, "x" * 100_000),
            f'expected to list serviceaccounts, got 500 from {{url}}: "{"x" * 256}…"',
            id="long-message-is-cut",
        ),
        pytest.param(
            502, {"error": "a proxy's, with who knows what in it"},
            "expected to list serviceaccounts, got 502 from {url}: no Status",
            id="body-of-somebody-else-is-not-shown",
        ),
        pytest.param(
            502, b'{"kind": "Status", "message": "\xff"}',
            "expected to list serviceaccounts, got 502 from {url}: no Status",
            id="latin-1",
        ),
    ],
)  # fmt: skip
async def test_refusals_name_the_right_that_is_missing(
    tmp_path: Path, code: int, body: dict[str, Any] | bytes, message: str
) -> None:
    fake = FakeApi()
    fake.answers.append((code, body if isinstance(body, bytes) else msgspec.json.encode(body)))
    async with fake.serving():
        with pytest.raises(ClusterError) as caught:
            await list_once(fake, tmp_path)

    assert str(caught.value) == message.format(url=fake.url)


async def test_watch_that_is_refused_names_its_right(tmp_path: Path) -> None:
    fake = FakeApi()
    fake.answers.append((403, msgspec.json.encode(status(403, "no"))))
    async with fake.serving():
        with pytest.raises(ClusterError, match=r"^expected the right to watch serviceaccounts, got 403"):
            await watch_once(fake, tmp_path)


async def test_http_410_is_its_own_error(tmp_path: Path) -> None:
    fake = FakeApi()
    fake.answers.append((410, msgspec.json.encode(EXPIRED)))
    async with fake.serving():
        with pytest.raises(ExpiredError, match="too old resource version"):
            await list_once(fake, tmp_path)


async def test_only_metadata_is_asked_for_and_bookmarks_are(tmp_path: Path) -> None:
    fake = FakeApi().put("shop", "api", {})
    async with fake.serving():
        body = msgspec.json.decode(await list_once(fake, tmp_path))
        watching = asyncio.create_task(watch_once(fake, tmp_path))
        await eventually(lambda: fake.watching == 1)
        fake.send(None)
        await watching

    # The fake answers 406 to any other Accept header.
    assert body["kind"] == "PartialObjectMetadataList"
    assert fake.requests == [
        {"limit": "500", "token": TOKEN},
        {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "1", "timeoutSeconds": "300",
         "token": TOKEN},
    ]  # fmt: skip


@pytest.mark.parametrize(("limit", "most"), [(500, 8 * MIB), (2, 8 * MIB), (1, 16 * MIB)])
async def test_page_of_many_megabytes_is_not_held(tmp_path: Path, limit: int, most: int) -> None:
    fake = FakeApi()
    fake.answers.append((200, b" " * (most + 1)))
    async with fake.serving():
        with pytest.raises(PageTooLargeError) as caught:
            await list_once(fake, tmp_path, limit=limit)

    assert str(caught.value) == f"expected a page of at most {most} bytes for {limit} objects, got more"


async def test_largest_object_that_etcd_holds_is_listed(tmp_path: Path) -> None:
    fake = FakeApi().put("shop", "large", {"other": ESCAPED}).put("shop", "api", {ROLE_ARN: "one"})
    async with fake.serving(), following(fake, tmp_path) as source:
        assert (role(source, "large"), role(source, "api")) == ("", "one")


async def test_nobody_there(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake:
        pass

    with pytest.raises(ClusterError, match=f'^expected {fake.url} to answer, got "Cannot connect to host 127.0.0.1'):
        await list_once(fake, tmp_path)


async def test_watch_that_falls_silent_lists_anew(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake:
        with pytest.raises(ExpiredError) as caught:
            await watch_once(fake, tmp_path, silent_seconds=0.2)

    assert str(caught.value) == f"expected {fake.url} to send bookmarks, got silence"


async def test_connection_that_leads_nowhere_is_given_up(tmp_path: Path) -> None:
    async def never_answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        fake = FakeApi(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(ClusterError, match=f"^expected {fake.url} to answer, got .*[Tt]imeout"):
            await list_once(fake, tmp_path, connect_seconds=0.2)


async def test_event_of_the_largest_object_that_etcd_holds_arrives(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, following(fake, tmp_path) as source:
        fake.put("shop", "large", {"other": ESCAPED}).put("shop", "api")

        await eventually(lambda: role(source, "api") == "")
        assert role(source, "large") == ""
        assert fake.verbs() == ["list", "watch"]


async def test_line_that_no_object_can_be_lists_anew(tmp_path: Path) -> None:
    fake = FakeApi()
    fake.answers.append((200, b"x" * (16 * MIB + 1)))
    async with fake.serving():
        with pytest.raises(ExpiredError) as caught:
            await watch_once(fake, tmp_path)

    assert str(caught.value) == "expected events of at most 16777216 bytes, got a longer one"


async def test_no_error_and_no_repr_shows_the_token(tmp_path: Path) -> None:
    fake = FakeApi()
    fake.answers.append((403, msgspec.json.encode(status(403, "no"))))
    async with fake.serving():
        load = from_kubeconfig(fake.write_kubeconfig(tmp_path / "kubeconfig", token=TOKEN))
        async with KubernetesApi(load) as api:
            with pytest.raises(ClusterError) as caught:
                await api.list_page(ACCOUNTS, limit=1, continue_token="")

    assert fake.requests[0]["token"] == TOKEN
    assert TOKEN not in f"{caught.value!r} {api!r} {load!r}"


KUBECONFIG = """
current-context: here
clusters: [{name: local, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {token: MARKER-TOKEN-THAT-NOBODY-MAY-SEE}}]
contexts: [{name: here, context: {cluster: local, user: me}}]
"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        pytest.param(
            "current-context: here", "",
            '"Invalid kube-config file. Expected key current-context in kube-config"',
            id="no-context",
        ),
        pytest.param(
            "current-context: here", "current-context: there",
            '"Invalid kube-config file. Expected object with name there in kube-config/contexts list"',
            id="context-that-is-not-there",
        ),
        pytest.param(
            "user: {token", "person: {token",
            '"Invalid kube-config file. Expected key user in kube-config/users[name=me]"',
            id="user-without-user",
        ),
        pytest.param(
            "users: [", "users: [MARKER-TOKEN-THAT-NOBODY-MAY-SEE, ",
            '"Invalid kube-config file. Expected all values in kube-config/users list to have \'name\' key"',
            id="user-without-name",
        ),
        pytest.param(
            "users: [", "users: [7, ",
            "expected clusters, users and contexts as kubectl writes them, got something else",
            id="user-that-is-a-number",
        ),
        pytest.param(
            "cluster: {server", "cluster: {sever",
            "expected server to be https://HOST[:PORT], got something else",
            id="no-server",
        ),
        pytest.param(
            "http://", "http://me:MARKER-TOKEN-THAT-NOBODY-MAY-SEE@",
            "expected server to be https://HOST[:PORT], got something else",
            id="credentials-in-the-url",
        ),
        pytest.param(KUBECONFIG, "- a list", "expected one YAML mapping, got something else", id="list"),
        pytest.param(KUBECONFIG, "", "expected one YAML mapping, got something else", id="empty"),
    ],
)  # fmt: skip
async def test_kubeconfig_that_cannot_be_used(tmp_path: Path, before: str, after: str, message: str) -> None:
    file = tmp_path / "kubeconfig"
    assert before in KUBECONFIG
    file.write_text(KUBECONFIG.replace(before, after))

    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(from_kubeconfig(file)):
            pass

    assert str(caught.value) == f"kubeconfig {file}: {message}"


async def test_kubeconfig_with_a_slip_names_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("clusters: [\nusers: MARKER: x")

    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(from_kubeconfig(file)):
            pass

    assert str(caught.value) == f"{file}:2:14: cannot be read as YAML: expected ',' or ']', but got ':'"


async def test_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(from_kubeconfig(tmp_path / "none")):
            pass

    assert str(caught.value) == f"kubeconfig {tmp_path}/none: expected a readable file, got: No such file or directory"


async def test_certificates_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    (tmp_path / "ca.crt").write_text("no certificate")
    file.write_text(KUBECONFIG.replace("server", "certificate-authority: ca.crt, server").replace("http:", "https:"))

    with pytest.raises(ConfigurationError, match=r"^expected CA and client certificate as PEM files that fit, got "):
        async with KubernetesApi(from_kubeconfig(file)):
            pass


async def test_outside_of_a_pod_without_a_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(in_cluster({}, mounted=tmp_path)):
            pass

    assert str(caught.value) == (
        "expected to run in a pod with a ServiceAccount token, or --kubeconfig FILE, got neither: "
        '"Service host/port is not set."'
    )


class Pod:
    """What the kubelet and kube-apiserver give a pod: two variables, a CA and a token that is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(folder / "ca.crt")
        self.replace_token("first")

    def replace_token(self, token: str) -> None:
        (self.folder / "token").write_text(token)

    def server_tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert("127.0.0.1").configure_cert(context)
        return context

    def api(self, fake: FakeApi) -> KubernetesApi:
        host, _, port = fake.url.removeprefix("https://").partition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        return KubernetesApi(in_cluster(environ, mounted=self.folder))


async def test_token_that_the_kubelet_replaced_is_read_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Pod(tmp_path)
    async with FakeApi().serving(tls=pod.server_tls()) as fake, pod.api(fake) as api:
        await api.list_page(ACCOUNTS, limit=1, continue_token="")
        pod.replace_token("second")
        await api.list_page(ACCOUNTS, limit=1, continue_token="")

        # kubernetes.aio asks this module's clock, and offers no other way to move it.
        class Later(dt.datetime):
            @classmethod
            def now(cls, tz: dt.tzinfo | None = None) -> "Later":
                return super().now(tz) + dt.timedelta(seconds=61)

        monkeypatch.setattr(dt, "datetime", Later)
        await api.list_page(ACCOUNTS, limit=1, continue_token="")

    assert [request["token"] for request in fake.requests] == ["first", "first", "second"]


async def test_token_that_is_refused_is_read_anew(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    async with FakeApi(tokens={"second"}).serving(tls=pod.server_tls()) as fake, pod.api(fake) as api:
        with pytest.raises(ClusterError, match="got 401"):
            await api.list_page(ACCOUNTS, limit=1, continue_token="")
        pod.replace_token("second")
        await api.list_page(ACCOUNTS, limit=1, continue_token="")

    assert [request["token"] for request in fake.requests] == ["first", "second"]


async def test_token_that_is_missing_for_a_moment_is_no_reason_to_end(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    async with FakeApi(tokens={"second"}).serving(tls=pod.server_tls()) as fake, pod.api(fake) as api:
        with pytest.raises(ClusterError, match="got 401"):
            await api.list_page(ACCOUNTS, limit=1, continue_token="")
        (tmp_path / "token").unlink()
        with pytest.raises(ClusterError, match="Service token file does not exist"):
            await api.list_page(ACCOUNTS, limit=1, continue_token="")
        pod.replace_token("second")
        await api.list_page(ACCOUNTS, limit=1, continue_token="")


async def test_server_of_another_ca_is_refused_until_the_ca_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "pod").mkdir()
    renewed, pod = Pod(tmp_path / "new"), Pod(tmp_path / "pod")
    async with FakeApi().serving(tls=renewed.server_tls()) as fake, pod.api(fake) as api:
        with pytest.raises(ClusterError, match="certificate verify failed"):
            await api.list_page(ACCOUNTS, limit=1, continue_token="")
        (tmp_path / "pod" / "ca.crt").write_bytes((tmp_path / "new" / "ca.crt").read_bytes())
        await api.list_page(ACCOUNTS, limit=1, continue_token="")

    assert [request["token"] for request in fake.requests] == ["first"]


@contextmanager
def server_without_manners(tls: ssl.SSLContext) -> Iterator[FakeApi]:
    """Answers one watch, and then neither reads nor says goodbye."""
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with tls.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65_536)
            secured.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            done.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield FakeApi(url=f"https://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            done.set()
            thread.join()


def test_watch_that_is_left_leaves_no_connection_behind(tmp_path: Path) -> None:
    pod = Pod(tmp_path)

    async def look_and_leave(fake: FakeApi) -> None:
        async with pod.api(fake) as api, api.watch(ACCOUNTS, "1", timeout_seconds=300):
            pass

    with server_without_manners(pod.server_tls()) as fake:
        asyncio.run(look_and_leave(fake))
        gc.collect()  # an open transport would complain now, and pytest make an error of it

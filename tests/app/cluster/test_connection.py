import asyncio
import datetime as dt
import gc
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from app.cluster.api import Collection
from app.cluster.client import KubernetesApi
from app.cluster.configuration import Load, in_cluster
from app.errors import ClusterError
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_api import FakeApi, status

pytestmark = pytest.mark.anyio

ACCOUNTS = Collection(path="/api/v1/serviceaccounts", metadata_only=True)
ACCOUNT = "/api/v1/namespaces/shop/serviceaccounts/api"


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

    def load(self, fake: FakeApi) -> Load:
        host, _, port = fake.url.removeprefix("https://").partition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        return in_cluster(environ, mounted=self.folder)

    def api(self, fake: FakeApi) -> KubernetesApi:
        return KubernetesApi(self.load(fake))


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


async def test_connections_are_used_again(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    async with FakeApi().put("shop", "api").serving(tls=pod.server_tls()) as fake, pod.api(fake) as api:
        for _ in range(5):
            await api.get(ACCOUNT, metadata_only=True)
        fake.answers.extend([(404, msgspec.json.encode(status(404, "not found", "NotFound")))] * 2 + [(201, b"{}")])
        await api.delete(ACCOUNT)
        await api.delete(ACCOUNT)
        await api.create("/api/v1/namespaces/shop/serviceaccounts", {})

    assert len(fake.others) == 8
    assert len(fake.connections) == 1


async def test_credentials_that_are_refused_are_loaded_once_for_all_who_wait(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    loads = 0

    async with FakeApi().put("shop", "api").serving(tls=pod.server_tls()) as fake:
        load = pod.load(fake)

        async def counted() -> Any:
            nonlocal loads
            loads += 1
            await asyncio.sleep(0)
            return await load()

        async with KubernetesApi(counted) as api:
            fake.answers.append((401, msgspec.json.encode(status(401, "Unauthorized", "Unauthorized"))))
            with pytest.raises(ClusterError, match="got 401"):
                await api.get(ACCOUNT, metadata_only=True)
            await asyncio.gather(*(api.get(ACCOUNT, metadata_only=True) for _ in range(20)))

    assert loads == 2


async def test_requests_beside_one_that_is_refused_fail_as_the_weather_does(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    async with FakeApi().put("shop", "api").serving(tls=pod.server_tls()) as fake, pod.api(fake) as api:
        fake.answering.clear()
        fake.answers.append((401, msgspec.json.encode(status(401, "Unauthorized", "Unauthorized"))))
        asked = [asyncio.create_task(api.get(ACCOUNT, metadata_only=True)) for _ in range(10)]
        await eventually(lambda: len(fake.others) == 10)
        fake.answering.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        again = await api.get(ACCOUNT, metadata_only=True)

    assert all(isinstance(answer, bytes | ClusterError) for answer in answers)
    assert sum("got 401" in str(answer) for answer in answers) == 1
    assert msgspec.json.decode(again)["metadata"]["name"] == "api"

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.cluster.api import Answer, Collection, PatchType
from app.cluster.client import KubernetesApi
from app.cluster.configuration import from_kubeconfig
from app.cluster.kinds import service_accounts
from app.cluster.objects import ServiceAccount
from app.cluster.watch import Watched
from app.errors import ClusterError, ExpiredError, PageTooLargeError, RefusedError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_api import EXPIRED, FakeApi, Request, status
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


API = "/api/v1/namespaces/shop/serviceaccounts/api"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/irsa-system/leases"
LEASE = f"{LEASES}/irsa-controller"
MERGE: PatchType = "application/merge-patch+json"


@asynccontextmanager
async def client(fake: FakeApi, folder: Path) -> AsyncIterator[KubernetesApi]:
    async with KubernetesApi(from_kubeconfig(fake.write_kubeconfig(folder / "kubeconfig"))) as api:
        yield api


async def test_one_object_is_read(tmp_path: Path) -> None:
    async with FakeApi().put("shop", "api", {ROLE_ARN: "one"}).serving() as fake, client(fake, tmp_path) as api:
        body = msgspec.json.decode(await api.get(API, metadata_only=True))

    assert body["metadata"]["annotations"] == {ROLE_ARN: "one"}
    assert fake.others == [Request("GET", API, {}, "application/json", None)]


async def test_object_that_is_not_there_is_told_by_its_reason(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        with pytest.raises(RefusedError) as caught:
            await api.get(API)

    assert caught.value.is_not_found
    assert caught.value.status == 404
    assert str(caught.value) == (
        f"expected to get serviceaccounts api in namespace shop, got 404 from {fake.url}: "
        '"serviceaccounts \\"api\\" not found"'
    )


async def test_object_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async with FakeApi().put("shop", "api").serving() as fake, client(fake, tmp_path) as api:
        fake.answering.clear()
        with pytest.raises(ClusterError, match=f"^expected {fake.url} to answer, got .*[Tt]imeout"):
            await api.get(API, timeout_seconds=0.05)
        fake.answering.set()


async def test_object_that_is_too_large_is_not_held(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.append((200, b" " * (16 * MIB + 1)))
        with pytest.raises(ClusterError) as caught:
            await api.get(API)

    assert str(caught.value) == ("expected serviceaccounts api in namespace shop in at most 16777216 bytes, got more")


async def test_writes_are_what_the_api_wants(tmp_path: Path) -> None:
    operations = [{"op": "remove", "path": "/spec/holderIdentity"}]
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.extend([(201, b'{"a": 1}'), (201, b"{}"), *[(200, b"{}")] * 5])
        answer = await api.create(LEASES, {"metadata": {"name": "x"}})
        await api.create(LEASES, {}, dry_run=True)
        await api.patch(LEASE, {"spec": {"holderIdentity": None}}, patch_type=MERGE)
        await api.patch(LEASE, operations, patch_type="application/json-patch+json", dry_run=True)
        apply = {"spec": {"renewTime": "x"}}
        kind: PatchType = "application/apply-patch+yaml"
        await api.patch(LEASE, apply, patch_type=kind, field_manager="irsa-ca", force=True)
        await api.delete(LEASE)

    manager = {"fieldManager": "irsa"}
    assert answer == Answer({"a": 1})
    assert fake.others == [
        Request("POST", LEASES, {}, "application/json", {"metadata": {"name": "x"}}),
        Request("POST", LEASES, {"dryRun": "All"}, "application/json", {}),
        Request("PATCH", LEASE, manager, "application/merge-patch+json", {"spec": {"holderIdentity": None}}),
        Request("PATCH", LEASE, manager | {"dryRun": "All"}, "application/json-patch+json", operations),
        Request("PATCH", LEASE, {"fieldManager": "irsa-ca", "force": "true"}, "application/apply-patch+yaml", apply),
        Request("DELETE", LEASE, {}, "application/json", None),
    ]


async def test_warnings_of_webhooks_are_in_the_answer(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.append((201, b"{}"))
        fake.headers += [("Warning", '299 - "create the pod again"'), ("Warning", '299 - "a \\"b\\""')]
        answer = await api.create("/api/v1/namespaces/shop/pods", {}, dry_run=True)

    assert answer.warnings == ("create the pod again", 'a "b"')


@pytest.mark.parametrize("reason", ["Conflict", "AlreadyExists"])
async def test_object_that_somebody_else_changed_is_a_conflict(tmp_path: Path, reason: str) -> None:
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.append((409, msgspec.json.encode(status(409, "the object has been modified", reason))))
        with pytest.raises(RefusedError) as caught:
            await api.patch(LEASE, {}, patch_type=MERGE)

    assert caught.value.is_conflict
    assert str(caught.value) == (
        f"expected to patch leases irsa-controller in namespace irsa-system, got 409 from {fake.url}: "
        '"the object has been modified"'
    )


async def test_deleting_what_is_not_there_is_done_and_what_is_forbidden_is_not(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.append((404, msgspec.json.encode(status(404, "not found", "NotFound"))))
        await api.delete(LEASE)
        fake.answers.append((403, msgspec.json.encode(status(403, "no", "Forbidden"))))
        with pytest.raises(RefusedError, match=r"^expected the right to delete leases irsa-controller in namespace"):
            await api.delete(LEASE)


async def test_api_that_is_overloaded_says_when_to_come_back(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.append((429, msgspec.json.encode(status(429, "slow down", "TooManyRequests"))))
        fake.headers.append(("Retry-After", "7"))
        with pytest.raises(RefusedError) as caught:
            await api.create(LEASES, {})

    assert (caught.value.reason, caught.value.retry_after_seconds) == ("TooManyRequests", 7.0)


async def test_write_that_is_answered_with_something_else_is_told(tmp_path: Path) -> None:
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.append((200, b"<html>"))
        with pytest.raises(ClusterError) as caught:
            await api.create(LEASES, {})

    assert (
        str(caught.value)
        == "expected an object in answer to create leases in namespace irsa-system, got something else"
    )


async def test_collection_is_selected_from(tmp_path: Path) -> None:
    chosen = Collection(path="/api/v1/serviceaccounts", field_selector="metadata.name=api", label_selector="a=b,c")
    async with FakeApi().serving() as fake, client(fake, tmp_path) as api:
        fake.answers.append((200, b"{}"))
        await api.list_page(chosen, limit=1, continue_token="")

    assert fake.requests == [{"fieldSelector": "metadata.name=api", "labelSelector": "a=b,c", "limit": "1"}]

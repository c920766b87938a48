"""ServiceAccounts from a real kube-apiserver: what the fake of the unit tests claims about it, seen there."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.cluster.api import ANSWER_SECONDS, Collection, ReadingApi
from app.cluster.client import KubernetesApi
from app.cluster.configuration import from_kubeconfig
from app.cluster.events import Relist, apply
from app.cluster.kinds import service_accounts
from app.cluster.service_accounts import ClusterServiceAccounts
from app.cluster.source import ServiceAccounts
from app.errors import ClusterError, ExpiredError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.eventually import eventually
from tests.app.cluster.running import running
from tests.e2e.kubectl import Kubectl

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.anyio,
    # asyncio of Python 3.11 forgets a socket whose TLS connection is cancelled in its very first step, as here at the
    # end of a test: once in 400 cancellations.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

KIND = service_accounts(Vocabulary())
ROLE_ARN = "eks.amazonaws.com/role-arn"
FORGETFUL = "etcd still knows everything since its first day; have it compacted: --etcd-compaction-interval=1s"


def service_account(namespace: str, name: str, role: str | None = None, **fields: Any) -> dict[str, Any]:
    annotations = {"other": "x"} if role is None else {"other": "x", ROLE_ARN: role}
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata} | fields


def api_of(kubeconfig: Path) -> KubernetesApi:
    return KubernetesApi(from_kubeconfig(kubeconfig))


def kubeconfig_with(token: str, kubectl: Kubectl, *, file: Path) -> Path:
    """Write a kubeconfig for the same cluster that logs in with *token*."""
    content = json.loads(kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout)
    content["users"][0]["user"] = {"token": token}
    file.write_text(json.dumps(content))
    return file


@asynccontextmanager
async def following(api: ReadingApi, *, page_size: int = 500) -> AsyncIterator[ClusterServiceAccounts]:
    """A source that keeps itself current, once its first list is complete."""
    source = ClusterServiceAccounts(api, keep=Vocabulary(), page_size=page_size)
    async with running(source.run()):
        await eventually(lambda: source.age(time.monotonic()) < 60)
        yield source


class Outdated(ReadingApi):
    """A client that was away for so long that its first watch, or the second page of its first list, is too old."""

    def __init__(self, api: KubernetesApi, *, watch: bool = False, page: bool = False) -> None:
        self.asked: list[str] = []
        self._api = api
        self._watch = watch
        self._page = page

    async def list_page(self, collection: Collection, *, limit: int, continue_token: str) -> bytes:
        self.asked.append("page" if continue_token else "list")
        if continue_token and self._page:
            self._page = False
            continue_token = old_continue_token()
        return await self._api.list_page(collection, limit=limit, continue_token=continue_token)

    @asynccontextmanager
    async def watch(
        self, collection: Collection, resource_version: str, *, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.asked.append("watch")
        if self._watch:
            self._watch = False
            resource_version = "1"
        async with self._api.watch(collection, resource_version, timeout_seconds=timeout_seconds) as lines:
            yield lines

    async def get(self, path: str, *, metadata_only: bool = False, timeout_seconds: float = ANSWER_SECONDS) -> bytes:
        return await self._api.get(path, metadata_only=metadata_only, timeout_seconds=timeout_seconds)


def old_continue_token() -> str:
    """A continue token of the cluster's first revision, as apiserver's storage/continue.go writes one."""
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": 1, "start": "default/default\0"}).encode()
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


async def test_service_accounts_arrive_change_and_vanish(kubectl: Kubectl, namespace: str) -> None:
    kubectl.create(service_account(namespace, "before", role="one"), service_account(namespace, "bare"))
    async with api_of(kubectl.kubeconfig) as api, following(api) as source:

        def roles() -> list[str | None]:
            found = [source.get(namespace, name) for name in ("before", "bare", "after")]
            return [one.annotations.get(ROLE_ARN, "") if one else None for one in found]

        assert roles() == ["one", "", None]

        kubectl.create(service_account(namespace, "after", role="two"))
        kubectl("annotate", "serviceaccount", "bare", f"{ROLE_ARN}=late", "--namespace", namespace)
        kubectl("annotate", "serviceaccount", "before", f"{ROLE_ARN}-", "--namespace", namespace)
        await eventually(lambda: roles() == ["", "late", "two"])

        kubectl("delete", "serviceaccount", "bare", "--namespace", namespace)
        await eventually(lambda: roles() == ["", None, "two"])


async def test_every_page_is_read(kubectl: Kubectl, namespace: str) -> None:
    names = [f"sa-{number}" for number in range(7)]
    kubectl.create(*(service_account(namespace, name, role=name) for name in names))
    async with api_of(kubectl.kubeconfig) as api:
        recorded = Outdated(api)
        async with following(recorded, page_size=2) as source:
            found = [source.get(namespace, name) for name in names]

    assert [one.annotations[ROLE_ARN] if one else None for one in found] == names
    assert recorded.asked.count("page") >= 3


async def test_nothing_but_metadata_is_sent(kubectl: Kubectl, namespace: str) -> None:
    kubectl.create(service_account(namespace, "api", imagePullSecrets=[{"name": "a-secret-name"}]))
    async with api_of(kubectl.kubeconfig) as api:
        ours = replace(KIND.collection, field_selector=f"metadata.namespace={namespace}")
        body = await api.list_page(ours, limit=500, continue_token="")

    assert msgspec.json.decode(body)["kind"] == "PartialObjectMetadataList"
    assert namespace.encode() in body
    assert b"a-secret-name" not in body


async def test_watch_from_a_version_that_is_too_old_lists_anew(
    kubectl: Kubectl, namespace: str, request: pytest.FixtureRequest
) -> None:
    kubectl.create(service_account(namespace, "api", role="one"))
    async with api_of(kubectl.kubeconfig) as api:
        if not await too_old(api, version="1"):
            # What an API server that has just started knows begins with the latest change.
            await asyncio.to_thread(request.getfixturevalue("restart_apiserver"))
            await forgotten(api, version="1")
        outdated = Outdated(api, watch=True)
        async with following(outdated) as source:

            def roles() -> list[str]:
                found = source.get(namespace, "api")
                return list(found.annotations.values()) if found else []

            def asked() -> list[str]:
                return [one for one in outdated.asked if one != "page"]

            await eventually(lambda: asked() == ["list", "watch", "list", "watch"])
            kubectl("annotate", "serviceaccount", "api", f"{ROLE_ARN}=two", "--overwrite", "--namespace", namespace)
            await eventually(lambda: roles() == ["two"])


async def forgotten(api: KubernetesApi, *, version: str) -> None:
    """Wait for an API server that was restarted, until it knows that version no more."""
    async with asyncio.timeout(60):
        while True:
            with suppress(ClusterError):
                if await too_old(api, version=version):
                    return
            await asyncio.sleep(0.05)


async def too_old(api: KubernetesApi, *, version: str) -> bool:
    try:
        async with api.watch(KIND.collection, version, timeout_seconds=1) as lines:
            return any([isinstance(apply(ServiceAccounts(), line, kind=KIND), Relist) async for line in lines])
    except ExpiredError:
        return True


async def test_page_of_a_list_that_is_too_old_starts_it_again(kubectl: Kubectl, namespace: str) -> None:
    names = ("one", "two", "three")
    kubectl.create(*(service_account(namespace, name) for name in names))
    async with api_of(kubectl.kubeconfig) as api:
        try:
            await api.list_page(KIND.collection, limit=1, continue_token=old_continue_token())
        except ExpiredError:
            outdated = Outdated(api, page=True)
        else:
            pytest.skip(FORGETFUL)
        async with following(outdated, page_size=2) as source:
            assert outdated.asked[:4] == ["list", "page", "list", "page"]
            assert all(source.get(namespace, name) for name in names)


async def test_user_without_rights_is_told_which_are_missing(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    kubectl.create(service_account(namespace, "nobody"))
    token = kubectl("create", "token", "nobody", "--namespace", namespace).stdout.strip()
    kubeconfig = kubeconfig_with(token, kubectl, file=tmp_path / "kubeconfig")
    async with api_of(kubeconfig) as api:
        with pytest.raises(ClusterError) as caught:
            await api.list_page(KIND.collection, limit=500, continue_token="")

    message = str(caught.value)
    assert message.startswith("expected the right to list serviceaccounts, got 403 from https://")
    assert f"system:serviceaccount:{namespace}:nobody" in message


async def test_get_list_and_watch_are_all_the_rights_it_needs(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    kubectl.create(service_account(namespace, "webhook"))
    token = kubectl("create", "token", "webhook", "--namespace", namespace).stdout.strip()
    kubeconfig = kubeconfig_with(token, kubectl, file=tmp_path / "kubeconfig")
    kubectl("create", "clusterrole", namespace, "--verb=get,list,watch", "--resource=serviceaccounts")
    try:
        subject = f"--serviceaccount={namespace}:webhook"
        kubectl("create", "clusterrolebinding", namespace, f"--clusterrole={namespace}", subject)
        async with api_of(kubeconfig) as api, following(api) as source:
            kubectl.create(service_account(namespace, "after"))
            await eventually(lambda: source.get(namespace, "after") is not None)
    finally:
        kubectl("delete", "clusterrole,clusterrolebinding", namespace)


async def test_token_that_nobody_issued_is_told(kubectl: Kubectl, tmp_path: Path) -> None:
    async with api_of(kubeconfig_with("not-a-token", kubectl, file=tmp_path / "kubeconfig")) as api:
        with pytest.raises(
            ClusterError, match=r"^expected credentials with the right to list serviceaccounts, got 401"
        ):
            await api.list_page(KIND.collection, limit=500, continue_token="")

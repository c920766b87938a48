"""The fake keeps to what a real kube-apiserver does; tests/e2e/test_api.py has the same on one."""

import asyncio
import json
from typing import Any

import pytest

from app.cluster.api import Collection
from app.cluster.kinds import Kind, PodItem, config_map, pods
from app.cluster.pages import every
from app.cluster.watch import Watched
from app.errors import RefusedError
from tests.app.cluster.eventually import eventually
from tests.app.cluster.fake_cluster import JSON_PATCH, MERGE, FakeCluster
from tests.app.cluster.running import running

pytestmark = pytest.mark.anyio

LEASES = "/apis/coordination.k8s.io/v1/namespaces/irsa-system/leases"
LEASE = f"{LEASES}/irsa-controller"


def names(pod: PodItem) -> str:
    return pod.metadata.name


async def test_what_is_created_can_be_read_patched_and_deleted() -> None:
    cluster = FakeCluster()

    made = await cluster.create(LEASES, {"metadata": {"name": "irsa-controller"}, "spec": {"holderIdentity": "a"}})
    patched = await cluster.patch(LEASE, {"spec": {"holderIdentity": "b", "a": None}}, patch_type=MERGE)
    read = json.loads(await cluster.get(LEASE))
    await cluster.delete(LEASE)
    await cluster.delete(LEASE)

    metadata = {"name": "irsa-controller", "namespace": "irsa-system", "uid": "uid-2",
                "creationTimestamp": "2026-11-25T09:00:00Z"}  # fmt: skip
    assert made.document == {"metadata": metadata | {"resourceVersion": "2"}, "spec": {"holderIdentity": "a"}}
    assert patched.document == {"metadata": metadata | {"resourceVersion": "3"}, "spec": {"holderIdentity": "b"}}
    assert read == patched.document
    assert cluster.objects == {}


@pytest.mark.parametrize(
    ("patch_type", "document", "status", "reason"),
    [
        pytest.param(MERGE, {"metadata": {"resourceVersion": "1"}}, 409, "Conflict", id="version-in-a-merge-patch"),
        pytest.param(
            JSON_PATCH,
            [{"op": "test", "path": "/spec/holderIdentity", "value": "b"}],
            422,
            "Invalid",
            id="test-in-a-json-patch",
        ),
    ],
)
async def test_patch_for_another_object_is_refused(patch_type: Any, document: Any, status: int, reason: str) -> None:
    cluster = FakeCluster()
    before = cluster.put(LEASE, {"spec": {"holderIdentity": "a"}})

    with pytest.raises(RefusedError) as caught:
        await cluster.patch(LEASE, document, patch_type=patch_type)

    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert cluster.objects == {LEASE: before}


async def test_json_patch_is_applied() -> None:
    cluster = FakeCluster()
    cluster.put(LEASE, {"spec": {"holderIdentity": "a"}})

    answer = await cluster.patch(
        LEASE, [{"op": "replace", "path": "/spec/holderIdentity", "value": "b"}], patch_type=JSON_PATCH
    )

    assert answer.document["spec"] == {"holderIdentity": "b"}


async def test_name_that_is_taken_is_a_conflict_and_one_that_is_not_there_is_not_found() -> None:
    cluster = FakeCluster()
    cluster.put(LEASE)

    with pytest.raises(RefusedError) as taken:
        await cluster.create(LEASES, {"metadata": {"name": "irsa-controller"}})
    with pytest.raises(RefusedError) as absent:
        await cluster.get(f"{LEASES}/other")

    assert taken.value.is_conflict
    assert absent.value.is_not_found


async def test_dry_run_stores_nothing_and_goes_through_admission() -> None:
    def label(_path: str, document: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        document["metadata"]["labels"] = {"seen": "yes"}
        return document, ("careful",)

    cluster = FakeCluster(admission=label)

    answer = await cluster.create(LEASES, {"metadata": {"generateName": "irsa-"}}, dry_run=True)

    assert answer.document["metadata"]["name"].startswith("irsa-")
    assert answer.document["metadata"]["labels"] == {"seen": "yes"}
    assert answer.warnings == ("careful",)
    assert cluster.objects == {}


async def test_patch_that_changes_nothing_is_no_change() -> None:
    cluster = FakeCluster()
    before = cluster.put(LEASE, {"spec": {"holderIdentity": "a"}})

    answer = await cluster.patch(LEASE, {"spec": {"holderIdentity": "a"}}, patch_type=MERGE)

    assert answer.document == before


async def test_watched_objects_follow_it_through_everything() -> None:
    cluster = FakeCluster()
    cluster.put("/api/v1/namespaces/shop/pods/before")
    watched = Watched(cluster, pods(names), page_size=1)

    async with running(watched.run()):
        await eventually(lambda: cluster.watching == 1)
        cluster.put("/api/v1/namespaces/shop/pods/after")
        cluster.put("/api/v1/namespaces/other/pods/before")
        cluster.put("/api/v1/namespaces/shop/services/none-of-ours")
        await eventually(lambda: len(watched) == 3)
        cluster.remove("/api/v1/namespaces/shop/pods/before")
        await eventually(lambda: len(watched) == 2)
        cluster.compact()
        cluster.put("/api/v1/namespaces/shop/pods/last")
        cluster.end_watches()
        await eventually(lambda: len(watched) == 3)

    assert sorted(watched) == [("other", "before", "before"), ("shop", "after", "after"), ("shop", "last", "last")]


async def test_one_config_map_is_selected_by_its_name() -> None:
    cluster = FakeCluster()
    cluster.put("/api/v1/namespaces/irsa-system/configmaps/other", {"data": {"a": "b"}})
    watched = Watched(cluster, config_map("irsa-system", "irsa-mappings"))

    async with running(watched.run()):
        await eventually(lambda: cluster.watching == 1)
        assert len(watched) == 0
        cluster.put("/api/v1/namespaces/irsa-system/configmaps/irsa-mappings", {"data": {"config": "{}"}})
        await eventually(lambda: len(watched) == 1)

    found = watched.get("irsa-system", "irsa-mappings")
    assert found is not None
    assert found.data == {"config": "{}"}


async def test_labels_select() -> None:
    cluster = FakeCluster()
    cluster.put("/api/v1/namespaces/shop", {"metadata": {"labels": {"irsa/require-identity": "true"}}})
    cluster.put("/api/v1/namespaces/test", {"metadata": {"labels": {"irsa/require-identity": "no"}}})
    cluster.put("/api/v1/namespaces/none")

    async def found(selector: str) -> list[str]:
        collection = Collection(path="/api/v1/namespaces", label_selector=selector)
        return [item["metadata"]["name"] async for item in every(cluster, collection, page_size=1)]

    assert await found("irsa/require-identity=true") == ["shop"]
    assert await found("irsa/require-identity") == ["shop", "test"]
    assert await found("") == ["none", "shop", "test"]


async def test_failures_and_silence_can_be_had() -> None:
    cluster = FakeCluster()
    cluster.failures["get", LEASE] = RefusedError("expected the right to, got 403", status=403, reason="Forbidden")
    with pytest.raises(RefusedError, match="403"):
        await cluster.get(LEASE)

    cluster.answering.clear()
    waiting = asyncio.create_task(cluster.get(f"{LEASES}/other"))
    await eventually(lambda: len(cluster.requests) == 2)
    assert not waiting.done()
    cluster.answering.set()
    with pytest.raises(RefusedError, match="404"):
        await waiting


async def test_cluster_wide_objects_are_in_no_namespace() -> None:
    cluster = FakeCluster()
    cluster.put("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/irsa-webhook")
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    watched = Watched(cluster, Kind("webhooks", Collection(path=path), item=PodItem, keep=names))

    async with running(watched.run()):
        await eventually(lambda: len(watched) == 1)

    assert watched.get("", "irsa-webhook") == "irsa-webhook"

"""Reading and writing any object of a real kube-apiserver: what the unit tests' fakes claim, seen there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.cluster.api import Collection, PatchType
from app.cluster.client import KubernetesApi
from app.cluster.configuration import configured, from_kubeconfig
from app.cluster.kinds import Kind, PodItem, config_map, pods
from app.cluster.pages import every
from app.cluster.service_accounts import ClusterServiceAccounts
from app.cluster.watch import Watched
from app.errors import ClusterError, RefusedError
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

MERGE: PatchType = "application/merge-patch+json"
ROLE_ARN = "eks.amazonaws.com/role-arn"


@asynccontextmanager
async def client(kubectl: Kubectl) -> AsyncIterator[KubernetesApi]:
    async with KubernetesApi(from_kubeconfig(kubectl.kubeconfig)) as api:
        yield api


@asynccontextmanager
async def client_of(account: str, kubectl: Kubectl, *, namespace: str, folder: Path) -> AsyncIterator[KubernetesApi]:
    """A client with the rights of a ServiceAccount."""
    kubectl.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}}
    )
    content = json.loads(kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout)
    token = kubectl("create", "token", account, "--namespace", namespace).stdout.strip()
    content["users"][0]["user"] = {"token": token}
    (folder / "kubeconfig").write_text(json.dumps(content))
    async with KubernetesApi(from_kubeconfig(folder / "kubeconfig")) as api:
        yield api


def lease(name: str, holder: str) -> dict[str, Any]:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}}  # fmt: skip


def leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


async def test_object_is_created_read_patched_and_deleted(kubectl: Kubectl, namespace: str) -> None:
    path = f"{leases(namespace)}/one"
    async with client(kubectl) as api:
        made = (await api.create(leases(namespace), lease("one", "a"))).document
        merged = (await api.patch(path, {"spec": {"holderIdentity": "b"}}, patch_type=MERGE)).document
        operations = [{"op": "test", "path": "/spec/holderIdentity", "value": "b"},
                      {"op": "replace", "path": "/spec/holderIdentity", "value": "c"}]  # fmt: skip
        patched = (await api.patch(path, operations, patch_type="application/json-patch+json")).document
        read = json.loads(await api.get(path))
        metadata = json.loads(await api.get(path, metadata_only=True))
        await api.delete(path)
        await api.delete(path)
        with pytest.raises(RefusedError) as caught:
            await api.get(path)

    holders = [document["spec"]["holderIdentity"] for document in (made, merged, patched, read)]
    assert holders == ["a", "b", "c", "c"]
    assert read == patched
    assert (metadata["kind"], metadata.get("spec")) == ("PartialObjectMetadata", None)
    assert caught.value.is_not_found
    assert {entry["manager"] for entry in read["metadata"]["managedFields"]} == {"irsa"}


async def test_dry_run_does_all_but_store(kubectl: Kubectl, namespace: str) -> None:
    path = f"{leases(namespace)}/one"
    async with client(kubectl) as api:
        made = (await api.create(leases(namespace), lease("one", "a"), dry_run=True)).document
        with pytest.raises(RefusedError, match="404"):
            await api.get(path)
        await api.create(leases(namespace), lease("one", "a"))
        patched = await api.patch(path, {"spec": {"holderIdentity": "b"}}, patch_type=MERGE, dry_run=True)
        read = json.loads(await api.get(path))

    assert made["metadata"]["uid"]
    assert (patched.document["spec"]["holderIdentity"], read["spec"]["holderIdentity"]) == ("b", "a")


async def test_of_two_who_write_the_same_version_one_is_refused(kubectl: Kubectl, namespace: str) -> None:
    path = f"{leases(namespace)}/one"
    async with client(kubectl) as api:
        made = (await api.create(leases(namespace), lease("one", "a"))).document
        with pytest.raises(RefusedError) as again:
            await api.create(leases(namespace), lease("one", "b"))

        def take(holder: str) -> dict[str, Any]:
            version = {"resourceVersion": made["metadata"]["resourceVersion"]}
            return {"metadata": version, "spec": {"holderIdentity": holder}}

        answers = await asyncio.gather(
            *(api.patch(path, take(holder), patch_type=MERGE) for holder in ("b", "c")), return_exceptions=True
        )
        won = json.loads(await api.get(path))["spec"]["holderIdentity"]

    refusals = [answer for answer in answers if isinstance(answer, RefusedError)]
    assert won in {"b", "c"}
    assert [(error.status, error.reason, error.is_conflict) for error in refusals] == [(409, "Conflict", True)]
    assert (again.value.reason, again.value.is_conflict) == ("AlreadyExists", True)


async def test_json_patch_whose_test_fails_is_invalid(kubectl: Kubectl, namespace: str) -> None:
    async with client(kubectl) as api:
        await api.create(leases(namespace), lease("one", "a"))
        operations = [{"op": "test", "path": "/spec/holderIdentity", "value": "b"}]
        with pytest.raises(RefusedError) as caught:
            await api.patch(f"{leases(namespace)}/one", operations, patch_type="application/json-patch+json")

    assert (caught.value.status, caught.value.reason) == (422, "Invalid")


async def test_server_side_apply_creates_and_takes_fields_over_when_forced(kubectl: Kubectl, namespace: str) -> None:
    path = f"{leases(namespace)}/one"
    apply: PatchType = "application/apply-patch+yaml"
    async with client(kubectl) as api:
        await api.patch(path, lease("one", "a"), patch_type=apply, field_manager="first")
        with pytest.raises(RefusedError) as caught:
            await api.patch(path, lease("one", "b"), patch_type=apply, field_manager="second")
        forced = await api.patch(path, lease("one", "b"), patch_type=apply, field_manager="second", force=True)

    assert caught.value.is_conflict
    assert forced.document["spec"]["holderIdentity"] == "b"


async def test_warnings_come_with_the_answer(kubectl: Kubectl, namespace: str) -> None:
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    template = {"metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "app", "image": "example/app", "env": twice}]}}  # fmt: skip
    deployment = {
        "metadata": {"name": "app"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template},
    }
    async with client(kubectl) as api:
        answer = await api.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment, dry_run=True)

    (text,) = answer.warnings
    assert text.startswith('spec.template.spec.containers[0].env[1]: hides previous definition of "A"')


async def test_what_is_forbidden_names_the_right(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    async with client_of("nobody", kubectl, namespace=namespace, folder=tmp_path) as api:
        with pytest.raises(RefusedError) as caught:
            await api.patch(f"{leases(namespace)}/one", {}, patch_type=MERGE)

    assert caught.value.reason == "Forbidden"
    assert str(caught.value).startswith(
        f"expected the right to patch leases one in namespace {namespace}, got 403 from https://"
    )


async def test_config_map_is_followed_with_the_right_to_it_alone(
    kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    names = ["--resource=configmaps", "--resource-name=irsa-mappings", "--namespace", namespace]
    kubectl("create", "role", "mappings", "--verb=get,list,watch", *names)
    subject = f"--serviceaccount={namespace}:webhook"
    kubectl("create", "rolebinding", "mappings", "--role=mappings", subject, "--namespace", namespace)
    told: list[tuple[dict[str, str] | None, dict[str, str] | None]] = []

    def changed(_namespace: str, _name: str, old: Any, new: Any) -> None:
        told.append((old and dict(old.data), new and dict(new.data)))

    async with client_of("webhook", kubectl, namespace=namespace, folder=tmp_path) as api, client(kubectl) as admin:
        watched = Watched(api, config_map(namespace, "irsa-mappings"), changed=changed)
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        async with running(watched.run()):
            await eventually(lambda: watched.age(asyncio.get_running_loop().time()) < 60)
            assert watched.get(namespace, "irsa-mappings") is None
            await admin.create(path, {"metadata": {"name": "other"}, "data": {"config": "other"}})
            made = (await admin.create(path, {"metadata": {"name": "irsa-mappings"}, "data": {"config": "1"}})).document
            await admin.patch(f"{path}/irsa-mappings", {"data": {"config": "2"}}, patch_type=MERGE)
            await eventually(lambda: len(told) == 2)
            kept = watched.get(namespace, "irsa-mappings")
            await admin.delete(f"{path}/irsa-mappings")
            await eventually(lambda: len(told) == 3)

    assert told == [(None, {"config": "1"}), ({"config": "1"}, {"config": "2"}), ({"config": "2"}, None)]
    assert kept is not None
    assert kept.uid == made["metadata"]["uid"]
    assert watched.get(namespace, "irsa-mappings") is None


def pod(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"a": "b"}},
        "spec": {"serviceAccountName": "app", "automountServiceAccountToken": False,
                 "containers": [{"name": "app", "image": "example/app"}]},
    }  # fmt: skip


async def test_pods_are_followed_with_all_that_is_in_them(kubectl: Kubectl, namespace: str) -> None:
    kubectl.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": namespace}})
    kubectl.create(pod(namespace, "before"))

    def keep(item: PodItem) -> PodItem | None:
        return item if item.metadata.namespace == namespace else None

    async with client(kubectl) as api:
        watched = Watched(api, pods(keep))
        async with running(watched.run()):
            await eventually(lambda: watched.get(namespace, "before") is not None)
            kubectl.create(pod(namespace, "after"))
            await eventually(lambda: watched.get(namespace, "after") is not None)
            stored = kubectl.get("pod", "after", "--namespace", namespace)
            kept = watched.get(namespace, "after")
            kubectl("delete", "pod", "before", "--namespace", namespace, "--grace-period=0", "--force")
            await eventually(lambda: watched.get(namespace, "before") is None)

    assert kept is not None
    assert (kept.spec, kept.status) == (stored["spec"], stored["status"])
    assert (kept.metadata.uid, kept.metadata.labels) == (stored["metadata"]["uid"], {"a": "b"})


async def test_cluster_wide_objects_are_followed(kubectl: Kubectl, namespace: str) -> None:
    collection = Collection(path="/api/v1/namespaces")

    def labels(item: PodItem) -> dict[str, str]:
        return item.metadata.labels or {}

    async with client(kubectl) as api:
        watched = Watched(api, Kind("namespaces", collection, item=PodItem, keep=labels))
        async with running(watched.run()):
            await eventually(lambda: watched.get("", namespace) is not None)
            kubectl("label", "namespace", namespace, "irsa/require-identity=true")
            await eventually(lambda: (watched.get("", namespace) or {}).get("irsa/require-identity") == "true")


async def test_every_object_is_read_page_by_page(kubectl: Kubectl, namespace: str) -> None:
    names = [f"config-{number}" for number in range(7)]
    kubectl.create(*({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
                     for name in names))  # fmt: skip
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    load = configured(None, {"KUBECONFIG": str(kubectl.kubeconfig)})
    async with KubernetesApi(load) as api:
        found = [item async for item in every(api, Collection(path=path), page_size=2)]

    mine = [item for item in found if item["metadata"]["name"] != "kube-root-ca.crt"]
    assert [item["metadata"]["name"] for item in mine] == names
    assert all(item["metadata"]["uid"] for item in mine)


async def test_service_account_and_what_it_says_are_confirmed_the_moment_they_are_there(
    kubectl: Kubectl, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    annotated = {ROLE_ARN: "one"}
    async with client(kubectl) as api, client(kubectl) as admin:
        source = ClusterServiceAccounts(api, keep=Vocabulary())  # its watch is not even running
        assert await source.confirm(namespace, "app") is None
        await admin.create(path, {"metadata": {"name": "app"}})
        bare = await source.confirm(namespace, "app")
        await admin.patch(f"{path}/app", {"metadata": {"annotations": annotated}}, patch_type=MERGE)
        late = await source.confirm(namespace, "app")

    assert (bare and dict(bare.annotations), late and dict(late.annotations)) == ({}, annotated)
    assert +source.lookups == {"absent": 1, "found": 2}


async def test_each_of_300_that_are_created_and_annotated_at_once_is_confirmed(
    kubectl: Kubectl, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    async with client(kubectl) as api, client(kubectl) as admin:
        source = ClusterServiceAccounts(api, keep=Vocabulary())

        async def create_and_confirm(name: str) -> str:
            await admin.create(path, {"metadata": {"name": name, "annotations": {ROLE_ARN: name}}})
            found = source.get(namespace, name) or await source.confirm(namespace, name)
            return found.annotations[ROLE_ARN] if found else ""

        async with running(source.run()):
            await eventually(lambda: source.age(asyncio.get_running_loop().time()) < 60)
            names = [f"sa-{number}" for number in range(300)]
            assert await asyncio.gather(*map(create_and_confirm, names)) == names


async def test_watch_goes_on_when_the_api_server_was_restarted(
    kubectl: Kubectl, namespace: str, restart_apiserver: Callable[[], None]
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    async with client(kubectl) as api:
        watched = Watched(api, config_map(namespace, "irsa-mappings"))

        def data() -> dict[str, str]:
            found = watched.get(namespace, "irsa-mappings")
            return dict(found.data) if found else {}

        with capture_logs() as logs:
            async with running(watched.run()):
                await api.create(path, {"metadata": {"name": "irsa-mappings"}, "data": {"config": "1"}})
                await eventually(lambda: watched.get(namespace, "irsa-mappings") is not None)
                await asyncio.to_thread(restart_apiserver)
                await patched(api, f"{path}/irsa-mappings", {"data": {"config": "2"}})
                await eventually(lambda: data() == {"config": "2"}, seconds=40)

    assert "config_map_interrupted" in {entry["event"] for entry in logs}


async def patched(api: KubernetesApi, path: str, document: dict[str, Any]) -> None:
    """Patch as soon as the API takes it."""
    async with asyncio.timeout(60):
        while True:
            try:
                await api.patch(path, document, patch_type=MERGE)
            except ClusterError:
                await asyncio.sleep(0.2)
            else:
                return

"""ServiceAccounts and pods made at the same moment: what is faster than any watch."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from tests.apiserver import Api
from tests.e2e.api_proxy import ApiProxy
from tests.e2e.creating import annotation, is_patched, pod, service_account
from tests.e2e.in_a_thread import in_a_thread
from tests.e2e.installing import Release, namespace, release
from tests.e2e.kubectl import Kubectl
from tests.e2e.serving import certificate_for, hooks, install, ready_replica

pytestmark = pytest.mark.cluster

PAIRS = 300
"""All at once, each on a connection of its own."""

NAMESPACES = 30
"""Fresh ones, each with so many of the pairs."""

PAIRS_WHILE_HELD = 60
"""Each costs a look at the API within the budget, while the same API creates the others."""

PATCH = "application/merge-patch+json"


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Api:
    return Api.of(kubeconfig)


@pytest.fixture(scope="module")
def shop(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl) as name:
        yield name


@pytest.fixture(scope="module")
def released(kubectl: Kubectl, shop: str) -> Iterator[Release]:
    assert shop, "made before there are hooks that would wait for a Service"
    with release(kubectl) as made:
        install(made)
        yield made


@pytest.fixture(scope="module")
def proxy(
    kubectl: Kubectl, api: Api, released: Release, shop: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiProxy]:
    folder = tmp_path_factory.mktemp("webhook")
    certificate = certificate_for(kubectl, folder)
    with (
        in_a_thread(ApiProxy(api).serving()) as made,
        # On two cores 300 clients, the API server and the webhook are in each other's way for longer than the second
        # that a look-up has unless told otherwise.
        ready_replica(made.kubeconfig(folder / "kubeconfig"), certificate, flags=["--lookup-seconds", "4"]) as served,
        hooks(released, f"https://{served.host}:{served.port}", certificate.ca_bundle, probe=shop),
    ):
        yield made


@pytest.fixture
def fresh(api: Api) -> Iterator[list[str]]:
    """Namespaces in which there is nothing, not even a ServiceAccount where no controller makes one."""
    names = [f"irsa-test-{name}" for name in some(NAMESPACES)]

    def remove(connection: HTTPSConnection, name: str) -> None:
        for what in (f"{name}/pods", f"{name}/serviceaccounts", name):
            api.send(connection, "DELETE", f"/api/v1/namespaces/{what}")

    try:
        api.at_once(names, lambda _, name: api.make_namespace(name), threads=16)
        yield names
    finally:
        api.at_once(names, remove, threads=16)


@contextmanager
def held(proxy: ApiProxy) -> Iterator[None]:
    """While the webhook's watch is late."""
    proxy.hold()
    try:
        yield
    finally:
        proxy.flow()


def unpatched(api: Api, namespace: str, names: list[str], *, owner: str = "", annotate: bool = False) -> list[str]:
    """Make, or annotate, the ServiceAccount of each name and its pod right behind it; return who got no identity."""
    path = f"/api/v1/namespaces/{namespace}"

    def make(connection: HTTPSConnection, name: str) -> bool:
        if annotate:
            api.send(connection, "PATCH", f"{path}/serviceaccounts/{name}", annotation(), content_type=PATCH)
        else:
            api.send(connection, "POST", f"{path}/serviceaccounts", service_account(name))
        return is_patched(api.send(connection, "POST", f"{path}/pods", pod(name, service_account=name, owner=owner)))

    made = api.at_once(names, make, threads=len(names))
    return [name for name, is_good in zip(names, made, strict=True) if not is_good]


def make_bare(api: Api, namespace: str, names: list[str]) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"

    def make(connection: HTTPSConnection, name: str) -> None:
        api.send(connection, "POST", path, service_account(name, role_arn=None))

    api.at_once(names, make, threads=16)


def some(count: int) -> list[str]:
    prefix = secrets.token_hex(3)
    return [f"app-{prefix}-{number}" for number in range(count)]


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("owner", [pytest.param("", id="bare"), pytest.param("uid", id="controlled")])
def test_pods_made_right_after_their_service_accounts_are_patched(api: Api, shop: str, owner: str) -> None:
    assert unpatched(api, shop, some(PAIRS), owner=owner) == []


@pytest.mark.usefixtures("proxy")
def test_pods_of_namespaces_that_are_as_new_are_patched(api: Api, fresh: list[str]) -> None:
    pairs = [(namespace, name) for name in some(PAIRS // NAMESPACES) for namespace in fresh]

    def make(connection: HTTPSConnection, pair: tuple[str, str]) -> bool:
        namespace, name = pair
        path = f"/api/v1/namespaces/{namespace}"
        api.send(connection, "POST", f"{path}/serviceaccounts", service_account(name))
        return is_patched(api.send(connection, "POST", f"{path}/pods", pod(name, service_account=name, owner="uid")))

    made = api.at_once(pairs, make, threads=len(pairs))

    assert [pair for pair, is_good in zip(pairs, made, strict=True) if not is_good] == []


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("owner", [pytest.param("", id="bare"), pytest.param("uid", id="controlled")])
def test_pods_made_right_after_the_annotation_are_patched(api: Api, shop: str, owner: str) -> None:
    names = some(PAIRS)
    make_bare(api, shop, names)

    assert unpatched(api, shop, names, owner=owner, annotate=True) == []


@pytest.mark.parametrize("annotate", [pytest.param(False, id="made"), pytest.param(True, id="annotated")])
def test_pods_that_somebody_made_are_patched_however_late_the_watch_is(
    api: Api, shop: str, proxy: ApiProxy, annotate: bool
) -> None:
    names = some(PAIRS_WHILE_HELD)
    if annotate:
        make_bare(api, shop, names)
    with held(proxy):
        assert unpatched(api, shop, names, annotate=annotate) == []


def test_pods_of_a_new_service_account_are_patched_however_late_the_watch_is(
    api: Api, shop: str, proxy: ApiProxy
) -> None:
    with held(proxy):
        assert unpatched(api, shop, some(PAIRS_WHILE_HELD), owner="uid") == []

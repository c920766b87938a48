"""Every field of the Pod API through our webhook, by itself and by a real API server: nothing is lost."""

import base64
import copy
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import jsonpatch
import msgspec
import pytest

from tests.apiserver import Api
from tests.builders import ENV, MOUNT, VOLUME, review
from tests.e2e.creating import STORED_VOLUME, service_account
from tests.e2e.installing import Release, namespace, release
from tests.e2e.kubectl import Kubectl
from tests.e2e.pod_shapes import RUNTIME_CLASS, PodApi, Shape
from tests.e2e.serving import Certificate, Replica, certificate_for, hooks, install, ready_replica

pytestmark = pytest.mark.cluster

AT_ONCE = 8
COVERED = 0.9
"""Of the fields that a pod can be created with. The rest is behind feature gates, or never for a pod."""

RUNTIME_CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
SET_BY_SERVER = {"creationTimestamp", "managedFields", "namespace", "resourceVersion", "uid"}

Pod = dict[str, Any]


@dataclass(frozen=True)
class Served:
    """A cluster with one namespace whose pods reach our webhook, and one whose pods do not."""

    api: Api
    hooked: str
    plain: str
    replica: Replica
    certificate: Certificate


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Api:
    return Api.of(kubeconfig)


@pytest.fixture(scope="module")
def pod_api(api: Api) -> PodApi:
    return PodApi(msgspec.json.decode(api.once("GET", "/openapi/v3/api/v1"))["components"]["schemas"])


@contextmanager
def runtime_class(api: Api) -> Iterator[None]:
    overhead = {"podFixed": {"cpu": "1"}}
    api.once("POST", RUNTIME_CLASSES, {"metadata": {"name": RUNTIME_CLASS}, "handler": "a", "overhead": overhead})
    try:
        yield
    finally:
        api.once("DELETE", f"{RUNTIME_CLASSES}/{RUNTIME_CLASS}")


@contextmanager
def installed(kubectl: Kubectl, *, excluded: str) -> Iterator[Release]:
    with release(kubectl) as made:
        install(made, excluded=[excluded])
        yield made


@pytest.fixture(scope="module")
def served(kubectl: Kubectl, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    certificate = certificate_for(kubectl, tmp_path_factory.mktemp("webhook"))
    with (
        namespace(kubectl) as hooked,
        namespace(kubectl) as plain,
        runtime_class(api),
        installed(kubectl, excluded=plain) as released,
        ready_replica(kubectl.kubeconfig, certificate) as replica,
        hooks(released, f"https://{replica.host}:{replica.port}", certificate.ca_bundle, probe=hooked),
    ):
        annotate(api, hooked)
        yield Served(api, hooked, plain, replica, certificate)


def annotate(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/app"
    with closing(api.connection()) as connection:
        merge = "application/merge-patch+json"
        api.send(connection, "PATCH", path, service_account("app"), content_type=merge)


def without_ours(pod: Pod, *, volume: Mapping[str, Any]) -> Pod:
    """Return a copy of *pod* without what an injection adds, all of which must be there."""
    left = copy.deepcopy(pod)
    take(left["spec"], "volumes", [volume])
    for container in [*left["spec"].get("initContainers", []), *left["spec"]["containers"]]:
        take(container, "env", ENV)
        take(container, "volumeMounts", [MOUNT])
    return left


def take(owner: dict[str, Any], field: str, ours: list[Any]) -> None:
    for one in ours:
        owner[field].remove(one)
    if not owner[field]:
        del owner[field]


@contextmanager
def connected(served: Served) -> Iterator[HTTPSConnection]:
    """A connection to the webhook itself."""
    context = ssl.create_default_context(cadata=served.certificate.authority.cert_pem.bytes().decode())
    with closing(HTTPSConnection(served.replica.host, served.replica.port, context=context, timeout=30)) as made:
        yield made


def patched(connection: HTTPSConnection, pod: Pod, *, namespace: str) -> Pod:
    """Return *pod* with the patch that the webhook answers for it."""
    body = msgspec.json.encode(review(pod, namespace=namespace))
    connection.request("POST", "/mutate", body, {"Content-Type": "application/json"})
    response = msgspec.json.decode(connection.getresponse().read())["response"]
    operations = msgspec.json.decode(base64.b64decode(response["patch"]))
    after: Pod = jsonpatch.apply_patch(pod, operations)
    return after


def test_pod_with_every_field_at_once_keeps_them_all(served: Served, pod_api: PodApi) -> None:
    before = pod_api.everything()
    with connected(served) as connection:
        after = patched(connection, before, namespace=served.hooked)

    assert len(before["spec"]) > 40
    assert without_ours(after, volume=VOLUME) == before


def test_every_field_by_itself_is_kept(served: Served, pod_api: PodApi) -> None:
    shapes = pod_api.shapes()
    lost = []
    with connected(served) as connection:
        for shape in shapes:
            before = shape.pod("app")
            after = patched(connection, before, namespace=served.hooked)
            if without_ours(after, volume=VOLUME) != before:
                lost.append(shape.field)

    assert len(shapes) > 500
    assert lost == []


def created(served: Served, namespace: str, shapes: Mapping[str, Shape]) -> dict[str, str]:
    """Create a pod of each shape, by its name; return what the API server says of those that it refuses."""
    path = f"/api/v1/namespaces/{namespace}/pods"

    def create(connection: HTTPSConnection, named: tuple[str, Shape]) -> str | None:
        name, shape = named
        answer = served.api.ask(connection, "POST", path, msgspec.json.encode(shape.pod(name)))
        return None if answer.is_success else answer.document["message"]

    refusals = served.api.at_once(list(shapes.items()), create, threads=AT_ONCE)
    return {name: refusal for name, refusal in zip(shapes, refusals, strict=True) if refusal is not None}


def stored(served: Served, namespace: str) -> dict[str, Pod]:
    """Return the pods of a namespace by name, without what is the API server's own to say."""
    items = msgspec.json.decode(served.api.once("GET", f"/api/v1/namespaces/{namespace}/pods"))["items"]
    return {item["metadata"]["name"]: own(item) for item in items}


def own(pod: Pod) -> Pod:
    metadata = {name: value for name, value in pod["metadata"].items() if name not in SET_BY_SERVER}
    return {"metadata": metadata, "spec": pod["spec"]}


def test_every_field_that_the_api_server_stores_is_stored_with_our_webhook_too(served: Served, pod_api: PodApi) -> None:
    shapes = {f"shape-{number}": shape for number, shape in enumerate(pod_api.shapes())}
    refused = created(served, served.plain, shapes)
    plain = stored(served, served.plain)
    dropped = [name for name, pod in plain.items() if not shapes[name].is_in(pod)]
    covered = {name: shape for name, shape in shapes.items() if name in plain and name not in dropped}

    assert created(served, served.hooked, {name: shapes[name] for name in plain}) == {}
    hooked = stored(served, served.hooked)

    assert hooked.keys() == plain.keys()
    lost = [shapes[name].field for name in plain if without_ours(hooked[name], volume=STORED_VOLUME) != plain[name]]
    assert lost == []
    report = [f"{len(covered)} of {len(shapes)} fields of a pod are stored alike with our webhook and without."]
    report += [f"behind a feature gate that is off: {shapes[name].field}" for name in dropped]
    report += [f"refused: {shapes[name].field}: {why[:200]}" for name, why in refused.items()]
    print("\n".join(report))  # noqa: T201 - pytest -rP shows it
    assert len(covered) > COVERED * len(shapes), "\n".join(report)

"""Pod creations through a real API server: without a webhook, with one that answers a ready patch, and with ours.

The three take turns in short slices, back and forth, so that what else the machine does falls on all of them alike.
Each has a namespace of its own that the selector of its configuration names, so that nothing is registered anew. Wants
IRSA_TEST_KUBECONFIG, and makes and removes what it needs there.
"""

import base64
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Final

import msgspec

from app.cluster.objects import ServiceAccount
from app.webhook.decision import Policy, Subject, decide
from tests.apiserver import Api
from tests.bench import apiserver, reviews, servers
from tests.bench.apiserver import GROUP
from tests.bench.rows import NotMeasuredError, Row
from tests.bench.servers import HOST, Server, Tls

P50_MILLISECONDS: Final = 1.0
"""What our p50 may be above the floor's."""
P99_RATIO: Final = 1.3

SLICES: Final = 4
"""Of each round."""

NONE, FLOOR, OURS = "no webhook", "ready patch", "ours"
KINDS: Final = (NONE, FLOOR, OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creations:
    """What some creations took."""

    p50: float
    """Milliseconds."""
    p99: float
    per_second: float
    processor: float
    """Microseconds that the webhook used for one creation; 0 where there is none.

    Where API server, etcd and webhook share two cores and 16 creations are under way, one that takes a tenth of a
    millisecond more makes each of them take 0.8 ms more.
    """


def rows(folder: Path, *, tls: Tls, rounds: int, creations: int, say: Callable[[str], None]) -> list[Row]:
    """Return the rows of *creations* pods a run, 1 and 16 at once, in so many *rounds*; none without a cluster."""
    kubeconfig = apiserver.kubeconfig()
    if kubeconfig is None:
        return []
    api = Api.of(kubeconfig)
    found: list[Row] = []
    with (
        _namespaces(api) as namespaces,
        _servers(folder, kubeconfig, tls=tls, namespace=namespaces[OURS]) as listening,
        _registered(api, namespaces, listening, ca=tls.ca),
    ):
        for kind in KINDS:
            _check(api, namespaces[kind], is_patched=kind != NONE)
        for at_once in (1, 16):
            say(f"{GROUP}: {at_once} at once")
            runs: dict[str, list[Creations]] = {kind: [] for kind in KINDS}
            for number in range(rounds * SLICES):
                for kind in KINDS if number % 2 else reversed(KINDS):
                    count = creations // SLICES
                    taken = _create(api, namespaces[kind], count=count, at_once=at_once, server=listening.get(kind))
                    runs[kind].append(taken)
            found += _rows(at_once, runs)
    return found


def _rows(at_once: int, runs: dict[str, list[Creations]]) -> list[Row]:
    def of(kind: str, field: str) -> tuple[float, ...]:
        return tuple(getattr(run, field) for run in runs[kind])

    above = tuple(ours - floor for ours, floor in zip(of(OURS, "p50"), of(FLOOR, "p50"), strict=True))
    what = f"{at_once:2} at once"
    return [
        Row(group=GROUP, what=f"{what}, {NONE}: p50", unit="ms", samples=of(NONE, "p50")),
        Row(group=GROUP, what=f"{what}, {FLOOR}: p50", unit="ms", samples=of(FLOOR, "p50")),
        Row(group=GROUP, what=f"{what}, {OURS}: p50", unit="ms", samples=of(OURS, "p50")),
        Row(group=GROUP, what=f"{what}: our p50 above the floor's", unit="ms", samples=above, must=P50_MILLISECONDS),
        Row(group=GROUP, what=f"{what}, {NONE}: p99", unit="ms", samples=of(NONE, "p99")),
        Row(
            group=GROUP, what=f"{what}: our p99 to the floor's", unit="ms", samples=of(OURS, "p99"),
            reference=of(FLOOR, "p99"), must=P99_RATIO,
        ),
        Row(
            group=GROUP, what=f"{what}: creations", unit="/s", samples=of(OURS, "per_second"),
            reference=of(FLOOR, "per_second"), better="higher",
        ),
        Row(
            group=GROUP, what=f"{what}: processor time", unit="µs", samples=of(OURS, "processor"),
            reference=of(FLOOR, "processor"),
        ),
    ]  # fmt: skip


def _create(api: Api, namespace: str, *, count: int, at_once: int, server: Server | None) -> Creations:
    """Create *count* pods in a namespace, which *server* is asked about; remove them when the clock has stopped."""
    bodies = [msgspec.json.encode(_pod(namespace, f"pod-{number}")) for number in range(count)]
    path = f"/api/v1/namespaces/{namespace}/pods"

    def create(connection: HTTPSConnection, body: bytes) -> float:
        began = time.perf_counter()
        api.send(connection, "POST", path, body)
        return (time.perf_counter() - began) * 1000

    def used() -> float:
        return servers.processor_seconds(server.process.pid) if server is not None else 0.0

    before = used()
    started = time.perf_counter()
    taken = api.at_once(bodies, create, threads=at_once)
    seconds = time.perf_counter() - started
    processor = (used() - before) / count * 1e6
    api.once("DELETE", f"{path}?gracePeriodSeconds=0")
    percentiles = statistics.quantiles(taken, n=100)
    return Creations(p50=percentiles[49], p99=percentiles[98], per_second=count / seconds, processor=processor)


def _pod(namespace: str, name: str) -> dict[str, Any]:
    pod: dict[str, Any] = msgspec.json.decode(reviews.body_of(7, namespace, "app"))["request"]["object"]
    metadata = {"name": name, "namespace": namespace, "labels": {"app": "orders"}}
    # Never scheduled: it is the creation that is measured, no kubelet.
    gates = {"schedulingGates": [{"name": "irsa.bench/never"}], "automountServiceAccountToken": False}
    return pod | {"metadata": metadata, "spec": pod["spec"] | gates}


def _check(api: Api, namespace: str, *, is_patched: bool) -> None:
    """Wait until the API server asks as it was told to: it learns of a configuration by a watch."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        made = api.once("POST", path, _pod(namespace, "first"))
        api.once("DELETE", f"{path}/first?gracePeriodSeconds=0")
        if (b"AWS_ROLE_ARN" in made) == is_patched:
            return
        time.sleep(0.1)
    raise NotMeasuredError(f"expected pods of {namespace} to be {'patched' if is_patched else 'left alone'}")


@contextmanager
def _namespaces(api: Api) -> Iterator[dict[str, str]]:
    prefix = f"bench-{secrets.token_hex(3)}"
    names = {kind: f"{prefix}-{number}" for number, kind in enumerate(KINDS)}
    try:
        for name in names.values():
            api.make_namespace(name)
            document = apiserver.service_account("app", role_arn=reviews.ROLE_ARN)
            api.once("POST", f"/api/v1/namespaces/{name}/serviceaccounts", document)
        yield names
    finally:
        for name in names.values():
            api.remove_namespace(name)


@contextmanager
def _servers(folder: Path, kubeconfig: Path, *, tls: Tls, namespace: str) -> Iterator[dict[str, Server]]:
    patch = folder / "patch.json"
    decision = decide(
        Subject(namespace=namespace, service_account="app"),
        ServiceAccount({"eks.amazonaws.com/role-arn": reviews.ROLE_ARN}),
        pod=lambda: _pod(namespace, "pod"),
        policy=Policy(),
    )
    patch.write_bytes(msgspec.json.encode(decision.operations))
    with (
        servers.ready_patch(folder, tls=tls, patch=patch) as floor,
        servers.webhook(folder, kubeconfig=kubeconfig, tls=tls) as ours,
    ):
        yield {FLOOR: floor, OURS: ours}


@contextmanager
def _registered(api: Api, namespaces: dict[str, str], listening: dict[str, Server], *, ca: Path) -> Iterator[None]:
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    bundle = base64.b64encode(ca.read_bytes()).decode()
    try:
        for kind, server in listening.items():
            url = f"https://{HOST}:{server.port}/mutate"
            api.once("POST", path, _configuration(namespaces[kind], {"url": url, "caBundle": bundle}))
        yield
    finally:
        for kind in listening:
            api.once("DELETE", f"{path}/{namespaces[kind]}")


def _configuration(namespace: str, client: dict[str, str]) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "pods.irsa.bench",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
        "clientConfig": client,
    }
    return {"metadata": {"name": namespace}, "webhooks": [webhook]}

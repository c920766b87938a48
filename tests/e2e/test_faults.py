"""What goes wrong in clusters, while pods are created: replicas, API servers, watches and certificates that go."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPSConnection
from itertools import count
from pathlib import Path

import pytest

from tests.apiserver import Answer, Api
from tests.builders import ROLE_ARN
from tests.e2e.api_proxy import ApiProxy
from tests.e2e.balancer import Balancer
from tests.e2e.creating import ROLE_ANNOTATION, is_patched, pod, service_account
from tests.e2e.in_a_thread import in_a_thread
from tests.e2e.insisting import Made, insist, said
from tests.e2e.installing import Release, eventually, namespace, release, sent_to
from tests.e2e.own_cluster import OwnCluster, own_cluster
from tests.e2e.serving import (
    STRICT_LABEL,
    Certificate,
    Replica,
    certificate_for,
    hooks,
    install,
    ready_replica,
    replica,
)

pytestmark = pytest.mark.cluster

AT_ONCE = 16

SHOP = {"metadata": {"name": "shop", "annotations": {ROLE_ANNOTATION: ROLE_ARN}}}

INTERRUPTED = '"event":"service_accounts_interrupted"'
LISTED = '"event":"service_accounts_listed"'
LOADED = '"event":"certificate_loaded"'

BODY_BYTES = 7 * 1024 * 1024
MEMORY_LIMIT = (256 - 32) * 1024 * 1024
"""The chart's, without what 100,000 ServiceAccounts would take."""


@dataclass(frozen=True)
class Cluster:
    """A cluster with our hooks, a namespace in which every pod must have an identity, and one in which none must."""

    own: OwnCluster
    api: Api
    released: Release
    strict: str
    lenient: str

    def pods(self, namespace: str) -> str:
        return f"/api/v1/namespaces/{namespace}/pods"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCluster]:
    # It forgets at once what was, so that a watch that is away for seconds is away for too long.
    with own_cluster(tmp_path_factory.mktemp("cluster"), "--etcd-compaction-interval=1s") as made:
        yield made


@pytest.fixture(scope="module")
def cluster(own: OwnCluster) -> Iterator[Cluster]:
    api = Api.of(own.kubeconfig)
    with (
        namespace(own.kubectl, STRICT_LABEL) as strict,
        namespace(own.kubectl) as lenient,
        release(own.kubectl) as released,
    ):
        for name in (strict, lenient, released.namespace, "kube-system"):
            api.once("POST", f"/api/v1/namespaces/{name}/serviceaccounts", SHOP)
        install(released)
        yield Cluster(own, api, released, strict, lenient)


@pytest.fixture
def certificate(own: OwnCluster, tmp_path: Path) -> Certificate:
    return certificate_for(own.kubectl, tmp_path)


numbers = count()


def new(kind: str = "pod") -> str:
    return f"{kind}-{next(numbers)}"


def create_until(cluster: Cluster, namespace: str, is_done: Callable[[], bool], *, pairs: bool = False) -> list[Made]:
    """Create pods, with a new ServiceAccount each or all with one, until it is done."""

    def create(connection: HTTPSConnection, _number: int) -> Made | None:
        if is_done():
            return None
        name = new()
        if pairs:
            accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
            insist(cluster.api, connection, accounts, service_account(name), name=name)
        body = pod(name, service_account=name if pairs else "shop")
        return insist(cluster.api, connection, cluster.pods(namespace), body, name=name)

    made = cluster.api.at_once(range(20_000), create, threads=AT_ONCE)
    return [one for one in made if one is not None]


@contextmanager
def meanwhile(do: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Do something in another thread; yields what says that it is done."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody sees it
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: not thread.is_alive()
    finally:
        thread.join()
    for problem in problems:
        raise problem


def unpatched(made: Sequence[Made]) -> int:
    return sum(not is_patched(one.body) for one in made)


def failures(made: Sequence[Made]) -> list[str]:
    return [failure for one in made for failure in one.failures]


def test_replica_killed_in_the_middle_of_creations_leaves_none_unpatched_or_refused(
    cluster: Cluster, certificate: Certificate
) -> None:
    """Unpatched where every pod must have an identity, refused where none must."""
    kubeconfig = cluster.own.kubeconfig
    with (
        ready_replica(kubeconfig, certificate) as first,
        ready_replica(kubeconfig, certificate) as second,
        in_a_thread(Balancer([first, second]).serving()) as service,
        hooks(cluster.released, f"https://{first.host}:{service.port}", certificate.ca_bundle, probe=cluster.lenient),
    ):
        refusals: list[str] = []

        def create(connection: HTTPSConnection, number: int) -> Made:
            if number == 700:
                first.kill()
            name = new()
            body = pod(name, service_account="shop")
            if number % 2:
                return insist(cluster.api, connection, cluster.pods(cluster.strict), body, name=name)
            answer = cluster.api.ask(connection, "POST", cluster.pods(cluster.lenient), body)
            if not answer.is_success:
                refusals.append(said(answer))
            return Made(answer.body, ())

        made = cluster.api.at_once(range(2_000), create, threads=AT_ONCE)
        strict, lenient = made[1::2], made[::2]
        assert '"event":"pod_reviewed"' in first.process.log
        with closing(cluster.api.connection()) as connection:
            last = create(connection, 1)

    print(  # noqa: T201 - pytest -rP shows it
        f"strict: {unpatched(strict)} unpatched, {len(failures(strict))} tried again {failures(strict)[:1]}\n"
        f"elsewhere: {len(refusals)} refused, {unpatched(lenient)} unpatched"
    )
    assert (unpatched(strict), refusals) == (0, [])
    assert last.failures == ()


@contextmanager
def behind_a_proxy(cluster: Cluster, certificate: Certificate) -> Iterator[tuple[ApiProxy, Replica]]:
    """A webhook that pods of the cluster reach, and which reaches the API server through a proxy only."""
    file = certificate.folder / "kubeconfig"
    with (
        in_a_thread(ApiProxy(cluster.api).serving()) as proxy,
        ready_replica(proxy.kubeconfig(file), certificate) as made,
        hooks(cluster.released, f"https://{made.host}:{made.port}", certificate.ca_bundle, probe=cluster.lenient),
    ):
        yield proxy, made


def test_api_server_restarted_in_the_middle_of_creations_leaves_none_unpatched(
    cluster: Cluster, certificate: Certificate
) -> None:
    with (
        ready_replica(cluster.own.kubeconfig, certificate) as served,
        hooks(cluster.released, f"https://{served.host}:{served.port}", certificate.ca_bundle, probe=cluster.lenient),
    ):

        def restart() -> None:
            time.sleep(1)
            cluster.own.restart_apiserver()
            eventually(lambda: served.process.log.count(INTERRUPTED) > 0)
            eventually(lambda: is_answering(cluster), seconds=60)
            time.sleep(1)

        with meanwhile(restart) as is_done:
            made = create_until(cluster, cluster.lenient, is_done, pairs=True)
        assert served.is_ready()

    assert len(made) > 50
    assert failures(made) != []
    assert unpatched(made) == 0


def is_answering(cluster: Cluster) -> bool:
    with closing(cluster.api.connection()) as connection:
        try:
            return cluster.api.ask(connection, "GET", "/readyz").is_success
        except OSError:
            return False


def test_watch_that_is_cut_again_and_again_leaves_none_unpatched(cluster: Cluster, certificate: Certificate) -> None:
    with behind_a_proxy(cluster, certificate) as (proxy, served):
        before = proxy.watches

        def cut() -> None:
            for number in range(1, 4):
                proxy.cut_watches()
                eventually(lambda number=number: proxy.watches >= before + number)  # type: ignore[misc] # a lambda's default

        with meanwhile(cut) as is_done:
            made = create_until(cluster, cluster.lenient, is_done, pairs=True)
        assert served.is_ready()

    assert len(made) > 50
    assert unpatched(made) == 0


def test_watch_that_was_away_for_too_long_is_begun_anew(cluster: Cluster, certificate: Certificate) -> None:
    name = new("shop")
    accounts = f"/api/v1/namespaces/{cluster.lenient}/serviceaccounts"
    with behind_a_proxy(cluster, certificate) as (proxy, served):
        proxy.stop()
        eventually(lambda: INTERRUPTED in served.process.log)
        with closing(cluster.api.connection()) as connection:
            cluster.api.send(connection, "POST", accounts, service_account(name))
            # What an API server that has just started knows begins with the latest change.
            cluster.own.restart_apiserver()
            eventually(lambda: is_answering(cluster), seconds=60)
        lists = served.process.log.count(LISTED)
        proxy.start()
        eventually(lambda: served.process.log.count(LISTED) > lists, seconds=60)
        with closing(cluster.api.connection()) as connection:
            path, body = cluster.pods(cluster.lenient), pod(new(), service_account=name, owner="uid")
            made = insist(cluster.api, connection, path, body, name=name)
        assert '"next_step":"list"' in served.process.log
        assert served.is_ready()

    assert is_patched(made.body)


def test_certificate_exchanged_under_load_leaves_none_unpatched_and_ready_tells_the_truth(
    cluster: Cluster, certificate: Certificate
) -> None:
    with (
        ready_replica(cluster.own.kubeconfig, certificate) as served,
        hooks(cluster.released, f"https://{served.host}:{served.port}", certificate.ca_bundle, probe=cluster.lenient),
    ):

        def exchange() -> None:
            for number in range(1, 4):
                certificate.issue()
                eventually(lambda number=number: served.process.log.count(LOADED) >= number)  # type: ignore[misc] # a lambda's default
                assert served.is_ready()

        with meanwhile(exchange) as is_done:
            made = create_until(cluster, cluster.lenient, is_done)

        certificate.issue(not_after=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1))
        eventually(lambda: not served.is_ready())
        expired = served.get("/readyz")
        certificate.issue()
        eventually(served.is_ready)

    assert expired == (503, "certificate: expired\n")
    assert len(made) > 50
    assert (unpatched(made), failures(made)) == (0, [])


def test_cold_start_with_a_namespace_in_which_every_pod_must_have_an_identity(
    cluster: Cluster, certificate: Certificate
) -> None:
    """API server and webhook start at the same time, and nobody helps."""
    file = certificate.folder / "kubeconfig"
    with (
        in_a_thread(ApiProxy(cluster.api).serving()) as proxy,
        replica(proxy.kubeconfig(file), certificate) as served,
        in_a_thread(Balancer([served]).serving()) as service,
    ):
        proxy.stop()
        with sent_to(cluster.released, f"https://{served.host}:{service.port}", certificate.ca_bundle):
            cluster.own.restart_apiserver()
            eventually(lambda: is_answering(cluster), seconds=60)
            with closing(cluster.api.connection()) as connection:

                def create(namespace: str) -> Answer:
                    return cluster.api.ask(
                        connection, "POST", cluster.pods(namespace), pod(new(), service_account="shop")
                    )

                eventually(lambda: "require.webhook.irsa" in said(create(cluster.strict)))
                others = (cluster.lenient, cluster.released.namespace, "kube-system")
                elsewhere = [said(answer) for answer in map(create, others) if not answer.is_success]
                not_ready = served.get("/readyz")
                proxy.start()
                eventually(lambda: create(cluster.strict).is_success, seconds=60)
                admitted = create(cluster.strict)

    assert elsewhere == []
    assert not_ready == (503, "service_accounts: ServiceAccounts not listed yet\n")
    assert is_patched(admitted.body)


def peak_bytes(pid: int) -> int:
    """Return the largest that the resident set of a process has been."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def send_bodies(served: Replica, certificate: Certificate, *, count: int) -> None:
    """Send so many of the largest bodies at once, each but for its last byte, and wait until they are given up."""
    context = ssl.create_default_context(cadata=certificate.authority.cert_pem.bytes().decode())
    head = f"POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
    body = b" " * (BODY_BYTES - 1)

    def send(_number: int) -> None:
        with (
            suppress(OSError),
            socket.create_connection((served.host, served.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=served.host) as connection,
        ):
            connection.sendall(head.encode() + body)
            connection.recv(1)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(send, range(count)))


def test_bodies_beyond_all_bounds_neither_fill_memory_nor_keep_reviews_from_being_answered(
    cluster: Cluster, certificate: Certificate
) -> None:
    with (
        ready_replica(cluster.own.kubeconfig, certificate) as served,
        hooks(cluster.released, f"https://{served.host}:{served.port}", certificate.ca_bundle, probe=cluster.lenient),
    ):
        before = peak_bytes(served.process.pid)
        with meanwhile(lambda: send_bodies(served, certificate, count=100)) as is_done:
            made = create_until(cluster, cluster.strict, is_done)
        peak = peak_bytes(served.process.pid)

    print(f"{len(made)} pods, {before / 1e6:.0f} MB before, {peak / 1e6:.0f} MB at most")  # noqa: T201 - for pytest -rP
    assert (unpatched(made), failures(made)) == (0, [])
    assert peak < MEMORY_LIMIT

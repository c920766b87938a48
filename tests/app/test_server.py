"""Servers of ours as real processes: certificates that change, ends under load, crowds. Over real TLS."""

import http.client
import json
import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.builders import body, pod, review
from tests.processes import BOUND_SECONDS, Process, irsa

HOST = "127.0.0.1"
REVIEW = body(review(pod()))
AUTHORITY = trustme.CA()


def trust(**settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def put_certificate(folder: Path) -> bytes:
    """Write a new pair, each file at once, and return the certificate (DER)."""
    issued = AUTHORITY.issue_cert(HOST)
    pem = issued.cert_chain_pems[0].bytes()
    for name, content in (("tls.key", issued.private_key_pem.bytes()), ("tls.crt", pem)):
        (folder / f"{name}.new").write_bytes(content)
        (folder / f"{name}.new").rename(folder / name)
    return ssl.PEM_cert_to_DER_cert(pem.decode())


@dataclass(frozen=True)
class Webhook:
    process: Process
    port: int
    metrics_port: int
    certificate: bytes

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(HOST, self.metrics_port, timeout=BOUND_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        (value,) = (line.split(" ")[1] for line in self.get("/metrics")[1].splitlines() if line.startswith(f"{name} "))
        return float(value)

    def connect(self, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(HOST, self.port, context=context or trust(), timeout=BOUND_SECONDS)
        connection.connect()
        return connection


@contextmanager
def webhook(folder: Path, *arguments: str, drain_seconds: int = 0) -> Iterator[Webhook]:
    certificate = put_certificate(folder)
    (folder / "manifests").mkdir()
    files = ["--tls-cert", str(folder / "tls.crt"), "--tls-key", str(folder / "tls.key")]
    sources = ["--service-accounts", str(folder / "manifests"), "--drain-seconds", str(drain_seconds)]
    ports = ["--host", HOST, "--port", "0", "--metrics-port", "0"]
    with irsa("webhook", *ports, *files, *sources, *arguments) as process:
        port, metrics_port = (process.wait_for(event)["port"] for event in ("listening", "metrics_listening"))
        yield Webhook(process, port, metrics_port, certificate)


def answer(connection: http.client.HTTPSConnection) -> http.client.HTTPResponse:
    """Send a review on an open connection, and return the response when it is read to its end."""
    connection.request("POST", "/mutate", REVIEW, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert json.loads(response.read())["response"]["allowed"] is True
    return response


def certificate_of(connection: http.client.HTTPSConnection) -> bytes:
    certificate = connection.sock.getpeercert(binary_form=True)
    assert isinstance(certificate, bytes)
    return certificate


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


@dataclass
class Load:
    """Reviews without a pause: half of the clients keep their connection, the others make a new one for each.

    Attributes:
        answered: how many were.
        certificates: those seen in handshakes, in order.
        lost: what went wrong after a connection was made.
        refused: when connections could not be made.
    """

    port: int
    answered: int = 0
    certificates: list[bytes] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, clients: int = 6) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(BOUND_SECONDS)

    def _ask(self, keep: bool) -> None:
        context = trust()
        while not self._is_over.is_set():
            connection = http.client.HTTPSConnection(HOST, self.port, context=context, timeout=BOUND_SECONDS)
            try:
                connection.connect()
            except OSError:
                self.refused.append(time.monotonic())
                return
            self.certificates.append(certificate_of(connection))
            try:
                self._use(connection, keep=keep)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
                self.lost.append(repr(error))
                return
            finally:
                connection.close()

    def _use(self, connection: http.client.HTTPSConnection, *, keep: bool) -> None:
        while not self._is_over.is_set():
            response = answer(connection)
            self.answered += 1
            if not keep or response.getheader("connection") == "close":
                return


def test_certificate_is_changed_under_load_and_no_review_is_lost(tmp_path: Path) -> None:
    with webhook(tmp_path) as served, ExitStack() as stack:
        load = Load(served.port)
        kept = served.connect()
        stack.callback(kept.close)
        answer(kept)
        stack.enter_context(load.running())
        seen = [served.certificate]
        for _ in range(3):
            until(lambda: load.certificates[-1:] == seen[-1:])
            seen.append(put_certificate(tmp_path))
            until(lambda: load.certificates[-1] == seen[-1])
        (tmp_path / "tls.crt").write_bytes(b"garbage")
        until(lambda: served.metric("irsa_server_certificate_unusable") == 1)
        answered = load.answered
        until(lambda: load.answered > answered + 20)
        assert load.certificates[-1] == seen[-1]

        # The connection from before all that still serves, with the certificate that it had.
        answer(kept)
        assert certificate_of(kept) == seen[0]
        stack.close()

        assert (load.lost, load.refused) == ([], [])
        assert set(load.certificates) == set(seen)
        assert served.get("/readyz") == (200, "ok\n")


def test_no_review_is_lost_when_it_is_told_to_end_under_load(tmp_path: Path) -> None:
    with webhook(tmp_path, drain_seconds=1) as served:
        load = Load(served.port)
        idle = served.connect()
        answer(idle)
        with load.running():
            until(lambda: load.answered > 50)
            told = time.monotonic()
            os.kill(served.process.pid, signal.SIGTERM)
            until(lambda: served.get("/readyz") == (503, "shutdown: shutting down\n"))
            answered = load.answered
            until(lambda: load.answered > answered + 20)
            assert answer(idle).getheader("connection") == "close"
            assert served.process.wait() == 0
        idle.close()

    assert load.lost == []
    assert len(load.refused) == 6
    assert min(load.refused) - told >= 1


def test_review_whose_body_is_on_its_way_is_answered_before_the_end(tmp_path: Path) -> None:
    with webhook(tmp_path) as served:
        connection = served.connect()
        connection.putrequest("POST", "/mutate")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(REVIEW)))
        connection.endheaders(REVIEW[:100])
        half = trust().wrap_socket(socket.create_connection((HOST, served.port)), server_hostname=HOST)
        half.sendall(b"POST /mutate HTTP/1.1\r\nContent-Type: application/json\r\n")
        until(lambda: served.metric('irsa_server_connections{port="https"}') == 2)

        os.kill(served.process.pid, signal.SIGTERM)
        until(lambda: _is_refused(served.port))
        connection.send(REVIEW[100:])
        half.sendall(b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(REVIEW) + REVIEW)

        response = connection.getresponse()
        assert json.loads(response.read())["response"]["allowed"] is True
        assert response.getheader("connection") == "close"
        assert half.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.close()
        half.close()
        assert served.process.wait() == 0


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=BOUND_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    ("signals", "status"),
    [((signal.SIGTERM, signal.SIGTERM), 0), ((signal.SIGINT,), 130)],
    ids=["twice", "by a person"],
)
def test_drain_can_be_cut_short(tmp_path: Path, signals: tuple[signal.Signals, ...], status: int) -> None:
    with webhook(tmp_path, drain_seconds=300) as served:
        for number in signals:
            os.kill(served.process.pid, number)
            if number is signal.SIGTERM:
                served.process.wait_for("draining")

        assert served.process.wait() == status
    assert json.loads(served.process.log.splitlines()[-1])["event"] == "stopped"


def test_certificate_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    certificate, key = tmp_path / "mount" / "tls.crt", tmp_path / "mount" / "tls.key"
    (tmp_path / "manifests").mkdir()
    certificate.parent.mkdir()
    certificate.touch()
    arguments = [
        "--host",
        HOST,
        "--port",
        "0",
        "--metrics-port",
        "0",
        "--service-accounts",
        str(tmp_path / "manifests"),
    ]
    arguments += ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with irsa("webhook", *arguments) as process:
        assert process.wait() == 2
    assert process.log.splitlines()[-1] == f"irsa: expected a TLS certificate at {certificate}, got an empty file"

    with irsa("webhook", *arguments, "--wait-for-certificate", "--drain-seconds", "0") as process:
        served = Webhook(process, 0, process.wait_for("metrics_listening")["port"], b"")
        assert served.get("/healthz") == (200, "ok\n")
        problem = f"certificate: not there yet: expected a TLS certificate at {certificate}, got an empty file\n"
        assert served.get("/readyz") == (503, problem)

        shown = put_certificate(certificate.parent)
        served = Webhook(process, process.wait_for("listening")["port"], served.metrics_port, shown)
        connection = served.connect()
        answer(connection)
        assert certificate_of(connection) == shown
        connection.close()
        assert served.get("/readyz") == (200, "ok\n")
        assert process.stop() == 0


def test_old_versions_other_ciphers_and_clients_without_a_certificate_are_refused(tmp_path: Path) -> None:
    client_ca = tmp_path / "client-ca.crt"
    AUTHORITY.cert_pem.write_to_path(client_ca)
    suites = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,ECDHE-RSA-AES256-GCM-SHA384"
    arguments = ["--tls-cipher-suites", suites, "--client-ca", str(client_ca)]
    with webhook(tmp_path, *arguments) as served:

        def cipher(context: ssl.SSLContext) -> str:
            AUTHORITY.issue_cert("apiserver").configure_cert(context)
            connection = served.connect(context)
            answer(connection)
            used = connection.sock.cipher()
            connection.close()
            assert used is not None
            return used[0]

        old = trust(maximum_version=ssl.TLSVersion.TLSv1_2)
        other = trust(maximum_version=ssl.TLSVersion.TLSv1_2)
        other.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")

        assert cipher(old) == "ECDHE-ECDSA-AES128-GCM-SHA256"
        assert cipher(trust()).startswith("TLS_")
        with pytest.raises(ssl.SSLError):
            cipher(other)
        with pytest.raises(ssl.SSLError):
            served.connect(trust(maximum_version=ssl.TLSVersion.TLSv1_2))
        # In TLS 1.3 a client hears of it when it reads.
        stranger = served.connect()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            answer(stranger)
        stranger.close()
        assert served.metric('irsa_server_handshakes_failed_total{port="https"}') >= 2


def test_newest_version_alone_is_served_on_request(tmp_path: Path) -> None:
    with webhook(tmp_path, "--tls-min-version", "VersionTLS13") as served:
        with pytest.raises(ssl.SSLError):
            served.connect(trust(maximum_version=ssl.TLSVersion.TLSv1_2))
        connection = served.connect()
        answer(connection)
        assert connection.sock.version() == "TLSv1.3"
        connection.close()


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--tls-min-version", "1.1", '--tls-min-version: expected 1.2 or 1.3, got "1.1"'),
        (
            "--tls-cipher-suites",
            "TLS_RSA_WITH_RC4_128_SHA",
            '--tls-cipher-suites: expected a secure cipher suite, got "TLS_RSA_WITH_RC4_128_SHA"; known are TLS_ECDHE_',
        ),
    ],
)
def test_what_tls_cannot_be_is_one_line_and_exit_2(flag: str, value: str, message: str) -> None:
    with irsa("webhook", flag, value) as process:
        assert process.wait() == 2
    assert process.log.startswith(f"irsa: {message}")
    assert process.log.count("\n") == 1


def test_ten_thousand_idle_connections_leave_the_reviews_of_others_answered(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = min(10_000, hard - 1_000)
    assert crowd > 3_000
    with webhook(tmp_path) as served, ExitStack() as stack:
        apiserver = served.connect()
        answer(apiserver)
        memory = resident_megabytes(served.process.pid)
        for number in range(crowd):
            connection = stack.enter_context(socket.socket())
            connection.bind(("127.0.0.2", 0))
            with suppress(ConnectionError):
                connection.connect((HOST, served.port))
            if number % 500 == 0:
                answer(apiserver)
                late = served.connect()
                answer(late)
                late.close()

        answer(apiserver)
        apiserver.close()
        # One that is told to end is counted until it has ended.
        until(lambda: served.metric('irsa_server_connections{port="https"}') <= 1024)
        assert served.metric('irsa_server_connections_dropped_total{port="https"}') >= crowd / 2
        assert resident_megabytes(served.process.pid) - memory < 150


def test_hundred_bodies_of_the_largest_size_at_once_leave_the_reviews_of_others_answered(tmp_path: Path) -> None:
    head = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    size = 7 * 1024 * 1024

    def flood(_number: int) -> bytes:
        """Send all but the last byte, and return what came."""
        plain = socket.create_connection((HOST, served.port), timeout=BOUND_SECONDS)
        with trust().wrap_socket(plain, server_hostname=HOST) as connection:
            with suppress(ConnectionError, ssl.SSLError):
                connection.sendall(head % size + b" " * (size - 1))
            with suppress(ConnectionError, ssl.SSLError):
                return connection.recv(12)
        return b"cut"

    with webhook(tmp_path) as served:
        apiserver = served.connect()
        answer(apiserver)
        memory = resident_megabytes(served.process.pid)
        with ThreadPoolExecutor(100) as pool:
            floods = [pool.submit(flood, number) for number in range(100)]
            while not all(each.done() for each in floods):
                answer(apiserver)
                late = served.connect()
                answer(late)
                late.close()
        answers = {each.result() for each in floods}
        apiserver.close()

        # The peak that the kernel has seen: 64 MiB of bodies, one that is joined, and what the connections hold.
        assert resident_megabytes(served.process.pid, "VmHWM") - memory < 128
        assert answers <= {b"HTTP/1.1 408", b"HTTP/1.1 503", b"cut"}
        assert b"HTTP/1.1 503" in answers


def resident_megabytes(pid: int, which: str = "VmRSS") -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{which}:")[1].split()[0]) / 1024

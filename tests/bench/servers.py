"""The real processes: how they are started, when they are ready, what they hold, and that they end with us."""

import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar

import trustme

from app.listener import KEEP_ALIVE_SECONDS
from tests.bench.rows import NotMeasuredError

ROOT: Final = Path(__file__).parents[2]
IRSA: Final = Path(sys.executable).with_name("irsa")
HOST: Final = "127.0.0.1"

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.005

CALM_LOOKS: Final = 40
"""Memory is settled when so many looks in a row, 25 ms apart, see the same within `CALM_BYTES`: one second."""

CALM_BYTES: Final = 100_000
SETTLE_SECONDS: Final = 15.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tls:
    """One certificate for all servers of a run, and the CA that their clients trust."""

    certificate: Path
    key: Path
    ca: Path

    @classmethod
    def make(cls, folder: Path) -> "Tls":
        """Write a CA and a certificate for the loopback address to *folder*."""
        tls = cls(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")
        ca = trustme.CA()
        issued = ca.issue_cert(HOST)
        issued.private_key_pem.write_to_path(tls.key)
        tls.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        ca.cert_pem.write_to_path(tls.ca)
        return tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server process that listens on loopback."""

    process: "subprocess.Popen[bytes]"
    port: int
    ca: Path
    ready_seconds: float
    """From its start until it was ready."""

    def post(self, body: bytes) -> bytes:
        """Return the answer to one review."""
        with closing(self._connection()) as connection:
            connection.request("POST", "/mutate", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        if response.status != HTTPStatus.OK:
            raise NotMeasuredError(f"expected 200 for a review, got {response.status}: {answer[:200]!r}")
        return answer

    def _connection(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.ca)
        return http.client.HTTPSConnection(HOST, self.port, context=context, timeout=START_SECONDS)


def environment() -> dict[str, str]:
    """Return our environment without somebody's settings for irsa and for Python.

    Of the latter PYTHONDONTWRITEBYTECODE matters: with it, a checkout compiles itself at every start, which an
    installed package does not.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(("IRSA_", "PYTHON"))}


@contextmanager
def kubernetes_api(folder: Path, *, service_accounts: int, annotated: int, bogus: int = 0) -> Iterator[Path]:
    """Run a fake Kubernetes API with so many ServiceAccounts; yield a kubeconfig for it."""
    kubeconfig, log = folder / f"kubeconfig-{service_accounts}", folder / f"api-{service_accounts}.log"
    counts = ["--service-accounts", str(service_accounts), "--annotated", str(annotated)]
    counts += ["--bogus", str(bogus)]
    command = [sys.executable, "-m", "tests.app.cluster.fake_api", *counts, "--kubeconfig", str(kubeconfig)]
    with _running(command, log=log) as process:
        _wait(lambda: log.read_bytes().startswith(b"ready ") or None, process, log=log)
        yield kubeconfig


@contextmanager
def webhook(folder: Path, *, kubeconfig: Path, tls: Tls) -> Iterator[Server]:
    """Run ``irsa webhook`` as in production: one worker, JSON logs, metrics, ServiceAccounts from the API."""
    log = folder / "webhook.log"
    files = ["--tls-cert", str(tls.certificate), "--tls-key", str(tls.key), "--kubeconfig", str(kubeconfig)]
    started = time.perf_counter()
    ports = ["--port", "0", "--metrics-port", "0", "--drain-seconds", "0"]
    with _running([str(IRSA), "webhook", "--host", HOST, *ports, *files], log=log) as process:
        port = _wait(lambda: _port(log, rb'"port":(\d+),"tls":true'), process, log=log)
        metrics_port = _wait(lambda: _port(log, rb'"port":(\d+),"tls":false'), process, log=log)
        # Asking all the time would be load, in the middle of a long list.
        _wait(lambda: b"service_accounts_listed" in log.read_bytes() or None, process, log=log)
        _wait(lambda: _is_ready(metrics_port) or None, process, log=log)
        ready_seconds = time.perf_counter() - started
        yield Server(process=process, port=port, ca=tls.ca, ready_seconds=ready_seconds)


def reference(folder: Path, *, tls: Tls) -> AbstractContextManager[Server]:
    """Run the reference app as its authors would, with the access log off as ours is."""
    return _uvicorn("reference", folder, tls=tls)


def floor(folder: Path, *, tls: Tls) -> AbstractContextManager[Server]:
    """Run an app that decides nothing, on the server that the reference has."""
    return _uvicorn("floor", folder, tls=tls)


def ready_patch(folder: Path, *, tls: Tls, patch: Path) -> AbstractContextManager[Server]:
    """Run an app that answers every review with the JSONPatch in a file, on the server that the reference has."""
    return _uvicorn("ready_patch", folder, tls=tls, variables={"BENCH_PATCH": str(patch)})


@contextmanager
def _uvicorn(name: str, folder: Path, *, tls: Tls, variables: Mapping[str, str] | None = None) -> Iterator[Server]:
    log = folder / f"{name}.log"
    files = ["--ssl-certfile", str(tls.certificate), "--ssl-keyfile", str(tls.key)]
    # As long as ours: uvicorn's 5 s end in the moment in which an API server, after a pause, sends a review (seen).
    idle = ["--timeout-keep-alive", str(KEEP_ALIVE_SECONDS)]
    app = [f"tests.bench.{name}:app", "--host", HOST, "--port", "0", "--no-access-log", *idle]
    started = time.perf_counter()
    with _running([sys.executable, "-m", "uvicorn", *app, *files], log=log, variables=variables) as process:
        port = _wait(lambda: _port(log, rb"running on https://[\d.]+:(\d+)"), process, log=log)
        yield Server(process=process, port=port, ca=tls.ca, ready_seconds=time.perf_counter() - started)


def resident_bytes(pid: int) -> int:
    """Return the resident set of a process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        raise NotMeasuredError(f"expected /proc/{pid}/status, which Linux has, got none") from None
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def settled_resident_bytes(pid: int) -> int:
    """Return the resident set when it has stopped to change."""
    deadline = time.monotonic() + SETTLE_SECONDS
    seen: list[int] = []
    while time.monotonic() < deadline:
        seen.append(resident_bytes(pid))
        latest = seen[-CALM_LOOKS:]
        if len(latest) == CALM_LOOKS and max(latest) - min(latest) <= CALM_BYTES:
            return seen[-1]
        time.sleep(LOOK_SECONDS * 5)
    raise NotMeasuredError(f"expected memory to settle within {SETTLE_SECONDS:g} s, it still changes")


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used, its own and the kernel's for it. Linux: proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except FileNotFoundError:
        raise NotMeasuredError(f"expected /proc/{pid}/stat, which Linux has, got none") from None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _running(
    command: Sequence[str], *, log: Path, variables: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    settings = environment() | dict(variables or {})
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            command, cwd=ROOT, env=settings, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(look: Callable[[], T | None], process: "subprocess.Popen[bytes]", *, log: Path) -> T:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if (seen := look()) is not None:
            return seen
        time.sleep(LOOK_SECONDS)
    last = (log.read_text(errors="replace").splitlines() or ["nothing"])[-1]
    state = "is still starting" if process.poll() is None else f"ended with status {process.returncode}"
    raise NotMeasuredError(f"expected a server to start, it {state}; {log.name} ends with: {last[:200]}")


def _port(log: Path, pattern: bytes) -> int | None:
    found = re.search(pattern, log.read_bytes())
    return int(found[1]) if found else None


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=START_SECONDS)
    with closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except ConnectionError:
            return False

"""Throughput and latency: ours and the reference take turns under the same load, from another process, over TLS."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import jsonpatch

from tests.bench import servers
from tests.bench.reviews import CONTAINERS, body
from tests.bench.rows import NotMeasuredError, Row
from tests.bench.servers import HOST, ROOT, Server, Tls

GROUP: Final = "under load"
CONNECTIONS: Final = 16
SERVICE_ACCOUNTS: Final = 100_000
ANNOTATED: Final = SERVICE_ACCOUNTS // 10

THROUGHPUT_RATIO: Final = 3
P99_RATIO: Final = 0.5

Name = Literal["wrk", "python"]

SCRIPT: Final = """
local file = assert(io.open("{body}", "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"errors":%d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of load showed."""

    requests_per_second: float
    p50_milliseconds: float
    p99_milliseconds: float
    processor_microseconds: float
    """Of the server, for one request. A busy neighbour changes it less than it does the others."""


class Driver:
    """Sends reviews from another process: ``wrk`` where it is installed, else ``tests.bench.driver``."""

    def __init__(self, name: Name | None, *, folder: Path) -> None:
        self.name: Name = name or ("wrk" if shutil.which("wrk") else "python")
        self._folder = folder

    def run(self, server: Server, review: bytes, *, seconds: int) -> Run:
        """Load *server* with the same *review* on all connections for *seconds*."""
        file = self._folder / "review.json"
        file.write_bytes(review)
        command = self._wrk(server, file, seconds) if self.name == "wrk" else self._python(server, file, seconds)
        before = servers.processor_seconds(server.process.pid)
        try:
            finished = subprocess.run(  # noqa: S603 - wrk or our own driver
                command, cwd=ROOT, capture_output=True, timeout=seconds + 30, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NotMeasuredError(f"expected {self.name} to run, got: {error}") from error
        used = servers.processor_seconds(server.process.pid) - before
        result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
        if result["errors"] or not result["requests"]:
            raise NotMeasuredError(f"expected answers with status 200 only, got {result}")
        return Run(
            requests_per_second=result["requests"] / result["microseconds"] * 1e6,
            p50_milliseconds=result["p50"] / 1e3,
            p99_milliseconds=result["p99"] / 1e3,
            processor_microseconds=used / result["requests"] * 1e6,
        )

    def _wrk(self, server: Server, file: Path, seconds: int) -> list[str]:
        script = self._folder / "review.lua"
        script.write_text(SCRIPT.format(body=file))
        load = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout", "30s", "-s", str(script)]
        return ["wrk", *load, f"https://{HOST}:{server.port}/mutate"]

    def _python(self, server: Server, file: Path, seconds: int) -> list[str]:
        where = ["--port", str(server.port), "--ca", str(server.ca), "--body", str(file)]
        load = ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
        return [sys.executable, "-m", "tests.bench.driver", *where, *load]


def rows(folder: Path, *, driver: Driver, tls: Tls, rounds: int, seconds: int, say: Callable[[str], None]) -> list[Row]:
    """Return four rows for each size, with a role and without: requests a second, p50, p99, processor time."""
    found: list[Row] = []
    with _both(folder, tls) as (ours, reference):
        for kilobytes in CONTAINERS:
            for with_role in (True, False):
                name, review = _name(kilobytes, with_role=with_role), body(kilobytes, with_role=with_role)
                say(f"{GROUP}: {name}")
                _compare(ours, reference, review)
                pairs = [
                    (driver.run(reference, review, seconds=seconds), driver.run(ours, review, seconds=seconds))
                    for _ in range(rounds)
                ]
                found += _rows(name, [theirs for theirs, _ in pairs], [our for _, our in pairs])
        megabytes = servers.settled_resident_bytes(ours.process.pid) / 1e6
    memory = Row(group=GROUP, what="resident after all of it", unit="MB", samples=(megabytes,))
    return [*found, memory]


@contextmanager
def _both(folder: Path, tls: Tls) -> Iterator[tuple[Server, Server]]:
    with (
        servers.kubernetes_api(folder, service_accounts=SERVICE_ACCOUNTS, annotated=ANNOTATED) as kubeconfig,
        servers.webhook(folder, kubeconfig=kubeconfig, tls=tls) as ours,
        servers.reference(folder, tls=tls) as reference,
    ):
        yield ours, reference


def _name(kilobytes: int, *, with_role: bool) -> str:
    return f"{kilobytes:2} kB, {'role' if with_role else 'no role'}"


def _rows(name: str, theirs: list[Run], ours: list[Run]) -> list[Row]:
    def row(what: str, unit: str, field: str, *, higher: bool = False, must: float | None = None) -> Row:
        samples, reference = (tuple(getattr(run, field) for run in runs) for runs in (ours, theirs))
        better: Literal["lower", "higher"] = "higher" if higher else "lower"
        return Row(
            group=GROUP, what=f"{name}: {what}", unit=unit, samples=samples, reference=reference, better=better,
            must=must,
        )  # fmt: skip

    return [
        row("requests", "/s", "requests_per_second", higher=True, must=THROUGHPUT_RATIO),
        row("p50", "ms", "p50_milliseconds"),
        row("p99", "ms", "p99_milliseconds", must=P99_RATIO),
        row("processor time", "µs", "processor_microseconds"),
    ]


def _compare(ours: Server, reference: Server, review: bytes) -> None:
    """Check that both make the same pod of a review: else they would not do the same work."""
    pod = json.loads(review)["request"]["object"]
    if _patched(pod, ours.post(review)) != _patched(pod, reference.post(review)):
        raise NotMeasuredError("expected the reference and ours to make the same pod of a review, got two")


def _patched(pod: dict[str, Any], answer: bytes) -> Any:
    response = json.loads(answer)["response"]
    return jsonpatch.apply_patch(pod, json.loads(base64.b64decode(response["patch"]))) if "patch" in response else pod

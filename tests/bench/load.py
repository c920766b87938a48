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
local requests, turn = {{}}, 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
init = function()
  for path in string.gmatch("{bodies}", "%S+") do
    local file = assert(io.open(path, "rb"))
    requests[#requests + 1] = wrk.format(nil, nil, nil, file:read("*a"))
    file:close()
  end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
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

    def run(self, server: Server, *reviews: bytes, seconds: int) -> Run:
        """Load *server* with *reviews*, one after the other, on all connections for *seconds*."""
        files = [self._folder / f"review-{number}.json" for number in range(len(reviews))]
        for file, review in zip(files, reviews, strict=True):
            file.write_bytes(review)
        command = self._wrk(server, files, seconds) if self.name == "wrk" else self._python(server, files, seconds)
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

    def _wrk(self, server: Server, files: list[Path], seconds: int) -> list[str]:
        script = self._folder / "review.lua"
        script.write_text(SCRIPT.format(bodies=" ".join(map(str, files))))
        load = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--timeout", "30s", "-s", str(script)]
        return ["wrk", *load, f"https://{HOST}:{server.port}/mutate"]

    def _python(self, server: Server, files: list[Path], seconds: int) -> list[str]:
        where = ["--port", str(server.port), "--ca", str(server.ca), "--body", *map(str, files)]
        load = ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
        return [sys.executable, "-m", "tests.bench.driver", *where, *load]


def rows(folder: Path, *, driver: Driver, tls: Tls, rounds: int, seconds: int, say: Callable[[str], None]) -> list[Row]:
    """Return four rows for each size, with a role and without, and for all of them in turn; then what explains them."""
    found: list[Row] = []
    reviews = {
        f"{kilobytes:2} kB, {'role' if with_role else 'no role'}": body(kilobytes, with_role=with_role)
        for kilobytes in CONTAINERS
        for with_role in (True, False)
    }
    with _both(folder, tls) as (ours, reference):
        for review in reviews.values():
            _compare(ours, reference, review)
        loads: dict[str, list[bytes]] = {name: [review] for name, review in reviews.items()}
        for name, bodies in (loads | {"all in turn": [*reviews.values()]}).items():
            say(f"{GROUP}: {name}")
            pairs = [
                (driver.run(reference, *bodies, seconds=seconds), driver.run(ours, *bodies, seconds=seconds))
                for _ in range(rounds)
            ]
            found += _rows(name, [theirs for theirs, _ in pairs], [our for _, our in pairs])
        megabytes = servers.settled_resident_bytes(ours.process.pid) / 1e6
    memory = Row(group=GROUP, what="resident after all of it", unit="MB", samples=(megabytes,))
    say(f"{GROUP}: the floor")
    with servers.floor(folder, tls=tls) as floor:
        runs = [driver.run(floor, body(7, with_role=False), seconds=seconds) for _ in range(rounds)]
    return [*found, memory, *_floor(runs)]


def _floor(runs: list[Run]) -> list[Row]:
    what = f"{7:2} kB, answered with a constant"
    requests = tuple(run.requests_per_second for run in runs)
    processor = tuple(run.processor_microseconds for run in runs)
    return [
        Row(group=GROUP, what=f"{what}: requests", unit="/s", samples=requests, better="higher"),
        Row(group=GROUP, what=f"{what}: processor time", unit="µs", samples=processor),
    ]


@contextmanager
def _both(folder: Path, tls: Tls) -> Iterator[tuple[Server, Server]]:
    with (
        servers.kubernetes_api(folder, service_accounts=SERVICE_ACCOUNTS, annotated=ANNOTATED) as kubeconfig,
        servers.webhook(folder, kubeconfig=kubeconfig, tls=tls) as ours,
        servers.reference(folder, tls=tls) as reference,
    ):
        yield ours, reference


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

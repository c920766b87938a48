"""A real Prometheus that scrapes processes of this machine, and promtool."""

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from app.demo.ports import reserved

HOST: Final = "127.0.0.1"
BOUND_SECONDS: Final = 60
LOOK_SECONDS: Final = 0.2

Samples = dict[tuple[str, ...], float]


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    port: int

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its HTTP API, https://prometheus.io/docs/prometheus/2.42/querying/api/."""
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=30)) as connection:
            connection.request("GET", f"{path}?{urlencode(parameters)}")
            answer = json.loads(connection.getresponse().read())
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]

    def values(self, expression: str) -> Samples:
        """Return the samples of *expression* now, by the values of their labels in the order of the labels' names."""
        result = self.ask("/api/v1/query", query=expression)["result"]
        return {
            tuple(value for name, value in sorted(sample["metric"].items()) if name != "__name__"): float(
                sample["value"][1]
            )
            for sample in result
        }

    def is_ready(self) -> bool:
        try:
            with closing(http.client.HTTPConnection(HOST, self.port, timeout=5)) as connection:
                connection.request("GET", "/-/ready")
                return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False

    def has_scraped(self, *, times: int, jobs: int) -> bool:
        """Return whether each of the *jobs* could be scraped so often."""
        found = self.values("sum_over_time(up[1h])")
        return len(found) == jobs and min(found.values()) >= times


def program(name: str) -> str:
    """Return *name*, which is on PATH; otherwise the test is skipped."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} on PATH")
    return name


@contextmanager
def prometheus(folder: Path, jobs: Mapping[str, str], *, rules: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that judges *rules* and scrapes each of *jobs* at its host:port, both every second."""
    command = program("prometheus")
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [address]}]} for name, address in jobs.items()
        ],
    }
    file, log = folder / "prometheus.yaml", folder / "prometheus.log"
    file.write_text(json.dumps(configuration))
    with reserved(1) as [port], log.open("w") as written:
        flags = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'series'}"]
        started = subprocess.Popen(  # noqa: S603 - our own words
            [command, *flags, f"--web.listen-address={HOST}:{port}"], stdout=written, stderr=written
        )
        running = Prometheus(port)
        try:
            end = time.monotonic() + BOUND_SECONDS
            while not running.is_ready():
                assert started.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(LOOK_SECONDS)
            yield running
        finally:
            started.terminate()
            try:
                started.wait(BOUND_SECONDS)
            finally:
                started.kill()


def lint(exposition: str) -> str:
    """Return what promtool has to say against *exposition*, the text of a /metrics."""
    done = subprocess.run(  # noqa: S603 - our own words
        [program("promtool"), "check", "metrics"],
        input=exposition,
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND_SECONDS,
    )
    return done.stdout + done.stderr

"""An API server of a test's own on loopback, for what would disturb other tests."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.kubectl import Kubectl

TOOLS: Final = Path(__file__).parents[3] / "shared" / "cluster"
"""Beside the checkout: what makes clusters from binaries, and restarts their processes."""

START_SECONDS: Final = 120
STOP_SECONDS: Final = 10.0


@dataclass(frozen=True)
class OwnCluster:
    """etcd and kube-apiserver."""

    state: Path

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.kubeconfig)

    def restart_apiserver(self) -> None:
        """Restart it; it is started then, and not yet ready."""
        command = [str(TOOLS / "restart"), str(self.state), "apiserver"]
        subprocess.run(command, check=True, timeout=START_SECONDS)  # noqa: S603 - our own words


@contextmanager
def own_cluster(state: Path, *flags: str) -> Iterator[OwnCluster]:
    """Run one, with further *flags* of kube-apiserver, until the context is left."""
    binary = shutil.which("kube-apiserver")
    if binary is None or not (TOOLS / "up").exists():
        pytest.skip(f"no kube-apiserver on PATH, or no {TOOLS / 'up'} that starts one")
    settings = os.environ | {"PORT": str(free_ports(3)), "NODES": "0", "CONTROLLERS": ""}
    command = [str(TOOLS / "up"), str(Path(binary).parent), str(state), *flags]
    try:
        subprocess.run(command, check=True, timeout=START_SECONDS, env=settings)  # noqa: S603 - our own words
        yield OwnCluster(state)
    finally:
        stop([int(line.split()[0]) for line in (state / "pids").read_text().splitlines()])


def free_ports(count: int) -> int:
    """Return the first of so many free ports in a row."""
    while True:
        first = random.randrange(20_000, 30_000)  # noqa: S311 - nobody is to be kept from guessing it
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        return first


def stop(pids: list[int]) -> None:
    """End processes at once, whose state nobody wants, and wait until they are gone."""
    for pid in filter(is_alive, pids):
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + STOP_SECONDS
    while any(map(is_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Return whether it runs: a zombie, of which nobody reads the status, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False

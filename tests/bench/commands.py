"""How long a person waits for a command: whole processes, from exec to exit."""

import subprocess
import time
from pathlib import Path
from typing import Final

from tests.bench.rows import NotMeasuredError, Row
from tests.bench.servers import IRSA, environment

GROUP: Final = "commands"
HELP_SECONDS: Final = 0.2
INJECT_SECONDS: Final = 0.6
TIMEOUT_SECONDS: Final = 30

MANIFESTS: Final = """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: orders
  namespace: shop
  annotations:
    eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/orders
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: orders
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: {app: orders}
  template:
    metadata:
      labels: {app: orders}
    spec:
      serviceAccountName: orders
      containers:
        - name: app  # the one that talks to S3
          image: registry.example.com/orders:1.4
          env:
            - name: PORT
              value: "8080"
"""


def rows(folder: Path, *, runs: int) -> list[Row]:
    """Return a row for each command that has to be quick."""
    file = folder / "deployment.yaml"
    file.write_text(MANIFESTS)
    return [
        _row("irsa --help", ["--help"], runs=runs, must=HELP_SECONDS),
        _row("irsa inject, one Deployment", ["inject", "-f", str(file)], runs=runs, must=INJECT_SECONDS),
    ]


def _row(what: str, arguments: list[str], *, runs: int, must: float) -> Row:
    try:
        samples = tuple(_seconds(arguments) for _ in range(runs))
    except NotMeasuredError as error:
        return Row(group=GROUP, what=what, problem=str(error))
    return Row(group=GROUP, what=what, unit="s", samples=samples, must=must)


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    finished = subprocess.run(  # noqa: S603 - our own command
        [IRSA, *arguments], capture_output=True, text=True, env=environment(), timeout=TIMEOUT_SECONDS, check=False
    )
    taken = time.perf_counter() - started
    if finished.returncode:
        said = (finished.stderr.splitlines() or ["nothing"])[-1]
        raise NotMeasuredError(f"not built, or broken: exit status {finished.returncode}, {said}")
    return taken

"""kubectl on the cluster that the tests were given."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOUND_SECONDS = 60


@dataclass(frozen=True)
class Kubectl:
    kubeconfig: Path

    def __call__(self, *arguments: str, manifests: Sequence[Any] = ()) -> subprocess.CompletedProcess[str]:
        """Run kubectl; *manifests* are its standard input. A failure raises, with what kubectl said."""
        done = subprocess.run(  # noqa: S603 - the arguments are the test's own
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *arguments],  # noqa: S607 - from PATH, as the design says
            input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}),
            capture_output=True,
            text=True,
            check=False,
            timeout=BOUND_SECONDS,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done

    def create(self, *manifests: Any) -> subprocess.CompletedProcess[str]:
        return self("create", "-f", "-", manifests=manifests)

    def get(self, *arguments: str) -> Any:
        return json.loads(self("get", "-o", "json", *arguments).stdout)

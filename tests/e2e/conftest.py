import os
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.kubectl import Kubectl


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """The kubeconfig of a cluster in which tests may make and remove what they like."""
    file = os.environ.get("IRSA_TEST_KUBECONFIG")
    if not file:
        pytest.skip("IRSA_TEST_KUBECONFIG names no test cluster")
    return Path(file)


@pytest.fixture(scope="session")
def kubectl(kubeconfig: Path) -> Kubectl:
    return Kubectl(kubeconfig)


@pytest.fixture(scope="session")
def nodes_kubectl() -> Kubectl:
    """kubectl on a cluster that runs pods."""
    file = os.environ.get("IRSA_TEST_NODES_KUBECONFIG") or os.environ.get("IRSA_TEST_KUBECONFIG")
    if not file:
        pytest.skip("neither IRSA_TEST_NODES_KUBECONFIG nor IRSA_TEST_KUBECONFIG names a test cluster")
    return Kubectl(Path(file))


@pytest.fixture(scope="session")
def without_controllers(kubectl: Kubectl) -> None:
    """For tests that make pods by hand for an owner, which controllers would remove."""
    if kubectl("get", "lease", "kube-controller-manager", "-n", "kube-system", "--ignore-not-found").stdout:
        pytest.skip("the test cluster has controllers, which would remove what this test makes by hand")


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of this test's own; its random name is free for cluster-wide objects as well."""
    name = f"irsa-test-{secrets.token_hex(4)}"
    kubectl.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    # Some test clusters have no controller that empties a namespace.
    kubectl("delete", "serviceaccount", "--all", "--wait=false", "--namespace", name)
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def restart_apiserver() -> Callable[[], None]:
    """What restarts the cluster's kube-apiserver; it returns when the process was started, not when it is ready."""
    command = os.environ.get("IRSA_TEST_RESTART")
    if not command:
        pytest.skip("IRSA_TEST_RESTART is no command that restarts the test cluster's kube-apiserver")

    def restart() -> None:
        subprocess.run(shlex.split(command), check=True, timeout=60)  # noqa: S603 - whoever runs the tests wrote it

    return restart


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"

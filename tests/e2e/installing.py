"""The chart in a real cluster, installed by a real helm."""

import copy
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

import pytest

from tests.e2e.kubectl import Kubectl
from tests.manifests.chart import CHART

BOUND_SECONDS: Final = 120
NO_PODS: Final[Mapping[str, Any]] = {"webhook": {"replicas": 0}, "controller": {"replicas": 0}}
"""It is the objects that are tested; no kubelet shall look for an image."""

PAUSE_SECONDS: Final = 0.02
"""Between two looks."""

HOOKS: Final = "mutatingwebhookconfiguration"
NAME: Final = "irsa-webhook"

T = TypeVar("T")


@dataclass(frozen=True)
class Release:
    """One installation, in a namespace of its own."""

    kubectl: Kubectl
    namespace: str

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Run helm in this namespace; *values* are given as a file."""
        given = [] if values is None else ["--values", "-"]
        where = ["--kubeconfig", str(self.kubectl.kubeconfig), "--namespace", self.namespace]
        done = subprocess.run(  # noqa: S603 - the arguments are the test's own
            ["helm", *arguments, *given, *where],  # noqa: S607 - from PATH, as the design says
            input=json.dumps(values or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=BOUND_SECONDS,
        )
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def install(self, values: Mapping[str, Any] = NO_PODS) -> None:
        self.helm("install", "irsa", str(CHART), values=values)

    def upgrade(self, values: Mapping[str, Any] = NO_PODS) -> None:
        self.helm("upgrade", "irsa", str(CHART), values=values)

    def uninstall(self) -> None:
        self.helm("uninstall", "irsa", "--ignore-not-found", "--wait=false")

    def hooks(self) -> Any:
        return self.kubectl.get(HOOKS, NAME)

    def as_service_account(self, name: str) -> Sequence[str]:
        """Return the flags with which kubectl is that ServiceAccount of ours."""
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated"]
        return [f"--as=system:serviceaccount:{self.namespace}:{name}", *(f"--as-group={group}" for group in groups)]


def eventually(look: Callable[[], T | None], *, seconds: float = 20, pause: float = PAUSE_SECONDS) -> T:
    """Look until there is something to see, and return it: an API server learns of hooks and policies by a watch."""
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, f"expected {look.__name__} within {seconds} s"
        time.sleep(pause)
    return seen


@contextmanager
def namespace(kubectl: Kubectl, labels: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """A namespace of this test's own, with a ServiceAccount named app that pods may use."""
    name = f"irsa-test-{secrets.token_hex(4)}"
    kubectl.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": name}},
    )
    try:
        yield name
    finally:
        # An API server without controllers would keep what is in it. Both in one request each.
        for kind in ("pods", "serviceaccounts"):
            kubectl("delete", "--raw", f"/api/v1/namespaces/{name}/{kind}")
        kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def release(kubectl: Kubectl) -> Iterator[Release]:
    """Nothing yet, but what is installed is removed afterwards."""
    if shutil.which("helm") is None:
        pytest.skip("no helm on PATH")
    with namespace(kubectl) as name:
        made = Release(kubectl, name)
        try:
            yield made
        finally:
            made.uninstall()


@contextmanager
def sent_to(released: Release, url: str, ca_bundle: str | None) -> Iterator[None]:
    """Have the hooks ask at *url*, and change nothing else of them."""
    before = released.hooks()
    after = copy.deepcopy(before)
    for hook in after["webhooks"]:
        path = hook["clientConfig"]["service"]["path"] if "service" in hook["clientConfig"] else _path_of(hook)
        hook["clientConfig"] = {"url": url + path} | ({"caBundle": ca_bundle} if ca_bundle else {})
    _replace(released.kubectl, after)
    try:
        yield
    finally:
        _replace(released.kubectl, before)


def _path_of(hook: Mapping[str, Any]) -> str:
    return "/" + str(hook["clientConfig"]["url"]).rpartition("/")[2]


def _replace(kubectl: Kubectl, hooks: Mapping[str, Any]) -> None:
    current = kubectl.get(HOOKS, hooks["metadata"]["name"])
    metadata = {**hooks["metadata"], "resourceVersion": current["metadata"]["resourceVersion"]}
    kubectl("replace", "-f", "-", manifests=[{**hooks, "metadata": metadata}])

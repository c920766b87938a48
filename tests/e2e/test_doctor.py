"""irsa doctor on a real API server: the chart's objects, a webhook of ours at a URL, and one thing broken at a time."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.cli.command_line import run
from tests.builders import ROLE_ARN
from tests.e2e.installing import HOOKS, NAME, Release, eventually, namespace, release, sent_to
from tests.e2e.kubectl import Kubectl
from tests.processes import irsa

pytestmark = pytest.mark.cluster

HOST = "127.0.0.1"
STRICT = {"irsa/require-identity": "true"}
REACHED = "api server to webhook"

Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def doctor(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs a doctor; returns its exit status, and its findings by their link in their order."""

    def doctored(command: str, *flags: str, kubeconfig: Path = kubeconfig) -> tuple[int, dict[str, Any]]:
        status = run(["doctor", command, "--json", "--kubeconfig", str(kubeconfig), *flags])
        captured = capsys.readouterr()
        assert captured.err == ""
        return status, {found["link"]: found for found in json.loads(captured.out)}

    return doctored


def broken(found: dict[str, Any]) -> list[str]:
    return [link for link, finding in found.items() if finding["state"] == "broken"]


@pytest.fixture(scope="module")
def shop(kubectl: Kubectl) -> Iterator[str]:
    with namespace(kubectl) as name:
        add_role(kubectl, name)
        yield name


@pytest.fixture(scope="module")
def strict(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the Fail hook: its failures are told."""
    with namespace(kubectl, STRICT) as name:
        add_role(kubectl, name)
        yield name


def add_role(kubectl: Kubectl, where: str) -> None:
    kubectl("annotate", "serviceaccount", "app", f"eks.amazonaws.com/role-arn={ROLE_ARN}", "-n", where)


@dataclass(frozen=True)
class Served:
    """A chart whose hooks ask a webhook of this machine."""

    release: Release
    account: str
    port: int
    bundle: str

    def flags(self) -> list[str]:
        return ["--namespace", self.release.namespace, "--service-account", self.account]

    def url(self, port: int | None = None) -> str:
        return f"https://{HOST}:{port or self.port}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def bundle_of(authority: trustme.CA) -> str:
    return base64.b64encode(authority.cert_pem.bytes()).decode()


@pytest.fixture(scope="module")
def released(kubectl: Kubectl, shop: str, strict: str, authority: trustme.CA) -> Iterator[Release]:
    assert shop != strict, "made before there are hooks that would wait for a Service"
    given = {"secretName": "given", "caBundle": bundle_of(authority)}
    with release(kubectl) as made:
        made.install(
            {
                "webhook": {"replicas": 0},
                "controller": {"enabled": False},
                "certificates": {"mode": "given", "given": given},
            }
        )
        yield made


@contextmanager
def running(kubectl: Kubectl, authority: trustme.CA, folder: Path) -> Iterator[int]:
    certificate = folder / "tls.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    files = ["--tls-cert", str(certificate), "--tls-key", str(certificate), "--kubeconfig", str(kubectl.kubeconfig)]
    with irsa("webhook", "--host", HOST, "--port", "0", "--metrics-port", "0", *files) as process:
        port = process.wait_for("listening")["port"]
        process.wait_for("service_accounts_listed")
        yield port


@pytest.fixture(scope="module")
def served(
    kubectl: Kubectl, released: Release, shop: str, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with running(kubectl, authority, tmp_path_factory.mktemp("tls")) as port:
        yield Served(released, f"{shop}/app", port, bundle_of(authority))


def is_told(doctor: Doctor, served: Served, link: str, seen: str) -> Callable[[], bool]:
    """A state: the doctor's first broken link is *link*, and *seen* is in it. API servers hear of hooks by a watch."""

    def told() -> bool:
        status, found = doctor("install", *served.flags())
        first = next(iter(broken(found)), "")
        return status == 1 and first == link and seen in found[first]["seen"]

    return told


def test_dry_run_proves_that_pods_get_their_role(doctor: Doctor, served: Served) -> None:
    with sent_to(served.release, served.url(), served.bundle):

        def is_proven() -> bool:
            status, found = doctor("install", *served.flags())
            return status == 0 and found["dry-run pod"]["state"] == "ok" and broken(found) == []

        eventually(is_proven)
        _, found = doctor("install", "--namespace", served.release.namespace)

    assert found["dry-run pod"]["seen"] == (
        f'the webhook injected "{ROLE_ARN}" for ServiceAccount "{served.account}"'
    ), "it finds the ServiceAccount itself"
    assert found["caBundle"]["state"] == "ok"


def test_nothing_is_left_of_a_dry_run(doctor: Doctor, served: Served, shop: str) -> None:
    with sent_to(served.release, served.url(), served.bundle):
        doctor("install", *served.flags())

    assert served.release.kubectl.get("pods", "-n", shop)["items"] == []


def test_ca_bundle_that_is_missing_is_told(doctor: Doctor, served: Served) -> None:
    with sent_to(served.release, served.url(), None):
        eventually(is_told(doctor, served, REACHED, "certificate signed by unknown authority"))


def test_ca_bundle_of_another_authority_is_told(doctor: Doctor, served: Served) -> None:
    with sent_to(served.release, served.url(), bundle_of(trustme.CA())):
        eventually(is_told(doctor, served, REACHED, "certificate signed by unknown authority"))


def test_wrong_port_is_told(doctor: Doctor, served: Served) -> None:
    with sent_to(served.release, served.url(1), served.bundle):
        eventually(is_told(doctor, served, REACHED, "connection refused"))


def test_webhook_that_was_stopped_is_told(
    doctor: Doctor, kubectl: Kubectl, served: Served, authority: trustme.CA, tmp_path: Path
) -> None:
    with running(kubectl, authority, tmp_path) as port:
        pass
    with sent_to(served.release, served.url(port), served.bundle):
        eventually(is_told(doctor, served, REACHED, "connection refused"))


def test_failure_that_is_ignored_is_told_without_a_strict_namespace(
    doctor: Doctor, kubectl: Kubectl, served: Served, strict: str
) -> None:
    kubectl("label", "namespace", strict, "irsa/require-identity-")
    try:
        with sent_to(served.release, served.url(1), served.bundle):
            eventually(is_told(doctor, served, REACHED, "the API server counted a call that failed"))
    finally:
        kubectl("label", "namespace", strict, "irsa/require-identity=true")


def test_selector_that_excludes_is_told(doctor: Doctor, kubectl: Kubectl, served: Served) -> None:
    def exclude(values: list[str]) -> None:
        path = "/webhooks/0/namespaceSelector/matchExpressions/0/values"
        patch = [{"op": "replace", "path": path, "value": values}]
        kubectl("patch", HOOKS, NAME, "--type=json", "--patch", json.dumps(patch))

    before = served.release.hooks()["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"]
    shop = served.account.partition("/")[0]
    with sent_to(served.release, served.url(), served.bundle):
        exclude([*before, shop])
        try:
            eventually(is_told(doctor, served, "selectors", f'namespace "{shop}" does not meet'))
        finally:
            exclude(before)


def test_match_condition_that_excludes_is_told(doctor: Doctor, kubectl: Kubectl, served: Served) -> None:
    path = "/webhooks/0/matchConditions/-"
    condition = {"name": "never", "expression": "object.metadata.?labels[?'x'].orValue('') == 'y'"}
    patch = [{"op": "add", "path": path, "value": condition}]
    with sent_to(served.release, served.url(), served.bundle):
        kubectl("patch", HOOKS, NAME, "--type=json", "--patch", json.dumps(patch))
        eventually(is_told(doctor, served, "selectors", "a matchCondition of inject.webhook.irsa passed"))


def test_chart_without_pods_and_certificate_is_told(doctor: Doctor, served: Served) -> None:
    status, found = doctor("install", *served.flags())

    assert status == 1
    assert broken(found) == ["serving certificate", "pods", "endpoints", REACHED, "dry-run pod"]
    assert found["serving certificate"]["seen"] == f"no Secret given in namespace {served.release.namespace}"
    assert found["pods"]["seen"] == "the Deployment has 0 replicas"


def test_ca_bundle_that_nobody_has_written_is_told(doctor: Doctor, kubectl: Kubectl, served: Served) -> None:
    path = "/webhooks/0/clientConfig/caBundle"

    def patch(operation: dict[str, str]) -> None:
        kubectl("patch", HOOKS, NAME, "--type=json", "--patch", json.dumps([{"path": path, **operation}]))

    patch({"op": "remove"})
    try:
        _, found = doctor("install", *served.flags())
    finally:
        patch({"op": "add", "value": served.bundle})

    assert broken(found)[0] == "caBundle"
    assert found["caBundle"]["seen"] == "inject.webhook.irsa: it is empty"


def test_namespace_in_which_nothing_is_installed_is_told(doctor: Doctor, served: Served, shop: str) -> None:
    assert served.release.namespace != shop
    status, found = doctor("install", "--namespace", shop)

    assert status == 1
    assert {"service", "pods"} <= set(broken(found))


@pytest.fixture
def powerless(kubectl: Kubectl, shop: str, tmp_path: Path) -> Path:
    """The kubeconfig of somebody who may do nothing."""
    token = kubectl("create", "token", "app", "-n", shop).stdout.strip()
    content = json.loads(kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json").stdout)
    content["users"][0]["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(content))
    return file


def test_rights_that_are_missing_are_told(served: Served, powerless: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["doctor", "install", "--json", "--kubeconfig", str(powerless), *served.flags()[:2]])

    captured = capsys.readouterr()
    assert "irsa: irsa-system/irsa-mappings counts as empty: expected the right to get configmaps" in captured.err
    found = {one["link"]: one for one in json.loads(captured.out)}
    assert status == 1, "nothing is proven"
    assert {one["state"] for one in found.values()} == {"unknown"}
    assert found["webhook configuration"]["remedy"] == "run this with a user who has that right"


def test_cluster_that_lacks_nothing_is_said_to_be_good(doctor: Doctor) -> None:
    status, found = doctor("cluster")

    states = {link: finding["state"] for link, finding in found.items()}
    assert status == 0
    assert states.pop("tokens") in {"ok", "unknown"}, "test clusters without controllers have no default ServiceAccount"
    assert set(states.values()) == {"ok"}, found


def test_cluster_is_judged_without_rights_as_far_as_everybody_may_see(doctor: Doctor, powerless: Path) -> None:
    status, found = doctor("cluster", kubeconfig=powerless)

    states = {link: finding["state"] for link, finding in found.items()}
    assert status == 0
    assert (states["version"], states["admission"], states["tokens"]) == ("ok", "ok", "unknown")
    assert states["rights to install"] == "warning"
    assert found["other injectors"]["remedy"] == "run this with a user who has that right"

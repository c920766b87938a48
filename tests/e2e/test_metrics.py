"""A real Prometheus scrapes webhook and controller: each panel has data, each alert is judged, promtool is content."""

import http.client
import json
import math
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest

from app.webhook.decision import MIRROR
from tests.builders import ENV, MOUNT, MOUNT_PATH, ROLE_ARN, VOLUME, body, container, pod, review
from tests.e2e.installing import HOOKS, eventually
from tests.e2e.kubectl import Kubectl
from tests.e2e.registering import address_as_the_apiserver_sees_us, registered
from tests.manifests.chart import CHART, ROOT
from tests.processes import Process, irsa
from tests.prometheus import Prometheus, Samples, lint, program, prometheus

pytestmark = pytest.mark.cluster

ROLE: Final = "eks.amazonaws.com/role-arn"
SKIPPED: Final = {"eks.amazonaws.com/skip-containers": "app"}
RATE_INTERVAL: Final = "5m"
"""What Grafana would say for 5 minutes between two points."""

PATCHED: Final = pod(container(env=ENV, volumeMounts=[MOUNT]), volumes=[VOLUME])
TAKEN: Final = pod(container(volumeMounts=[{"name": "x", "mountPath": MOUNT_PATH}]))

REVIEWS: Final[list[tuple[str, bool, Any]]] = [
    ("patched", True, review(pod())),
    ("already_present", True, review(PATCHED)),
    ("no_role", True, review(pod(serviceAccountName="bare"))),
    ("no_service_account", True, review(pod(serviceAccountName=""))),
    ("service_account_not_found", True, review(pod(serviceAccountName="ghost"))),
    ("all_containers_skipped", True, review(pod(annotations=SKIPPED))),
    ("conflict", True, review(TAKEN)),
    ("invalid_annotation", True, review(pod(serviceAccountName="wrong"))),
    ("mirror_pod", True, review(pod(annotations={MIRROR: "x"}))),
    ("malformed_pod", True, review(pod(containers=1))),
    ("not_a_pod", True, review(pod(), kind={"group": "", "version": "v1", "kind": "Service"})),
    ("not_a_creation", True, review(pod(), operation="DELETE")),
    ("no_role", False, review(pod(serviceAccountName="bare"))),
    ("conflict", False, review(TAKEN)),
]
"""Every decision that somebody outside can bring about: its reason, whether the pod is allowed, and the review."""

JSON: Final = {"Content-Type": "application/json"}
BAD: Final[list[tuple[int, str, dict[str, str]]]] = [
    (400, "POST", JSON),
    (405, "GET", {}),
    (413, "POST", JSON | {"Content-Length": "9000000"}),
    (415, "POST", {"Content-Type": "text/plain"}),
]
"""Requests that are no review: the status of the answer, the method and the headers."""

ALARMING: Final = {"IrsaPodsGetNothing", "IrsaPodsRefused", "IrsaAssignmentsUnreadable"}
"""Alerts about what is made to happen here."""


def panels() -> list[Any]:
    dashboard = json.loads((ROOT / "manifests/dashboards/webhook.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def service_account(namespace: str, name: str, **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def config_map(namespace: str, name: str, config: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config": config}}


def objects_of_the_controller(namespace: str) -> Iterator[dict[str, Any]]:
    """Yield what the chart makes for a controller, in *namespace*."""
    where = {"namespace": namespace}
    for name in ("irsa-webhook-ca", "irsa-webhook-tls"):
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name} | where}
    yield {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "irsa-controller"} | where}
    webhook = {
        "name": "hook.irsa.test",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "clientConfig": {"url": "https://127.0.0.1:9/mutate"},  # it has no rules, so nobody is asked
    }
    yield {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": f"{namespace}-controller"},
        "webhooks": [webhook],
    }


@pytest.fixture
def shop(kubectl: Kubectl, namespace: str) -> Iterator[str]:
    """A namespace with ServiceAccounts, assignments of which some are bad, and the objects of a controller."""
    mappings = json.dumps({f"{namespace}/mapped": {"RoleARN": ROLE_ARN}, f"{namespace}/bad": None})
    kubectl.create(
        service_account(namespace, "app", **{ROLE: ROLE_ARN}),
        service_account(namespace, "wrong", **{ROLE: "arn:of:nothing"}),
        service_account(namespace, "bare"),
        config_map(namespace, "mappings", mappings),
        *objects_of_the_controller(namespace),
    )
    yield namespace
    kubectl("delete", HOOKS, f"{namespace}-controller")


def metrics_port(process: Process) -> int:
    return int(process.wait_for("metrics_listening")["port"])


def exposition(host: str, port: int) -> str:
    with closing(http.client.HTTPConnection(host, port, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


@contextmanager
def both(kubectl: Kubectl, shop: str, folder: Path) -> Iterator[tuple[Process, Process]]:
    """Run a webhook that the API server asks about pods of *shop*, and a controller that leads."""
    mappings = ["--mappings", f"{shop}/mappings"]
    objects = ["--namespace", shop, "--webhook-configuration", f"{shop}-controller"]
    where = ["--host", "127.0.0.1", "--metrics-port", "0", "--kubeconfig", str(kubectl.kubeconfig)]
    with ExitStack() as stack:
        webhook = stack.enter_context(registered(kubectl, shop, folder, flags=mappings))
        controller = stack.enter_context(irsa("controller", *where, *objects, *mappings))
        controller.wait_for("certificate_issued")
        yield webhook, controller


class ApiServer:
    """Asks a webhook as an API server does."""

    def __init__(self, webhook: Process, host: str, certificate: Path) -> None:
        self._host, self._port = host, webhook.wait_for("listening")["port"]
        self._trust = ssl.create_default_context(cafile=certificate)
        self._trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted, and no CA

    def ask(self, path: str, content: bytes = b"{}", *, method: str = "POST", headers: Any = JSON) -> int:
        """Return the status of the answer."""
        with closing(
            http.client.HTTPSConnection(self._host, self._port, context=self._trust, timeout=10)
        ) as connection:
            connection.request(method, path, content, headers)
            return connection.getresponse().status

    def ask_everything(self, namespace: str) -> None:
        """Ask for each decision once, for a warning and for none, and what is no review."""
        for _, is_allowed, document in REVIEWS:
            asked = {**document, "request": {**document["request"], "namespace": namespace}}
            assert self.ask("/mutate" if is_allowed else "/mutate-required", body(asked)) == HTTPStatus.OK
        kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
        for annotations in ({}, SKIPPED):
            spec = {"template": pod(annotations=annotations)}
            workload = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}
            assert self.ask("/warn", body(review(workload, kind=kind, namespace=namespace))) == HTTPStatus.OK
        for status, method, headers in BAD:
            assert self.ask("/mutate", method=method, headers=headers) == status


def queries() -> Iterator[tuple[str, str]]:
    """Yield each query of the dashboard as Grafana would send it, and whose it is."""
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", RATE_INTERVAL)
            assert "$" not in expression, expression
            yield f"{panel['title']}: {target['refId']}", expression


def without_data(scraping: Prometheus) -> list[str]:
    """Return the queries of the dashboard that nothing can be drawn of."""
    return [whose for whose, query in queries() if all(math.isnan(value) for value in scraping.values(query).values())]


def pod_to_store(namespace: str) -> dict[str, Any]:
    gated = pod(schedulingGates=[{"name": "irsa.test/never"}], automountServiceAccountToken=False)
    return {**gated, "metadata": {"name": "shop", "namespace": namespace}}


def test_prometheus_has_data_for_every_panel_and_judges_every_alert(
    kubectl: Kubectl, shop: str, tmp_path: Path
) -> None:
    program("prometheus")
    host = address_as_the_apiserver_sees_us(kubectl)
    with both(kubectl, shop, tmp_path) as (webhook, controller):
        jobs = {"webhook": f"{host}:{metrics_port(webhook)}", "controller": f"127.0.0.1:{metrics_port(controller)}"}
        with prometheus(tmp_path, jobs, rules=CHART / "alerts.yaml") as scraping:

            def has_begun() -> bool:
                return scraping.has_scraped(times=1, jobs=len(jobs))

            def has_seen_everything() -> bool:
                reviews = sum(counted(scraping, "reviews", "reason").values())
                late = ("irsa_controller_drifted_pods", "irsa_controller_certificate_expiration_timestamp_seconds")
                is_complete = reviews == len(REVIEWS) + 1 and all(scraping.values(name) for name in late)
                return is_complete and scraping.has_scraped(times=3, jobs=len(jobs))  # a rate needs two of each series

            def is_alarmed() -> bool:
                return active_alerts(scraping) >= ALARMING

            eventually(has_begun, seconds=60)
            ApiServer(webhook, host, tmp_path / "tls.crt").ask_everything(shop)
            kubectl.create(pod_to_store(shop))
            eventually(has_seen_everything, seconds=60)
            eventually(is_alarmed, seconds=60)

            assert without_data(scraping) == []
            assert active_alerts(scraping).isdisjoint({"IrsaWebhookAbsent", "IrsaControllerIdle"})
            assert counted(scraping, "reviews", "allowed", "reason") == {
                **{("true" if is_allowed else "false", reason): 1 for reason, is_allowed, _ in REVIEWS},
                ("true", "patched"): 2,  # the API server's own is the other
            }
            assert counted(scraping, "warn_reviews", "outcome") == {("silent",): 1, ("warned",): 1}
            assert counted(scraping, "bad_requests", "status") == {(str(status),): 1 for status, _, _ in BAD}
            assert counted(scraping, "lookups", "outcome").keys() == {("absent",), ("found",)}


def counted(scraping: Prometheus, what: str, *labels: str) -> Samples:
    """Return what a counter of the webhook says by its *labels*, where that is anything."""
    return scraping.values(f"sum by ({', '.join(labels)}) (irsa_webhook_{what}_total) > 0")


def active_alerts(scraping: Prometheus) -> set[str]:
    """Return the alerts that are pending or firing. None may be one that could not be judged."""
    [group] = scraping.ask("/api/v1/rules")["groups"]
    assert [rule["lastError"] for rule in group["rules"] if rule.get("lastError")] == []
    return {rule["name"] for rule in group["rules"] if rule["state"] != "inactive"}


def test_promtool_finds_nothing_to_mend(kubectl: Kubectl, shop: str, tmp_path: Path) -> None:
    program("promtool")
    host = address_as_the_apiserver_sees_us(kubectl)
    with both(kubectl, shop, tmp_path) as (webhook, controller):
        of_webhook = exposition(host, metrics_port(webhook))
        of_controller = exposition("127.0.0.1", metrics_port(controller))

    assert lint(of_webhook) == ""
    assert lint(of_controller) == ""
    assert "irsa_webhook_reviews_total" in of_webhook
    assert "irsa_controller_drifted_pods" in of_controller

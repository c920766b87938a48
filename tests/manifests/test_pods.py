"""Both Deployments are held as restricted pod security wants, and run on any cluster."""

import pytest

from tests.manifests.chart import Manifest, base, named

COMPONENTS = ["webhook", "controller"]


def pod_of(component: str) -> Manifest:
    pod: Manifest = named(base(), "Deployment", f"irsa-{component}")["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("component", COMPONENTS)
def test_pod_is_restricted(component: str) -> None:
    pod = pod_of(component)
    [container] = pod["containers"]

    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("component", COMPONENTS)
def test_pods_spread_and_still_fit_on_one_node(component: str) -> None:
    spread = pod_of(component)["topologySpreadConstraints"]

    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert {one["whenUnsatisfiable"] for one in spread} == {"ScheduleAnyway"}
    assert {one["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] for one in spread} == {component}


@pytest.mark.parametrize("component", COMPONENTS)
def test_probes_and_metrics_have_a_plain_port_of_their_own(component: str) -> None:
    [container] = pod_of(component)["containers"]

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["http"] == 8080
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {(probe["port"], probe.get("scheme", "HTTP")) for probe in probes.values()} == {("http", "HTTP")}
    assert probes["readinessProbe"]["path"] == "/readyz"


def test_webhook_mounts_its_serving_certificate_and_no_other_secret() -> None:
    volumes = {volume["name"]: volume for volume in pod_of("webhook")["volumes"]}

    assert volumes.keys() == {"settings", "tls"}
    assert volumes["tls"]["secret"]["secretName"] == "irsa-webhook-tls"
    assert [item["key"] for item in volumes["tls"]["secret"]["items"]] == ["tls.crt", "tls.key"]


def test_controller_mounts_no_secret() -> None:
    assert [volume for volume in pod_of("controller")["volumes"] if "secret" in volume] == []


def test_drain_waits_for_a_second_pod_and_never_for_ever() -> None:
    budget = named(base(), "PodDisruptionBudget", "irsa-webhook")["spec"]
    deployment = named(base(), "Deployment", "irsa-webhook")["spec"]

    assert deployment["replicas"] == 2
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]


def test_service_selects_the_webhook_by_the_names_of_its_ports() -> None:
    service = named(base(), "Service", "irsa-webhook")["spec"]
    deployment = named(base(), "Deployment", "irsa-webhook")["spec"]

    assert service["selector"] == deployment["selector"]["matchLabels"]
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(443, "https"), (8080, "http")]

"""The chart renders with what its values allow, and refuses the rest with a message."""

from collections.abc import Mapping
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.manifests.chart import CHART, VERSION, Manifest, helm, kinds, named, render

DIGEST = "sha256:" + "0" * 64
GIVEN = {"mode": "given", "given": {"secretName": "mine", "caBundle": "QUJD"}}
MORE_FILES: Mapping[str, Any] = {
    "extraVolumes": [
        {"name": "identities", "configMap": {"name": "identities"}},
        {"name": "client-ca", "configMap": {"name": "client-ca"}},
    ],
    "extraVolumeMounts": [
        {"name": "identities", "mountPath": "/identities", "readOnly": True},
        {"name": "client-ca", "mountPath": "/client-ca", "readOnly": True},
    ],
}

COMBINATIONS = [
    pytest.param({}, id="defaults"),
    pytest.param({"image": {"registry": "registry.test:5000", "repository": "a/irsa", "digest": DIGEST}}, id="digest"),
    pytest.param({"imagePullSecrets": [{"name": "pull"}], "priorityClassName": ""}, id="pull secrets, no priority"),
    pytest.param({"hostNetwork": True, "port": 9443, "metricsPort": 9080}, id="host network"),
    pytest.param({"controller": {"replicas": 2}, "webhook": {"replicas": 1}}, id="replicas"),
    pytest.param({"controller": {"enabled": False}, "certificates": {"mode": "cert-manager"}}, id="cert-manager"),
    pytest.param(
        {
            "certificates": {
                "mode": "cert-manager",
                "certManager": {"issuerRef": {"kind": "ClusterIssuer", "name": "x"}},
            }
        },
        id="an issuer of cert-manager",
    ),
    pytest.param({"certificates": GIVEN}, id="a given certificate"),
    pytest.param({"networkPolicy": {"enabled": True}}, id="network policies"),
    pytest.param(
        {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        },
        id="monitoring",
    ),
    pytest.param(
        {
            "settings": {"aws-default-region": "eu-central-1", "env": ["AWS_CA_BUNDLE=/ca.pem"]},
            "mappings": {"name": ""},
            "containerCredentials": {"namespace": "other", "name": "identities"},
        },
        id="settings and ConfigMaps",
    ),
    pytest.param(
        {
            "commonLabels": {"team": "platform"},
            "podLabels": {"a": "b"},
            "podAnnotations": {"c": "d"},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "webhook": {"extraEnv": [{"name": "A", "value": "b"}], "excludedNamespaces": ["ci"], "warnings": False},
            "controller": {"extraEnv": [{"name": "A", "value": "b"}], "resources": {}},
        },
        id="everything about pods",
    ),
    pytest.param(
        {
            "containerCredentials": {"file": "/identities/identities.json"},
            "webhook": {"settings": {"client-ca": "/client-ca/ca.crt", "drain-seconds": 60}, **MORE_FILES},
            "controller": MORE_FILES,
        },
        id="further files",
    ),
]


@pytest.mark.parametrize("values", COMBINATIONS)
def test_every_object_has_a_name_its_labels_and_no_empty_field(values: Mapping[str, Any]) -> None:
    manifests = render(values)

    assert len(kinds(manifests)) == len(manifests)
    for one in manifests:
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "irsa"
        assert labels.items() >= values.get("commonLabels", {}).items()
        assert nulls(one) == []


@pytest.mark.parametrize("values", COMBINATIONS)
def test_lint_finds_nothing(values: Mapping[str, Any]) -> None:
    done = helm("lint", str(CHART), "--strict", "--kube-version", "1.30.0", values=values)

    assert done.returncode == 0, done.stdout


def nulls(value: Any, path: str = "") -> list[str]:
    """Return where a null is: a template that printed nothing."""
    if isinstance(value, dict):
        return [found for key, child in value.items() for found in nulls(child, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for index, child in enumerate(value) for found in nulls(child, f"{path}[{index}]")]
    return [path] if value is None else []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"replicas": 3}, "additional properties 'replicas' not allowed", id="a value that is none"),
        pytest.param({"webhook": {"replica": 3}}, "additional properties 'replica' not allowed", id="a slip below"),
        pytest.param({"image": {"digest": "latest"}}, "does not match pattern", id="a digest that is none"),
        pytest.param({"settings": {"port": 9443}}, "invalid propertyName 'port'", id="what another value says"),
        pytest.param({"settings": {"region": {"a": "b"}}}, "/settings/region", id="a setting that is a mapping"),
        pytest.param({"certificates": {"mode": "csr"}}, "/certificates/mode", id="certificates from nowhere"),
        pytest.param(
            {"certificates": {"mode": "given"}},
            "certificates.given: expected secretName and caBundle with certificates.mode given, got less",
            id="a given certificate that is not given",
        ),
        pytest.param(
            {"containerCredentials": {"name": "identities", "file": "/identities.json"}},
            "containerCredentials: expected name or file, got both",
            id="container credentials from two places",
        ),
        pytest.param({"containerCredentials": {"file": "a.json"}}, "/containerCredentials/file", id="a relative path"),
        pytest.param(
            {"controller": {"enabled": False}},
            "certificates.mode: expected cert-manager or given where controller.enabled is false, got controller",
            id="nobody to make certificates",
        ),
    ],
)
def test_values_that_mean_nothing_are_refused(values: Mapping[str, Any], message: str) -> None:
    done = helm("template", "irsa", str(CHART), "--kube-version", "1.30.0", values=values)

    assert done.returncode != 0
    assert message in done.stderr


def test_cluster_that_is_too_old_is_refused() -> None:
    done = helm("template", "irsa", str(CHART), "--kube-version", "1.29.9")

    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes v1.29.9" in done.stderr


def test_chart_and_image_carry_the_version_of_the_project() -> None:
    chart = YAML(typ="safe").load(CHART.joinpath("Chart.yaml"))

    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param({}, f"irsa:{VERSION}", id="defaults"),
        pytest.param({"registry": "r.test:5000", "tag": "t"}, "r.test:5000/irsa:t", id="registry and tag"),
        pytest.param({"tag": "t", "digest": DIGEST}, f"irsa@{DIGEST}", id="a digest wins"),
    ],
)
def test_image_is_named_as_values_say(image: Mapping[str, str], expected: str) -> None:
    deployment = named(render({"image": image}), "Deployment", "irsa-webhook")

    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == expected


@pytest.mark.parametrize("values", COMBINATIONS)
def test_nothing_outlives_an_uninstall(values: Mapping[str, Any]) -> None:
    kept = [one for one in render(values) if "helm.sh/resource-policy" in one["metadata"].get("annotations", {})]

    assert kept == []


def test_cert_manager_makes_the_certificate_and_trusts_its_ca() -> None:
    manifests = render({"certificates": {"mode": "cert-manager"}, "controller": {"enabled": False}})

    made = {one for one in kinds(manifests) if one.startswith(("Certificate/", "Issuer/", "Secret/"))}
    assert made == {
        "Issuer/irsa-self-signed",
        "Certificate/irsa-webhook-ca",
        "Issuer/irsa-webhook-ca",
        "Certificate/irsa-webhook",
    }
    hooks = named(manifests, "MutatingWebhookConfiguration", "irsa-webhook")
    assert hooks["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": "irsa-system/irsa-webhook"}


def bundles(manifests: list[Manifest]) -> set[str | None]:
    hooks = named(manifests, "MutatingWebhookConfiguration", "irsa-webhook")["webhooks"]
    return {hook["clientConfig"].get("caBundle") for hook in hooks}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"certificates": GIVEN}, None, id="the controller writes it"),
        pytest.param({"certificates": GIVEN, "controller": {"enabled": False}}, "QUJD", id="there is no controller"),
        pytest.param({"certificates": {**GIVEN, "mode": "controller"}}, None, id="beside the controller's own"),
    ],
)
def test_helm_writes_ca_bundle_only_where_nobody_else_does(values: Mapping[str, Any], expected: str | None) -> None:
    """What helm wrote once it takes away when it shall write it no more, and then no review is believed."""
    assert bundles(render(values)) == {expected}


@pytest.mark.parametrize(
    ("certificates", "trusted"),
    [
        pytest.param(GIVEN, "QUJD", id="given"),
        pytest.param({**GIVEN, "mode": "controller"}, "QUJD", id="beside the controller's own"),
        pytest.param({**GIVEN, "mode": "cert-manager"}, None, id="cert-manager"),
        pytest.param({}, None, id="defaults"),
    ],
)
def test_controller_trusts_the_ca_that_is_given_and_may_write_it(
    certificates: Mapping[str, Any], trusted: str | None
) -> None:
    manifests = render({"certificates": certificates})

    config = YAML(typ="safe").load(named(manifests, "ConfigMap", "irsa-settings")["data"]["settings.yaml"])
    assert config["controller"].get("trusted-ca") == trusted
    may_write = certificates.get("mode") != "cert-manager"
    rules = named(manifests, "ClusterRole", "irsa-controller")["rules"]
    assert any("mutatingwebhookconfigurations" in rule["resources"] for rule in rules) is may_write
    assert ("ValidatingAdmissionPolicy/irsa-controller" in kinds(manifests)) is may_write


def test_given_certificate_is_mounted() -> None:
    manifests = render({"certificates": GIVEN})

    pod = named(manifests, "Deployment", "irsa-webhook")["spec"]["template"]["spec"]
    [tls] = [volume for volume in pod["volumes"] if volume["name"] == "tls"]
    assert tls["secret"]["secretName"] == "mine"
    assert "Secret" not in {one["kind"] for one in manifests}


def test_control_plane_that_cannot_reach_pods_reaches_the_node() -> None:
    manifests = render({"hostNetwork": True, "port": 9443})

    deployment = named(manifests, "Deployment", "irsa-webhook")["spec"]
    pod = deployment["template"]["spec"]
    assert (pod["hostNetwork"], pod["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    assert pod["containers"][0]["ports"][0] == {"name": "https", "containerPort": 9443}
    # Two pods of one node would want one port.
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert "hostNetwork" not in named(manifests, "Deployment", "irsa-controller")["spec"]["template"]["spec"]


def test_settings_find_the_files_that_further_volumes_bring() -> None:
    manifests = render(
        {
            "containerCredentials": {"file": "/identities/identities.json"},
            "webhook": {"settings": {"client-ca": "/client-ca/ca.crt"}, **MORE_FILES},
            "controller": MORE_FILES,
        }
    )

    for component, own in {"webhook": ["settings", "tls"], "controller": ["settings"]}.items():
        pod = named(manifests, "Deployment", f"irsa-{component}")["spec"]["template"]["spec"]
        assert [volume["name"] for volume in pod["volumes"]] == [*own, "identities", "client-ca"]
        [container] = pod["containers"]
        assert container["volumeMounts"][len(own) :] == MORE_FILES["extraVolumeMounts"]
    config = YAML(typ="safe").load(named(manifests, "ConfigMap", "irsa-settings")["data"]["settings.yaml"])
    assert config["webhook"]["client-ca"] == "/client-ca/ca.crt"
    assert {settings["container-credentials"] for settings in config.values()} == {"/identities/identities.json"}
    assert [one for one in kinds(manifests) if one.endswith("-container-credentials")] == []


@pytest.mark.parametrize(("drain_seconds", "expected"), [(None, 30), (0, 25), (300, 325)])
def test_webhook_is_given_the_time_to_drain(drain_seconds: int | None, expected: int) -> None:
    settings = {} if drain_seconds is None else {"drain-seconds": drain_seconds}

    deployment = named(render({"webhook": {"settings": settings}}), "Deployment", "irsa-webhook")

    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == expected


@pytest.mark.parametrize(
    ("values", "may_ask"),
    [
        pytest.param({}, set(), id="not asked for"),
        pytest.param({"settings": {"aws-account": "111122223333"}}, set(), id="an account of twelve digits"),
        pytest.param({"settings": {"aws-account": "imds"}}, {"irsa-webhook", "irsa-controller"}, id="both"),
        pytest.param({"webhook": {"settings": {"aws-account": "imds"}}}, {"irsa-webhook"}, id="the webhook alone"),
        pytest.param(
            {"settings": {"aws-account": "imds"}, "controller": {"settings": {"aws-account": "111122223333"}}},
            {"irsa-webhook"},
            id="the controller not",
        ),
    ],
)
def test_who_asks_ec2_for_the_account_may_reach_it(values: Mapping[str, Any], may_ask: set[str]) -> None:
    manifests = render({"networkPolicy": {"enabled": True}, **values})

    rule = {"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}], "ports": [{"port": 80, "protocol": "TCP"}]}
    policies = [one for one in manifests if one["kind"] == "NetworkPolicy"]
    assert {one["metadata"]["name"] for one in policies if rule in one["spec"]["egress"]} == may_ask

"""values.yaml, its schema, the README and the programs know the same values."""

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.settings import ControllerSettings, WebhookSettings
from tests.manifests.chart import CHART, base, named, render
from tests.manifests.tables import rights_table, values, values_table

TEXT = CHART.joinpath("values.yaml").read_text()
SCHEMA = json.loads(CHART.joinpath("values.schema.json").read_text())
README = CHART.joinpath("README.md").read_text()


def resolved(schema: Any) -> Any:
    """Return the definition that *schema* names, or itself."""
    return SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def paths_of_schema(schema: Any) -> set[str]:
    """Return every property that the schema names, with the properties below it."""
    found = set()
    for name, child in resolved(schema).get("properties", {}).items():
        found.add(name)
        found |= {f"{name}.{path}" for path in paths_of_schema(child)}
    return found


def paths_of_values(content: Any, schema: Any) -> set[str]:
    """Return every key in *content* that the schema could name: what is the user's own below is one value."""
    found = set()
    for name, child in content.items():
        found.add(name)
        below = resolved(resolved(schema)["properties"].get(name, {}))
        if isinstance(child, dict) and "properties" in below:
            found |= {f"{name}.{path}" for path in paths_of_values(child, below)}
    return found


def test_schema_and_values_name_the_same() -> None:
    content = YAML(typ="safe").load(TEXT)
    # What a user may say of an issuer has no default; `global` is what Helm hands to every chart.
    without_default = {f"certificates.certManager.issuerRef.{name}" for name in ("name", "kind", "group")} | {"global"}

    assert paths_of_schema(SCHEMA) == paths_of_values(content, SCHEMA) | without_default


def test_every_value_has_a_comment() -> None:
    commented = {".".join(value.path) for value in values(TEXT)}
    content = YAML(typ="safe").load(TEXT)
    paths = paths_of_values(content, SCHEMA)
    sections = {path for path in paths if any(other.startswith(f"{path}.") for other in paths)}
    # A list or mapping that a user sets as a whole is one value.
    below = {path for path in paths if any(path.startswith(f"{one}.") for one in commented)}

    assert paths - sections - below == commented
    assert [value.path for value in values(TEXT) if not value.comment.rstrip(".").strip()] == []


def test_readme_has_the_values() -> None:
    assert values_table(TEXT) in README


def test_readme_has_the_rights() -> None:
    assert rights_table(base()) in README


def test_settings_that_other_values_say_are_settings() -> None:
    refused = SCHEMA["definitions"]["settings"]["propertyNames"]["not"]["enum"]

    known = WebhookSettings.model_fields.keys() | ControllerSettings.model_fields.keys()
    assert {name.replace("-", "_") for name in refused} <= known


def settings_of(command: str, given: Any = None) -> Any:
    config = named(base() if given is None else render(given), "ConfigMap", "irsa-settings")
    return YAML(typ="safe").load(config["data"]["settings.yaml"])[command]


def fields(settings: Any) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in settings.items()}


def test_programs_take_the_settings_of_the_chart() -> None:
    webhook = WebhookSettings.model_validate(fields(settings_of("webhook")))
    controller = ControllerSettings.model_validate(fields(settings_of("controller")))

    assert (webhook.port, webhook.metrics_port, controller.metrics_port) == (8443, 8080, 8080)
    assert webhook.mappings == controller.mappings == "irsa-system/irsa-mappings"


def test_names_that_the_controller_looks_for_are_those_of_the_chart() -> None:
    settings = ControllerSettings()
    manifests = base()

    named(manifests, "Lease", settings.lease)
    named(manifests, "Secret", settings.ca_secret)
    named(manifests, "Secret", settings.tls_secret)
    named(manifests, "MutatingWebhookConfiguration", settings.webhook_configuration)
    named(manifests, "Service", settings.webhook_service)


@pytest.mark.parametrize(
    ("certificates", "makes_them"),
    [
        pytest.param({}, True, id="controller"),
        pytest.param({"mode": "cert-manager"}, False, id="cert-manager"),
        pytest.param({"mode": "given", "given": {"secretName": "a", "caBundle": "QUJD"}}, False, id="given"),
    ],
)
def test_controller_makes_certificates_where_nobody_else_does(certificates: Any, makes_them: bool) -> None:
    settings = fields(settings_of("controller", {"certificates": certificates}))

    assert ControllerSettings.model_validate(settings).certificates is makes_them


@pytest.mark.parametrize("command", ["webhook", "controller"])
def test_more_special_setting_wins_and_false_counts(command: str) -> None:
    given = {
        "settings": {"sts-regional-endpoint": True, "aws-default-region": "eu-central-1"},
        command: {"settings": {"sts-regional-endpoint": False}},
    }

    settings = settings_of(command, given)

    assert (settings["sts-regional-endpoint"], settings["aws-default-region"]) == (False, "eu-central-1")


def test_new_settings_are_new_pods() -> None:
    def checksum(given: Any) -> str:
        pod = named(render(given), "Deployment", "irsa-webhook")["spec"]["template"]
        return str(pod["metadata"]["annotations"]["checksum/settings"])

    assert checksum({}) != checksum({"settings": {"aws-default-region": "eu-central-1"}})

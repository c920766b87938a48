import asyncio
from typing import Any

import pytest

from app.cli.installed import as_installed
from app.cli.reading import ReadingSettings
from tests.app.cluster.fake_cluster import FakeCluster, refused
from tests.manifests.chart import base, named

PLACE = "/api/v1/namespaces/irsa-system/configmaps/irsa-settings"
INSTALLED = """
webhook:
  annotation-prefix: roles.example
  token-audience: example
  env: AWS_STS_X=y
  aws-account: 111122223333
  kubeconfig: /in/the/pod
  log-level: debug
  of-a-newer-version: 1
controller: {}
"""


def cluster(text: str, place: str = PLACE) -> FakeCluster:
    found = FakeCluster()
    found.put(place, {"data": {"settings.yaml": text}})
    return found


def completed(api: FakeCluster, settings: ReadingSettings | None = None, **keywords: Any) -> ReadingSettings:
    return asyncio.run(as_installed(api, settings or ReadingSettings(), **keywords))


def test_settings_that_nobody_gave_are_those_of_the_installed_webhook(capsys: pytest.CaptureFixture[str]) -> None:
    found = completed(cluster(INSTALLED), ReadingSettings(token_audience="mine"))

    assert found == ReadingSettings(
        annotation_prefix="roles.example",
        token_audience="mine",
        env=("AWS_STS_X=y",),
        aws_account="111122223333",
        mappings=None,
    )
    assert capsys.readouterr().err == ""


def test_mappings_are_where_the_installed_webhook_has_them() -> None:
    text = "webhook: {mappings: eks/pod-identity-webhook}"

    assert completed(cluster(text)).mappings == "eks/pod-identity-webhook"
    assert completed(cluster(text), ReadingSettings(mappings="a/b")).mappings == "a/b"


def test_chart_by_itself_has_the_settings_that_commands_have_by_themselves() -> None:
    text = named(base(), "ConfigMap", "irsa-settings")["data"]["settings.yaml"]

    assert completed(cluster(text)) == ReadingSettings()


@pytest.mark.parametrize("text", ["", "controller: {}", "[]", "webhook: 1"])
def test_without_settings_of_a_webhook_those_of_the_command_stand(text: str) -> None:
    settings = ReadingSettings()

    assert completed(FakeCluster(), settings) is settings
    assert completed(cluster(text), settings) is settings


def test_settings_are_in_the_namespace_of_the_installation_unless_somebody_says_another_place() -> None:
    elsewhere = cluster(INSTALLED, "/api/v1/namespaces/roles/configmaps/irsa-settings")
    said = ReadingSettings(settings="irsa-system/irsa-settings")

    assert completed(elsewhere, namespace="roles").annotation_prefix == "roles.example"
    assert completed(elsewhere, said, namespace="roles") == said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "webhook: {aws-account: imds}",
            "the webhook asks EC2 for the account of its roles: give it as --aws-account",
            id="imds",
        ),
        pytest.param(
            "webhook: {container-credentials: /etc/identities.json}",
            "/etc/identities.json is in the webhook's pods: give a copy as --container-credentials",
            id="file",
        ),
        pytest.param(
            "webhook: {token-expiration: 5}",
            'it counts as empty: --token-expiration: input should be greater than or equal to 600, got "5"',
            id="no-setting",
        ),
        pytest.param("webhook: [", None, id="no-yaml"),
    ],
)
def test_what_cannot_be_used_is_told_and_counts_as_not_given(
    text: str, problem: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = completed(cluster(text), ReadingSettings(mappings="a/b"))

    assert found == ReadingSettings(mappings="a/b")
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("irsa: irsa-system/irsa-settings: ")
    assert problem is None or told == f"irsa: irsa-system/irsa-settings: {problem}\n"


def test_settings_that_we_must_not_read_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    api = cluster(INSTALLED)
    api.failures["get", PLACE] = refused("get", PLACE, 403, "Forbidden")

    assert completed(api) == ReadingSettings()
    assert capsys.readouterr().err.startswith("irsa: irsa-system/irsa-settings counts as empty: ")

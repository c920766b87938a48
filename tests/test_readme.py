"""The README says what the code does: its tables are made from the code, and its commands are run or looked up."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.registry import Collector
from ruamel.yaml import YAML

from app.access.drift import Kind
from app.access.rows import How
from app.cli import command_line
from app.cli.commands import COMMANDS
from app.controller.cluster_metrics import ClusterMetrics
from app.controller.drift import DriftCount
from app.controller.events import ADMITTED_UNPATCHED, INVALID_MAPPINGS, REASONS
from app.controller.following import Following
from app.controller.metrics import ControllerMetrics
from app.controller.telling import Telling
from app.listener import metrics_port
from app.main import operations
from app.metrics import CertificateMetrics, PortMetrics, new_registry
from app.serving_certificate import ServingCertificate
from app.settings import AssignmentSettings, ControllerSettings, InjectionSettings, WebhookSettings
from app.tls import ServerTls
from app.webhook.annotations import ANNOTATIONS, Vocabulary
from app.webhook.assigned import Assigned
from app.webhook.assigned_metrics import AssignedMetrics
from app.webhook.decision import ADMITTED, Policy, Reason
from app.webhook.metrics import WebhookMetrics
from tests.app.cluster.fake_cluster import FakeCluster
from tests.manifests.chart import BASE, CHART, KUBE_VERSION, ROOT, base, documents, helm
from tests.manifests.tables import rights_table, values

README = ROOT.joinpath("README.md").read_text()

FLAGS_OF_THE_AWS_WEBHOOK = [
    *("--port", "--metrics-port", "--kubeconfig", "--kube-api", "--in-cluster", "--tls-cert", "--tls-key"),
    *("--service-name", "--namespace", "--tls-secret", "--tls-min-version", "--tls-cipher-suites"),
    *("--annotation-prefix", "--token-audience", "--token-expiration", "--token-mount-path"),
    *("--aws-default-region", "--sts-regional-endpoint", "--watch-config-map", "--compose-role-arn"),
    *("--watch-container-credentials-config", "--container-credentials-audience"),
    *("--container-credentials-token-mount-path", "--container-credentials-token-volume-name"),
    *("--container-credentials-token-path", "--container-credentials-full-uri"),
    *("--service-account-lookup-grace-period", "--resync-period", "--enable-debugging-handlers", "--version", "-v"),
]
"""Read in its main.go."""


def settings_table(model: type[InjectionSettings], *, beyond: Collection[str] = ()) -> str:
    """The settings of *model* without those *beyond* which it goes."""
    rows = ["| flag | default | what it does |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in beyond:
            continue
        default = str(field.default)
        if field.default is None or field.default == ():
            default = ""
        elif isinstance(field.default, bool):
            default = f"on; off with --no-{name.replace('_', '-')}" if field.default else "off"
        text = " ".join((field.description or "").split()).replace("|", "\\|")
        rows.append(f"| `--{name.replace('_', '-')}` | {f'`{default}`' if default else ''} | {text} |")
    return "\n".join(rows)


def annotations_table() -> str:
    rows = ["| annotation | on | what it says | default |", "|---|---|---|---|"]
    for annotation in ANNOTATIONS:
        key = Vocabulary(annotation.prefix or Vocabulary().prefix).key(annotation.name)
        rows.append(f"| `{key}` | {', '.join(annotation.on)} | {annotation.meaning} | {annotation.default} |")
    return "\n".join(rows)


def collectors() -> Iterator[Collector]:
    """Yield everything that counts, each after something happened to it, so that every label is there."""
    reviews = WebhookMetrics(snapshot_age=lambda: 0.0, lookups=lambda: {"found": 1})
    reviews.refused(400)
    assigned = Assigned()
    assigned.problems = {"mappings": ("an entry",)}
    yield from (reviews, AssignedMetrics(assigned))
    yield PortMetrics([metrics_port(operations(new_registry(), ready={}), number=0)])
    certificate = ServingCertificate(ServerTls(certificate=Path("tls.crt"), key=Path("tls.key")))
    certificate.not_after = 0.0
    yield CertificateMetrics(certificate)
    controller = ControllerMetrics()
    controller.expiry = {"ca": datetime.now(UTC)}
    yield controller
    cluster = FakeCluster()
    following = Following(cluster, policy=Policy())
    drift = DriftCount(following)
    drift.drifted = {Kind.ROLE: 1}
    yield ClusterMetrics(Telling(cluster, following, instance="one", metrics=controller), drift)


def metrics_table() -> str:
    rows = ["| metric | labels | what it says |", "|---|---|---|"]
    for metric in (metric for collector in collectors() for metric in collector.collect()):
        labels = ", ".join(f"`{name}`" for name in metric.samples[0].labels if name != "le")
        rows.append(f"| `{exposed_name(metric)}` | {labels} | {metric.documentation} |")
    return "\n".join(rows)


def exposed_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def rows_of(header: str) -> list[list[str]]:
    """Return the cells of the table with that *header*."""
    table = README.split(f"{header}\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()[1:]]


def blocks(language: str) -> Iterator[str]:
    for indent, text in re.findall(rf"^( *)```{language}\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE):
        yield "\n".join(line.removeprefix(indent) for line in text.splitlines())


def typed() -> Iterator[list[str]]:
    """Yield the words of each command that the README has somebody type, without comments."""
    for block in blocks("console"):
        joined = block.replace("\\\n", " ")
        for line in (line[2:] for line in joined.splitlines() if line.startswith("$ ")):
            words = iter([*shlex.split(line.replace("…", ""), comments=True), "|"])
            command: list[str] = []
            for word in words:
                if word in {"|", "&&"}:
                    yield command
                    command = []
                else:
                    command.append(word)


def test_annotation_reference_is_that_of_the_code() -> None:
    assert f"## Annotations\n\n{annotations_table()}\n" in README


def test_defaults_of_annotations_are_settings_that_there_are() -> None:
    named = {flag for annotation in ANNOTATIONS for flag in re.findall(r"--[a-z-]+", str(annotation))}

    assert named
    assert {flag.removeprefix("--").replace("-", "_") for flag in named} <= InjectionSettings.model_fields.keys()


def test_settings_table_is_that_of_the_code() -> None:
    assert settings_table(WebhookSettings) in README


def test_settings_of_the_controller_are_those_it_shares_and_a_table() -> None:
    shared = AssignmentSettings.model_fields

    assert f"to `--{list(shared)[-1].replace('_', '-')}`" in README
    assert settings_table(ControllerSettings, beyond=shared) in README


def test_metrics_are_those_of_the_code() -> None:
    assert metrics_table() in README


def test_rights_are_those_of_the_chart() -> None:
    assert rights_table(base()) in README


def test_every_reason_has_what_it_means_what_to_do_whether_it_refuses_and_its_event() -> None:
    rows = rows_of("| reason | what it means | what to do | refused | Event |")

    assert [(reason, refused, event) for reason, _, _, refused, event in rows] == [
        (f"`{reason}`", "no" if reason in ADMITTED else "yes", f"`{REASONS[reason]}`" if reason in REASONS else "")
        for reason in Reason
    ]
    assert [row for row in rows if not all(row[1:3])] == []


def test_events_without_a_reason_of_their_own_are_explained() -> None:
    assert all(f"`{event}`" in README for event in (ADMITTED_UNPATCHED, INVALID_MAPPINGS))


def test_ways_to_a_role_and_kinds_of_drift_are_explained() -> None:
    ways = ", ".join(cells[0] for cells in rows_of("| how | where the role stands |")).split(", ")

    assert sorted(ways) == sorted(How)
    assert [kind for kind in Kind if f"`{kind}`" not in README] == []


def test_every_flag_of_the_aws_webhook_has_its_place_here() -> None:
    rows = rows_of("| flag of the AWS webhook | here |")

    found = [flag for flags, _ in rows for flag in re.findall(r"--?[a-z-]+(?=[` ])", flags)]
    assert sorted(found) == sorted(FLAGS_OF_THE_AWS_WEBHOOK)


def test_what_is_named_in_place_of_a_flag_of_the_aws_webhook_exists() -> None:
    rows = rows_of("| flag of the AWS webhook | here |")
    ours = [flags if here == "the same" else here for flags, here in rows if not here.startswith("`irsa")]
    flags = {flag.removeprefix("no-") for text in ours for flag in re.findall(r"--([a-z-]+)", text)}
    in_the_chart = set(re.findall(r"`([a-zA-Z.]+)[:`]", " ".join(ours)))
    of_the_chart = {".".join(value.path) for value in values(CHART.joinpath("values.yaml").read_text())}

    assert flags
    assert {flag.replace("-", "_") for flag in flags} - WebhookSettings.model_fields.keys() == set()
    assert in_the_chart - of_the_chart == set()


@pytest.mark.parametrize("words", [words for words in typed() if words[0] == "irsa"], ids=" ".join)
def test_commands_that_are_shown_exist_with_their_flags(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    [command] = [name for name in COMMANDS if words[1 : 1 + len(name.split())] == name.split()]

    assert command_line.run([*command.split(), "--help"]) == 0

    known = capsys.readouterr().out
    assert [flag for flag in words if flag.startswith("-") and flag != "-" and f"{flag} " not in known] == []


def test_commands_that_are_named_exist() -> None:
    named = re.findall(r"`irsa ((?:[a-z]+ ?)+)", README.replace("\n", " "))

    assert named
    assert [
        words for words in named if not any(f"{words} ".startswith(f"{name} ") for name in (*COMMANDS, "issuer"))
    ] == []


@pytest.mark.parametrize("words", [words for words in typed() if words[:2] == ["helm", "install"]], ids=" ".join)
def test_helm_takes_the_values_that_are_shown(words: list[str]) -> None:
    given = [word for word in words[2:] if word not in {"--wait", "--create-namespace"}]
    given = [str(CHART) if word == "manifests/chart" else word for word in given]

    done = helm("template", *given, "--kube-version", KUBE_VERSION)

    assert (done.returncode, done.stderr) == (0, "")


def test_overlay_that_is_shown_names_the_image(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH")
    [overlay] = [block for block in blocks("yaml") if block.startswith("# kustomization.yaml")]
    tmp_path.joinpath("kustomization.yaml").write_text(
        overlay.replace("manifests/base", os.path.relpath(BASE, tmp_path.resolve()))
    )

    done = subprocess.run(  # noqa: S603 - the arguments are the test's own
        ["kubectl", "kustomize", str(tmp_path)],  # noqa: S607 - from PATH, as the design says
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    deployments = [one for one in documents(done.stdout) if one["kind"] == "Deployment"]
    images = {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in deployments}
    assert images == {"registry.example/irsa:0.1.0"}


def test_yaml_that_is_shown_is_yaml() -> None:
    found = [document for block in blocks("yaml") for document in YAML(typ="safe").load_all(block)]

    assert found
    assert all(isinstance(document, dict) for document in found)


def test_links_within_have_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}

    links = set(re.findall(r"\]\(#([^)]+)\)", README))

    assert links
    assert links - anchors == set()


def test_files_that_are_named_are_there() -> None:
    named = set(re.findall(r"\b((?:manifests|scripts|app|\.locks)/[\w./-]*\w)", README))

    assert named
    assert [path for path in sorted(named) if not ROOT.joinpath(path).exists()] == []


def test_every_script_is_explained() -> None:
    scripts = {f"scripts/{path.name}" for path in ROOT.joinpath("scripts").iterdir() if path.is_file()}

    assert {cells[0].strip("`") for cells in rows_of("| command | what it does |")} == scripts


def test_every_variable_that_the_tests_want_is_named() -> None:
    sources = (path.read_text() for path in ROOT.joinpath("tests").rglob("*.py"))
    variables = {name for source in sources for name in re.findall(r"IRSA_TEST_[A-Z]+(?:_[A-Z]+)*", source)}

    assert variables
    assert [name for name in sorted(variables) if f"`{name}`" not in README] == []

"""Panels and alerts ask for metrics that there are. Whether Prometheus has data is tested where one scrapes us."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.webhook.decision import Reason
from tests.manifests.chart import CHART, ROOT, named, render

DASHBOARDS = sorted(ROOT.joinpath("manifests/dashboards").glob("*.json"))
ALERTS = CHART / "alerts.yaml"
SUFFIXES = re.compile(r"_(total|bucket|sum|count)$")


def metrics_of_the_code() -> set[str]:
    """Return the names in the code, which are without the endings that the exposition adds."""
    sources = (file.read_text() for file in ROOT.joinpath("app").rglob("*.py"))
    return {name for source in sources for name in re.findall(r'"(irsa_[a-z_]+)"', source)}


def metrics_in(expression: str) -> set[str]:
    return {SUFFIXES.sub("", name) for name in re.findall(r"\birsa_[a-z_]+", expression)}


def panels(dashboard: Any) -> Iterator[Any]:
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def rules() -> list[Any]:
    [group] = YAML(typ="safe").load(ALERTS)["groups"]
    found: list[Any] = group["rules"]
    return found


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_every_panel_says_what_it_shows_and_asks_for_metrics_of_ours(file: Any) -> None:
    dashboard = json.loads(file.read_text())
    known = metrics_of_the_code()

    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"].endswith(".")
        for target in panel["targets"]:
            asked = metrics_in(target["expr"])
            assert asked, panel["title"]
            assert asked <= known, panel["title"]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_panels_have_their_own_id_and_place(file: Any) -> None:
    dashboard = json.loads(file.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]

    assert len(set(ids)) == len(ids)
    for one, other in combinations(dashboard["panels"], 2):
        a, b = one["gridPos"], other["gridPos"]
        is_beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        is_above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert is_beside or is_above, (one["title"], other["title"])
        assert a["x"] + a["w"] <= 24


def test_every_alert_says_what_is_wrong_and_asks_for_metrics_of_ours() -> None:
    for rule in rules():
        assert metrics_in(rule["expr"]) <= metrics_of_the_code(), rule["alert"]
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"].endswith(".")


def test_reasons_that_are_asked_for_are_reasons() -> None:
    expressions = [rule["expr"] for rule in rules()]
    for file in DASHBOARDS:
        targets = [target for panel in panels(json.loads(file.read_text())) for target in panel["targets"]]
        expressions += [target["expr"] for target in targets]
    asked = [
        name for text in expressions for found in re.findall(r'reason=~?"([^"]+)"', text) for name in found.split("|")
    ]

    assert asked
    assert set(asked) <= {reason.value for reason in Reason}


def test_prometheus_takes_the_alerts() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool on PATH")
    command = ["promtool", "check", "rules", str(ALERTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own words

    assert done.returncode == 0, done.stderr


def test_operator_gets_the_alerts_of_the_file() -> None:
    rule = named(render({"prometheusRule": {"enabled": True}}), "PrometheusRule", "irsa")

    assert rule["spec"] == YAML(typ="safe").load(ALERTS)

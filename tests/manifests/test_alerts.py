"""Alerts judged by Prometheus itself: each fires on what it is about, and none where all is well."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from tests.manifests.chart import CHART

ALERTS: Final = CHART / "alerts.yaml"
RULES: Final[Mapping[str, Any]] = {
    rule["alert"]: rule for group in YAML(typ="safe").load(ALERTS)["groups"] for rule in group["rules"]
}

STEP: Final = "4m"
STEPS: Final = 390
"""26 hours: as long as the longest alert waits, and two more."""

HOUR: Final = 15
"""Steps."""

DAY: Final = 86_400


def constant(value: float | str) -> str:
    return f"{value}+0x{STEPS}"


def rising(a_step: float) -> str:
    return f"0+{a_step}x{STEPS}"


def until(step: int, value: float) -> str:
    """Return a series that is there until *step* and then no more."""
    return f"{value}+0x{step} _x{STEPS - step}"


HEALTHY: Final[Mapping[str, str]] = {
    'irsa_webhook_service_accounts_age_seconds{pod="a"}': constant(12),
    'irsa_webhook_service_accounts_age_seconds{pod="b"}': constant(59),
    'irsa_webhook_reviews_total{allowed="true",reason="patched"}': rising(60),
    'irsa_webhook_reviews_total{allowed="true",reason="no_role"}': rising(600),
    # What went wrong once goes wrong no more.
    'irsa_webhook_reviews_total{allowed="true",reason="conflict"}': constant(3),
    'irsa_webhook_reviews_total{allowed="true",reason="internal_error"}': constant(1),
    'irsa_webhook_reviews_total{allowed="false",reason="no_role"}': constant(5),
    'irsa_webhook_review_seconds_bucket{le="0.001"}': rising(659),
    'irsa_webhook_review_seconds_bucket{le="0.5"}': rising(660),
    'irsa_webhook_review_seconds_bucket{le="1.0"}': rising(660),
    'irsa_webhook_review_seconds_bucket{le="+Inf"}': rising(660),
    'irsa_webhook_bad_requests_total{status="400"}': rising(1),
    'irsa_webhook_bad_requests_total{status="503"}': constant(1),
    'irsa_webhook_lookups_total{outcome="found"}': rising(9),
    'irsa_webhook_lookups_total{outcome="timed_out"}': constant(2),
    'irsa_webhook_assignment_problems{source="mappings"}': constant(0),
    'irsa_server_connections_dropped_total{port="https"}': constant(7),
    'irsa_server_connections_dropped_total{port="http"}': rising(1),
    "irsa_server_certificate_expiration_timestamp_seconds": constant(90 * DAY),
    "irsa_server_certificate_unusable": constant(0),
    'irsa_controller_leading{pod="a"}': constant(1),
    'irsa_controller_leading{pod="b"}': constant(0),
    'irsa_controller_errors_total{what="events"}': constant(2),
    'irsa_controller_drifted_pods{kind="role"}': constant(0),
}

SICK: Final = [
    pytest.param(
        "IrsaWebhookAbsent",
        {series: "" for series in HEALTHY if series.startswith("irsa_webhook_service_accounts_age")},
        {},
        id="no webhook",
    ),
    pytest.param(
        "IrsaServiceAccountsOutdated",
        {'irsa_webhook_service_accounts_age_seconds{pod="b"}': rising(60)},
        {},
        id="one webhook has heard nothing for long",
    ),
    pytest.param(
        "IrsaServiceAccountsOutdated",
        {'irsa_webhook_service_accounts_age_seconds{pod="b"}': constant("Inf")},
        {},
        id="one webhook has heard nothing ever",
    ),
    pytest.param(
        "IrsaReviewsFail",
        {'irsa_webhook_reviews_total{allowed="true",reason="internal_error"}': rising(1)},
        {},
        id="mistakes of ours",
    ),
    pytest.param(
        "IrsaReviewsSlow",
        {
            'irsa_webhook_review_seconds_bucket{le="0.001"}': rising(600),
            'irsa_webhook_review_seconds_bucket{le="0.5"}': rising(650),
        },
        {},
        id="one review in sixty is slow",
    ),
    pytest.param(
        "IrsaWebhookOverloaded",
        {'irsa_server_connections_dropped_total{port="https"}': rising(1)},
        {},
        id="connections are ended",
    ),
    pytest.param(
        "IrsaWebhookOverloaded",
        {'irsa_webhook_bad_requests_total{status="503"}': rising(1)},
        {},
        id="requests are refused",
    ),
    pytest.param(
        "IrsaLookupsFail",
        {'irsa_webhook_lookups_total{outcome="timed_out"}': rising(1)},
        {"outcome": "timed_out"},
        id="look-ups take too long",
    ),
    pytest.param(
        "IrsaPodsGetNothing",
        {'irsa_webhook_reviews_total{allowed="true",reason="conflict"}': rising(1)},
        {"reason": "conflict"},
        id="conflicts",
    ),
    pytest.param(
        "IrsaPodsRefused",
        {'irsa_webhook_reviews_total{allowed="false",reason="no_role"}': rising(1)},
        {"reason": "no_role"},
        id="refused for want of a role",
    ),
    pytest.param(
        "IrsaAssignmentsUnreadable",
        {'irsa_webhook_assignment_problems{source="mappings"}': constant(2)},
        {"source": "mappings"},
        id="bad mappings",
    ),
    pytest.param(
        "IrsaCertificateEnds",
        {"irsa_server_certificate_expiration_timestamp_seconds": constant(5 * DAY)},
        {},
        id="certificate ends in four days",
    ),
    pytest.param(
        "IrsaCertificateUnusable", {"irsa_server_certificate_unusable": constant(1)}, {}, id="certificate is unusable"
    ),
    pytest.param("IrsaControllerIdle", {'irsa_controller_leading{pod="a"}': constant(0)}, {}, id="no controller leads"),
    pytest.param(
        "IrsaControllerIdle",
        {f'irsa_controller_leading{{pod="{pod}"}}': until(STEPS - HOUR, 1) for pod in "ab"},
        {},
        id="controllers are gone",
    ),
    pytest.param(
        "IrsaControllerFails",
        {'irsa_controller_errors_total{what="events"}': rising(1)},
        {"what": "events"},
        id="controller fails again and again",
    ),
    pytest.param(
        "IrsaPodsDrifted",
        {'irsa_controller_drifted_pods{kind="role"}': constant(3)},
        {"kind": "role"},
        id="pods have drifted",
    ),
]


def expected(alert: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what fires, with its summary as an operator reads it."""
    rule = RULES[alert]
    summary = rule["annotations"]["summary"]
    for name, value in labels.items():
        summary = summary.replace("{{ $labels." + name + " }}", value)
    return {"exp_labels": {**rule["labels"], **labels}, "exp_annotations": {"summary": summary}}


def judged(folder: Path, series: Mapping[str, str], firing: Mapping[str, Mapping[str, str]]) -> str:
    """Have promtool judge *series* after `STEPS`; return what it says where others are *firing*, by their labels."""
    if shutil.which("promtool") is None:
        pytest.skip("no promtool on PATH")
    tests = [
        {
            "eval_time": "26h",
            "alertname": alert,
            "exp_alerts": [expected(alert, firing[alert])] if alert in firing else [],
        }
        for alert in RULES
    ]
    given = [{"series": name, "values": values} for name, values in series.items() if values]
    file = folder / "tests.yaml"
    test = {"interval": STEP, "input_series": given, "alert_rule_test": tests}
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": STEP, "tests": [test]}))
    done = subprocess.run(  # noqa: S603 - our own words
        ["promtool", "test", "rules", str(file)],  # noqa: S607 - from PATH
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_nothing_fires_where_all_is_well(tmp_path: Path) -> None:
    assert judged(tmp_path, HEALTHY, {}) == ""


def test_nothing_fires_where_no_controller_was_installed(tmp_path: Path) -> None:
    without = {name: values for name, values in HEALTHY.items() if not name.startswith("irsa_controller_")}

    assert judged(tmp_path, without, {}) == ""


@pytest.mark.parametrize(("alert", "changed", "labels"), SICK)
def test_alert_fires_alone_on_what_it_is_about(
    tmp_path: Path, alert: str, changed: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    assert judged(tmp_path, {**HEALTHY, **changed}, {alert: labels}) == ""


def test_every_alert_is_seen_to_fire() -> None:
    assert {case.values[0] for case in SICK} == RULES.keys()

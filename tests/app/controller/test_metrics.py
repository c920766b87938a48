import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.controller import metrics
from app.controller.metrics import ControllerMetrics, Duty


def exposed(found: ControllerMetrics) -> list[str]:
    registry = CollectorRegistry()
    registry.register(found)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_controller_that_waits_knows_nothing_of_certificates() -> None:
    assert exposed(ControllerMetrics()) == [
        "irsa_controller_leading 0.0",
        'irsa_controller_errors_total{what="lease"} 0.0',
        'irsa_controller_errors_total{what="certificates"} 0.0',
        'irsa_controller_errors_total{what="events"} 0.0',
    ]


def test_controller_that_leads_says_when_certificates_end_and_what_failed() -> None:
    found = ControllerMetrics()
    found.is_leading = True
    found.expiry = {"ca": datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)}
    found.failed(Duty.CERTIFICATES)

    lines = exposed(found)

    assert lines[:2] == [
        "irsa_controller_leading 1.0",
        'irsa_controller_certificate_expiration_timestamp_seconds{certificate="ca"} 1e+09',
    ]
    assert 'irsa_controller_errors_total{what="certificates"} 1.0' in lines


@pytest.mark.parametrize("duty", Duty)
def test_every_duty_that_is_counted_can_fail(duty: Duty) -> None:
    sources = "".join(file.read_text() for file in Path(metrics.__file__).parent.glob("*.py"))

    assert re.search(rf"failed\(Duty\.{duty.name}\)", sources)

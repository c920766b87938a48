from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest

from app.controller.metrics import ControllerMetrics, Duty


def exposed(metrics: ControllerMetrics) -> list[str]:
    registry = CollectorRegistry()
    registry.register(metrics)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_controller_that_waits_knows_nothing_of_certificates() -> None:
    assert exposed(ControllerMetrics()) == [
        "irsa_controller_leading 0.0",
        'irsa_controller_errors_total{what="lease"} 0.0',
        'irsa_controller_errors_total{what="certificates"} 0.0',
        'irsa_controller_errors_total{what="events"} 0.0',
        'irsa_controller_errors_total{what="drift"} 0.0',
    ]


def test_controller_that_leads_says_when_certificates_end_and_what_failed() -> None:
    metrics = ControllerMetrics()
    metrics.is_leading = True
    metrics.expiry = {"ca": datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)}
    metrics.failed(Duty.CERTIFICATES)

    lines = exposed(metrics)

    assert lines[:2] == [
        "irsa_controller_leading 1.0",
        'irsa_controller_certificate_expiration_timestamp_seconds{certificate="ca"} 1e+09',
    ]
    assert 'irsa_controller_errors_total{what="certificates"} 1.0' in lines

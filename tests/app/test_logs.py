import json
import logging
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from app import logs
from app.settings import Format


def fail() -> None:
    token = "MARKER-in-a-frame"  # noqa: F841, S105 - a local variable is what is looked for
    raise ValueError("broken")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_show_no_local_variables(capsys: pytest.CaptureFixture[str], log_format: Format) -> None:
    logs.configure(log_format=log_format, level="debug")

    for log in (structlog.get_logger(), logging.getLogger("somebody")):
        try:
            fail()
        except ValueError:
            log.exception("failed")

    said = capsys.readouterr().err
    assert said.count("broken") >= 2
    assert "MARKER" not in said


@pytest.mark.parametrize("name", ["botocore", "boto3", "urllib3", "kubernetes", "aiohttp", "grpc"])
def test_libraries_that_log_secrets_at_debug_stay_at_info(capsys: pytest.CaptureFixture[str], name: str) -> None:
    logs.configure(log_format="json", level="debug")

    logging.getLogger(f"{name}.deep").debug("MARKER")
    logging.getLogger(f"{name}.deep").info("said")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["said"]


def test_json_line_holds_time_level_event_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format="json", level="info")

    structlog.get_logger().info("pod_reviewed", uid="x", pod="a\x1b[31m")
    structlog.get_logger().debug("unheard")

    said = capsys.readouterr().err
    line = json.loads(said)
    assert line.pop("time").endswith("Z")
    assert line == {"event": "pod_reviewed", "level": "info", "uid": "x", "pod": "a\x1b[31m"}
    assert "\x1b" not in said


def test_console_line_escapes_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format="console", level="info")

    structlog.get_logger().info("pod_reviewed", pod="a\x1b[31m\nforged")

    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("is_there", [True, False])
def test_log_that_nobody_takes_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, log_format: Format, *, is_there: bool
) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115 - closing it would flush, and fail
    monkeypatch.setattr(sys, "stderr", full if is_there else None)

    logs.configure(log_format=log_format, level="info")
    structlog.get_logger().info("pod_reviewed")
    logging.getLogger("somebody").warning("said")

    with suppress(OSError):
        full.close()

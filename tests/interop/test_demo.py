"""The demo as a user runs it: real processes, a real STS and S3. Two at once, since they must not collide."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

SECONDS = 120
"""Ten times what it takes on an idle machine."""

SOCKET_PORT = re.compile(r"-(\w+)\.port\.grpc=(\d+)")


@dataclass(frozen=True)
class Run:
    """A demo that ended."""

    status: int
    report: dict[str, Any]
    stdout: str
    stderr: str
    folder: Path


def start(folder: Path, *flags: str) -> "subprocess.Popen[str]":
    """Start a demo that keeps its temporary files in *folder*, with what would lead an SDK astray around it."""
    folder.mkdir()
    around = {"AWS_PROFILE": "no-such-profile", "AWS_CA_BUNDLE": "/no/such/file", "HTTPS_PROXY": "http://127.0.0.1:9"}
    return subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-m", "app", "demo", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **around, "TMPDIR": str(folder)},
        start_new_session=True,
    )


def ended(demo: "subprocess.Popen[str]", folder: Path, *, stdout: str = "", stderr: str = "") -> Run:
    """Wait for the end of *demo*, of whose output we have had *stdout* and *stderr* already."""
    rest = demo.communicate(timeout=SECONDS)
    stdout, stderr = stdout + rest[0], stderr + rest[1]
    return Run(demo.returncode, json.loads(stdout) if stdout.startswith("{") else {}, stdout, stderr, folder)


def be_the_pod(instructions: str) -> str:
    """Follow the *instructions* of ``--keep`` and return the ARN that they print."""
    words = [shlex.split(line) for line in instructions.splitlines() if line.startswith("  ")]
    environment = dict(line[1].split("=", 1) for line in words if line[0] == "export")
    command = next(line for line in words if line[0] == sys.executable)
    return subprocess.check_output(command, env=environment, text=True, timeout=SECONDS)  # noqa: S603 - ours


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of what has *folder* in its environment: the children of the demo, and theirs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if any(each.startswith(b"HOME=" + bytes(folder)) for each in environment):
            found.append(line)
    return found


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """Two demos that ran at once: one to its end, one with --keep until somebody had been its pod."""
    folders = {name: tmp_path_factory.mktemp("demo") / name for name in ("one", "kept")}
    one, kept = start(folders["one"], "--json"), start(folders["kept"], "--json", "--keep")
    try:
        assert kept.stdout is not None
        assert kept.stderr is not None
        stdout = kept.stdout.readline()
        instructions = _until_logs(kept.stderr)
        arn = be_the_pod(instructions) if stdout else ""
        kept.send_signal(signal.SIGINT)
        yield {
            "one": ended(one, folders["one"]),
            "kept": ended(kept, folders["kept"], stdout=stdout, stderr=instructions + arn),
        }
    finally:
        for demo in (one, kept):
            demo.terminate()
            demo.communicate(timeout=SECONDS)


def _until_logs(stderr: IO[str]) -> str:
    lines = []
    for line in stderr:
        lines.append(line)
        if line.startswith("Logs: "):
            break
    return "".join(lines)


@pytest.fixture(params=["one", "kept"])
def run(runs: dict[str, Run], request: pytest.FixtureRequest) -> Run:
    return runs[str(request.param)]


STEPS = ("manifests", "certificates", "keygen", "render", "servers", "review", "pod", "refusals")


def test_every_step_does_what_it_should(run: Run) -> None:
    stop = () if run.folder.name == "kept" else ("stop",)

    assert (run.status, run.report["ok"]) == (0, True), run.stderr
    assert [(step["name"], step["ok"]) for step in run.report["steps"]] == [(name, True) for name in (*STEPS, *stop)]
    # Each is rounded to a millisecond.
    assert sum(step["seconds"] for step in run.report["steps"]) <= run.report["seconds"] + 0.01


def test_what_keeps_running_can_be_talked_to_from_another_shell(runs: dict[str, Run]) -> None:
    assert runs["one"].stderr == ""
    assert runs["kept"].stderr.startswith("Everything keeps running until Ctrl-C")
    assert "\narn:aws:sts::assumed-role/irsa-demo/" in runs["kept"].stderr


def test_the_pod_became_its_role(run: Run) -> None:
    identity = run.report["identity"]

    assert identity.keys() == {"UserId", "Account", "Arn"}
    assert identity["Account"] == "111122223333"
    assert ":assumed-role/irsa-demo/" in identity["Arn"]


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("no-role", "NoCredentialsError", "Unable to locate credentials"),
        ("other-subject", "AccessDenied", "trust policy denies web identity assumption"),
        ("unpublished-key", "AccessDenied", "not found in JWKS"),
        ("expired-token", "ExpiredTokenException", "token is expired"),
    ],
)
def test_who_must_be_refused_is_refused_for_that_reason(run: Run, name: str, code: str, message: str) -> None:
    refusals = {refusal.pop("name"): refusal for refusal in map(dict, run.report["refusals"])}

    assert refusals.keys() == {"no-role", "other-subject", "unpublished-key", "expired-token"}
    assert refusals[name] == {"ok": True, "code": code, "message": refusals[name]["message"]}
    assert message in refusals[name]["message"]


def test_json_is_one_object_without_a_token_or_a_key(run: Run) -> None:
    assert run.report.keys() == {"ok", "seconds", "steps", "identity", "refusals"}
    assert run.stdout.count("\n") == 1
    assert "eyJ" not in run.stdout + run.stderr
    assert "PRIVATE" not in run.stdout + run.stderr


def test_nothing_is_left_behind(run: Run) -> None:
    assert list(run.folder.iterdir()) == []
    assert processes_of(run.folder) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_demo_that_is_told_to_stop_leaves_nothing_behind(tmp_path: Path, number: int, status: int) -> None:
    folder = tmp_path / "demo"
    demo = start(folder)
    deadline = time.monotonic() + SECONDS
    while not any(path.exists() for path in sockets_of(folder)):
        assert demo.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    sockets = sockets_of(folder)
    demo.send_signal(number)

    run = ended(demo, folder)

    assert (run.status, run.stderr) == (status, "")
    assert processes_of(folder) == []
    assert list(folder.iterdir()) == []
    assert len(sockets) == 4
    assert [path for path in sockets if path.exists()] == []


def sockets_of(folder: Path) -> list[Path]:
    """Return the sockets that the SeaweedFS of the demo in *folder* makes outside of it, now or soon."""
    ports = [pair for line in processes_of(folder) for pair in SOCKET_PORT.findall(line)]
    return [Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock") for name, port in ports]  # noqa: S108 - its own choice

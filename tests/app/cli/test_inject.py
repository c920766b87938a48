import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli import command_line
from app.manifests.injection import UNEDITABLE
from tests.app.manifests.injecting import POD, SERVICE_ACCOUNT, injected

PATCHABLE = POD + "  containers:\n  - name: a\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    out: str
    err: str


class Command:
    """`irsa inject`, run here and not as a process: most of a process would be imports."""

    def __init__(self, capture: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._capture = capture
        self._monkeypatch = monkeypatch
        self._monkeypatch.chdir(folder)

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> Outcome:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        status = command_line.run(["inject", *arguments])
        out, err = self._capture.readouterr()
        return Outcome(status, out.decode(), err.decode())


@pytest.fixture
def irsa_inject(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    return Command(capfdbinary, monkeypatch, tmp_path)


def test_standard_input_comes_out_injected() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "inject", "-f", "-"],
        input=(SERVICE_ACCOUNT + PATCHABLE).encode(),
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == injected(SERVICE_ACCOUNT + PATCHABLE).text


def test_files_become_one_stream(irsa_inject: Command, tmp_path: Path) -> None:
    (tmp_path / "sa.yaml").write_text(SERVICE_ACCOUNT.removesuffix("---\n"))
    (tmp_path / "pod.yaml").write_text(PATCHABLE.rstrip())
    (tmp_path / "more.yaml").write_text(f"---\n{PATCHABLE}")

    done = irsa_inject("-f", "sa.yaml", "--file", "pod.yaml", "-f", "more.yaml")

    assert (done.status, done.err) == (0, "")
    assert done.out == injected(f"{SERVICE_ACCOUNT}{PATCHABLE}---\n{PATCHABLE}").text


def test_files_of_json_stay_a_stream_of_json(irsa_inject: Command, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"kind": "A"}')
    (tmp_path / "b.json").write_text('{"kind": "B"}\n')

    done = irsa_inject("-f", "a.json", "-f", "b.json")

    assert (done.status, done.out) == (0, '{"kind": "A"}\n{"kind": "B"}\n')


def test_service_accounts_come_from_a_folder_and_the_input_counts_more(irsa_inject: Command, tmp_path: Path) -> None:
    folder = tmp_path / "accounts" / "team"
    folder.mkdir(parents=True)
    (folder / "app.yml").write_text(SERVICE_ACCOUNT.replace("role/app", "role/folder"))
    (folder / ".hidden.yaml").write_text("a: [")
    (folder / "notes.txt").write_text("a: [")

    flags = ("-f", "-", "--service-accounts", "accounts")
    alone = irsa_inject(*flags, stdin=PATCHABLE)
    both = irsa_inject(*flags, stdin=SERVICE_ACCOUNT + PATCHABLE)

    assert alone.out == injected(SERVICE_ACCOUNT + PATCHABLE).text.removeprefix(SERVICE_ACCOUNT).replace(
        "role/app", "role/folder"
    )
    assert both.out == injected(SERVICE_ACCOUNT + PATCHABLE).text


def test_diff_can_be_applied_and_is_empty_where_nothing_changes(irsa_inject: Command, tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text((SERVICE_ACCOUNT + PATCHABLE).rstrip())

    done = irsa_inject("-f", "in.yaml", "--diff")
    (tmp_path / "out.yaml").write_text(irsa_inject("-f", "in.yaml").out)
    again = irsa_inject("-f", "out.yaml", "--diff")

    assert (again.status, again.out, again.err) == (0, "", "")
    assert (done.status, done.err) == (0, "")
    assert (
        done.out
        == """\
--- in.yaml
+++ in.yaml
@@ -12,4 +12,23 @@
 spec:
   serviceAccountName: app
   containers:
-  - name: a
\\ No newline at end of file
+  - name: a
+    env:
+    - name: AWS_STS_REGIONAL_ENDPOINTS
+      value: regional
+    - name: AWS_ROLE_ARN
+      value: arn:aws:iam::111122223333:role/app
+    - name: AWS_WEB_IDENTITY_TOKEN_FILE
+      value: /var/run/secrets/eks.amazonaws.com/serviceaccount/token
+    volumeMounts:
+    - name: aws-iam-token
+      readOnly: true
+      mountPath: /var/run/secrets/eks.amazonaws.com/serviceaccount
+  volumes:
+  - name: aws-iam-token
+    projected:
+      sources:
+      - serviceAccountToken:
+          audience: sts.amazonaws.com
+          expirationSeconds: 86400
+          path: token
\\ No newline at end of file
"""
    )


def test_what_is_left_alone_is_said_on_standard_error(irsa_inject: Command) -> None:
    done = irsa_inject("-f", "-", stdin=PATCHABLE)

    assert (done.status, done.out) == (0, PATCHABLE)
    assert done.err == (
        'Pod/p (default): left alone: no manifest has ServiceAccount "default/app"; '
        "name its folder with --service-accounts\n"
    )


@pytest.mark.parametrize("flags", [(), ("--diff",)])
def test_what_should_be_injected_and_cannot_is_exit_status_1(
    irsa_inject: Command, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    uneditable = POD.replace("  name: p", "  name: q\n  annotations: {eks.amazonaws.com/skip-containers: a}")
    uneditable += "  containers:\n  - &a\n    name: a\n    env:\n    - name: A\n  - {<<: *a, name: b}\n"
    (tmp_path / "in.yaml").write_text(SERVICE_ACCOUNT + uneditable)
    (tmp_path / "good.yaml").write_text(PATCHABLE)

    done = irsa_inject("-f", "in.yaml", "-f", "good.yaml", *flags)

    assert done.status == 1
    assert done.err == f"Pod/q (default): {UNEDITABLE}\n"
    assert "AWS_ROLE_ARN" in done.out


def test_settings_come_from_flags_and_environment(irsa_inject: Command) -> None:
    text = SERVICE_ACCOUNT.replace("eks.amazonaws.com", "irsa.example") + PATCHABLE

    done = irsa_inject(
        *("-f", "-", "-n", "team", "--annotation-prefix", "irsa.example", "--env", "AWS_CA_BUNDLE=/ca.pem"),
        stdin=text,
        IRSA_AWS_DEFAULT_REGION="eu-central-1",
    )

    assert (done.status, done.err) == (0, "")
    assert all(value in done.out for value in ("eu-central-1", "AWS_CA_BUNDLE", "/ca.pem", "role/app"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(
            ["-f", "nowhere"], "nowhere: expected a readable file, got: No such file or directory", id="missing"
        ),
        pytest.param(["-f", "."], ".: expected a readable file, got: Is a directory", id="folder"),
        pytest.param(["-f", "bad.yaml"], "bad.yaml:2:1: ", id="no-yaml"),
        pytest.param(
            ["-f", "good.yaml", "--service-accounts", "nowhere"],
            "nowhere: expected a folder of YAML manifests, got: No such file or directory",
            id="no-folder",
        ),
        pytest.param(
            ["-f", "good.yaml", "--service-accounts", "bad.yaml"],
            "bad.yaml: expected a folder of YAML manifests, got: Not a directory",
            id="file-for-folder",
        ),
        pytest.param(["-f", "good.yaml", "--service-accounts", "."], "bad.yaml:2:1: ", id="bad-in-folder"),
        pytest.param(["-f", "good.yaml", "--token-expiration", "1"], "--token-expiration: ", id="setting"),
        pytest.param(["-f", "good.yaml", "--dif"], "", id="flag"),
        pytest.param([], "", id="no-file"),
        pytest.param(["-f"], "", id="no-name"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(
    arguments: list[str], line: str, irsa_inject: Command, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text("a: [\n")
    (tmp_path / "good.yaml").write_text(PATCHABLE)

    done = irsa_inject(*arguments)

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"irsa: {line}")
    assert done.err.count("\n") == 1


def test_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text("a: b\n" + "# comment\n" * 100_000)
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "app", "inject", "-f", str(tmp_path / "in.yaml")],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=30,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, b"")


PLAIN = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: app}\n---\n" + PATCHABLE
MAPPINGS = 'kind: ConfigMap\ndata:\n  config: |\n    "def*/*": {RoleARN: mapped, TokenExpiration: 60}\n    bad: null\n'
IDENTITIES = '{"identities": [{"namespace": "default", "serviceAccount": "app"}]}'


def test_mappings_name_roles_and_what_is_wrong_with_them_is_said(irsa_inject: Command, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(PLAIN)
    (tmp_path / "map.yaml").write_text(MAPPINGS)

    done = irsa_inject("-f", "app.yaml", "--mappings", "map.yaml", "--aws-account", "111122223333")

    assert done.status == 0
    assert "value: arn:aws:iam::111122223333:role/mapped\n" in done.out
    assert "expirationSeconds: 600\n" in done.out
    assert done.err.splitlines() == [
        'map.yaml: set TokenExpiration of "def*/*" to whole seconds from 600 to 31536000, got "60"',
        'map.yaml: write namespace/serviceaccount as the key instead of "bad": it is ignored',
    ]


def test_container_credentials_are_injected_as_by_the_webhook(irsa_inject: Command, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(SERVICE_ACCOUNT + PATCHABLE)
    (tmp_path / "identities.json").write_text(IDENTITIES)

    done = irsa_inject("-f", "app.yaml", "--container-credentials", "identities.json")

    assert (done.status, done.err) == (0, "")
    assert "value: http://169.254.170.23/v1/credentials\n" in done.out
    assert "AWS_ROLE_ARN" not in done.out


def test_pod_that_the_webhook_would_refuse_is_named(irsa_inject: Command, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(
        PLAIN.replace("{name: app}", '{name: app, annotations: {irsa/require-identity: "true"}}')
    )

    done = irsa_inject("-f", "app.yaml")

    assert done.err == (
        'Pod/p (default): the webhook would refuse it; annotate ServiceAccount "default/app" with'
        " eks.amazonaws.com/role-arn: this pod must have an AWS identity and would get none\n"
    )


@pytest.mark.parametrize("flag", ["--mappings", "--container-credentials"])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[", "assigned: write JSON or YAML under config: config:1:2: cannot be read as YAML"),
        ("kind: ConfigMap\ndata: {config: 1}\n", "assigned: write strings as the ConfigMap's data"),
        (None, "assigned: "),
    ],
)
def test_assignments_that_cannot_be_read_are_one_line(
    flag: str, content: str | None, line: str, irsa_inject: Command, tmp_path: Path
) -> None:
    (tmp_path / "app.yaml").write_text(PLAIN)
    if content is not None:
        (tmp_path / "assigned").write_text(content)

    done = irsa_inject("-f", "app.yaml", flag, "assigned")

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"irsa: {line}")
    assert done.err.count("\n") == 1

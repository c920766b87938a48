import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import command_line, environment
from app.cli.commands import COMMANDS
from app.errors import ConfigurationError


def irsa(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command with the arguments of a test
        [sys.executable, "-m", "app", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": "/usr/bin:/bin"} | variables,
    )


def test_overview_names_every_command_and_imports_none() -> None:
    page = command_line.overview()

    assert all(name in page for name in COMMANDS)
    done = irsa("--help")
    assert (done.returncode, done.stdout, done.stderr) == (0, page + "\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = irsa(*command.split(), "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: irsa {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        pytest.param(["webhok"], 'irsa: expected a command, got "webhok"; did you mean webhook?', id="slip"),
        pytest.param(["--config"], "irsa: expected a file after --config, got nothing", id="no-file"),
        pytest.param(
            ["webhook", "--port", "99999"],
            'irsa: --port: input should be less than or equal to 65535, got "99999"; see `irsa webhook --help`',
            id="out-of-range",
        ),
        pytest.param(
            ["webhook", "--env", "PATH=x"],
            'irsa: --env: expected AWS_ENDPOINT_URL*, AWS_CA_BUNDLE or AWS_STS_* as NAME=VALUE, not "PATH";'
            " see `irsa webhook --help`",
            id="not-allowed",
        ),
        pytest.param(
            ["webhook", "--tls-cert", "/nowhere"],
            "irsa: expected a TLS certificate at /nowhere, got: No such file or directory",
            id="no-certificate",
        ),
        pytest.param(["issuer", "kegen"], None, id="sub-command"),
        pytest.param(["webhook", "--prot", "1"], None, id="unknown-flag"),
        pytest.param(["webhook", "extra"], None, id="extra-word"),
        pytest.param(["--config", "/nowhere.yaml", "webhook"], None, id="no-such-config"),
    ],
)
def test_what_the_operator_got_wrong_is_one_line_and_exit_2(arguments: list[str], line: str | None) -> None:
    done = irsa(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert line is None or done.stderr == f"{line}\n"


def test_flag_beats_variable_beats_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = tmp_path_factory.mktemp("config") / "irsa.yaml"
    config.write_text("webhook:\n  tls-cert: /from-file\n")

    def missing(*arguments: str, **variables: str) -> str:
        return irsa("webhook", *arguments, **variables).stderr

    assert "/from-file" in missing("--config", str(config))
    assert "/from-variable" in missing("--config", str(config), IRSA_TLS_CERT="/from-variable")
    assert "/from-flag" in missing("--tls-cert", "/from-flag", IRSA_TLS_CERT="/from-variable")


def test_unknown_key_in_the_file_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = tmp_path_factory.mktemp("config") / "irsa.yaml"
    config.write_text("webhook:\n  tls-crt: /x\n")

    done = irsa("webhook", "--config", str(config))

    assert done.returncode == 2
    assert "tls-crt" in done.stderr


def test_section_in_the_file_that_is_no_command_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = tmp_path_factory.mktemp("config") / "irsa.yaml"
    config.write_text("webhok:\n  port: 1\n")

    done = irsa("webhook", "--config", str(config))

    assert done.returncode == 2
    assert done.stderr == f'irsa: {config}: expected commands as sections, got "webhok"\n'


@pytest.mark.parametrize(
    "content",
    [
        "42", "foo", "- a", "[]", "", "a: b: c", "!!python/object:os.system {}", "webhook: [1]", "webhook: {1: 2}",
        "webhook: {null: 2}", "webhook: {env: [null]}", "webhook: {port: {a: 1}}", "issuer: {servee: {port: 1}}",
        "webhook: {port: 1, port: 2}", "webhook: {}\n---\nwebhook: {}", "[" * 1000, "\0",
    ],
)  # fmt: skip
def test_settings_file_that_is_none_is_one_line_and_exit_2(tmp_path: Path, content: str) -> None:
    config = tmp_path / "irsa.yaml"
    config.write_text(content)

    assert command_line.run(["--config", str(config), "webhook"]) == 2
    assert command_line.run([f"--config={config}", "webhook"]) == 2


@pytest.mark.parametrize("path", ["/", "/nowhere.yaml"])
def test_settings_file_that_cannot_be_read_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], path: str
) -> None:
    assert command_line.run(["webhook", f"--config={path}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_port_that_kubernetes_set_for_a_service_of_our_name_is_not_ours() -> None:
    done = irsa(
        "webhook", "--tls-cert", "/nowhere", IRSA_PORT="tcp://10.0.0.1:443", IRSA_PORT_443_TCP="tcp://10.0.0.1:443"
    )

    assert (done.returncode, done.stderr) == (
        2,
        "irsa: expected a TLS certificate at /nowhere, got: No such file or directory\n",
    )


def test_full_disk_is_one_line_and_exit_1() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "app", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_variable_of_ours_that_means_nothing_is_refused() -> None:
    done = irsa("webhook", IRSA_TLS_CRT="x")

    assert (done.returncode, done.stderr) == (
        2,
        "irsa: expected IRSA_* variables to be settings of this command, got IRSA_TLS_CRT: unset it\n",
    )


def test_variables_of_services_and_tests_are_nobodys_slip() -> None:
    links = ["IRSA_WEBHOOK_SERVICE_HOST", "IRSA_WEBHOOK_SERVICE_PORT_HTTPS", "IRSA_WEBHOOK_PORT_443_TCP_ADDR"]

    environment.refuse_unknown([*links, "IRSA_TEST_KUBECONFIG", "HOME"], flags=["--port"])

    with pytest.raises(ConfigurationError):
        environment.refuse_unknown(["IRSA_PROT"], flags=["--port"])


IMPORTING = [sys.executable, "-X", "importtime", "-m", "app", "access", "--help"]
"""Python tells of each module on standard error when it is there, so that we know when to send a signal."""


def rest_after(module: str, process: subprocess.Popen[str], then: Callable[[], None]) -> list[str]:
    """Call *then* when *module* is imported, and return what the process says besides its imports."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.split("|")[-1].strip() == module:
            then()
            break
    return [line for line in process.stderr if not line.startswith("import time:")]


@pytest.mark.parametrize("module", ["difflib", "app.cli.commands", "app.cli.dispatch", "cyclopts"])
def test_interrupt_while_modules_are_imported_is_silent(module: str) -> None:
    with subprocess.Popen(IMPORTING, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        rest = rest_after(module, process, lambda: process.send_signal(signal.SIGINT))
        status = process.wait(30)

    assert (status in {-signal.SIGINT, 130}, rest) == (True, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("module", ["app.cli.commands", "cyclopts"])
def test_process_1_ends_at_once_and_silently_while_modules_are_imported(module: str, number: signal.Signals) -> None:
    """What a container's first process has no handler for, the kernel keeps from it (pid_namespaces(7))."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"whoever started the tests has {number.name} ignored, which processes inherit")
    first = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*first, "true"], capture_output=True, check=False).returncode:  # noqa: S603 - as above
        pytest.skip("no PID namespace can be made here: unshare --pid is not permitted")
    command = [*first, *IMPORTING]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - as above
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        rest = rest_after(module, process, lambda: os.kill(int(children.read_text()), number))
        status = process.wait(30)

    assert (status, rest) == (128 + number, [])

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from app.demo import kubelet
from app.demo.kubelet import TokenRequest
from app.demo.processes import Processes, wait
from app.demo.signals import Signals
from app.errors import DemoError
from oidc.tokens import Token
from tests.app.demo.objects_for_tests import TOKEN_FOLDER, patched_pod

CONFIG_MAPS = {"app": {"main.py": "print(1)"}}


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "processes", Signals()) as processes:
        yield processes


def changed(**container: object) -> dict[str, Any]:
    pod = patched_pod()
    pod["spec"]["containers"][0].update(container)
    return pod


def test_the_plan_is_the_pod_with_its_paths_below_the_root() -> None:
    root = Path("/pods/app")

    assert kubelet.plan(patched_pod(), config_maps=CONFIG_MAPS, root=root) == kubelet.Plan(
        files={
            PurePosixPath("app/main.py"): "print(1)",
            PurePosixPath(f"{TOKEN_FOLDER[1:]}/token"): TokenRequest("sts.amazonaws.com", 86_400),
        },
        command=(sys.executable, "/pods/app/app/main.py"),
        environment={
            "BUCKET": "irsa-demo",
            "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/irsa-demo",
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"/pods/app{TOKEN_FOLDER}/token",
        },
    )


def test_a_path_that_only_begins_like_a_mount_is_left_alone() -> None:
    pod = changed(command=["/application/main", "/app", "app/x"])

    assert kubelet.plan(pod, config_maps=CONFIG_MAPS, root=Path("/r")).command == (
        "/application/main",
        "/r/app",
        "app/x",
    )


def test_a_token_lives_an_hour_where_the_volume_does_not_say() -> None:
    pod = patched_pod()
    pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"] = {"audience": "a", "path": "token"}

    files = kubelet.plan(pod, config_maps=CONFIG_MAPS, root=Path("/r")).files
    assert files[PurePosixPath(f"{TOKEN_FOLDER[1:]}/token")] == TokenRequest("a", 3600)


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        pytest.param(changed(envFrom=[{}]), 'kubelet: expected "app" without envFrom, got one with it', id="envFrom"),
        pytest.param(
            changed(env=[{"name": "A", "valueFrom": {}}]),
            'kubelet: expected a value in variable "A", got valueFrom',
            id="valueFrom",
        ),
        pytest.param(
            changed(env=[{"name": "A", "value": "$(B)"}]),
            'kubelet: expected no $(NAME) in variable "A", got one',
            id="reference",
        ),
        pytest.param(
            changed(volumeMounts=[{"name": "program", "mountPath": "/app/../../etc"}]),
            'kubelet: expected an absolute mountPath, got "/app/../../etc"',
            id="mount-outside",
        ),
        pytest.param(
            changed(volumeMounts=[{"name": "program", "mountPath": "/app", "subPath": "x"}]),
            'kubelet: expected "program" without subPath, got one with it',
            id="subPath",
        ),
    ],
)
def test_what_would_change_the_result_is_refused_and_not_ignored(pod: dict[str, Any], message: str) -> None:
    with pytest.raises(DemoError) as caught:
        kubelet.plan(pod, config_maps=CONFIG_MAPS, root=Path("/r"))

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "volume",
    [
        pytest.param({"name": "program", "hostPath": {"path": "/"}}, id="another-volume"),
        pytest.param({"name": "program", "configMap": {"name": "other"}}, id="no-such-config-map"),
        pytest.param({"name": "program", "projected": {"sources": [{"secret": {}}]}}, id="another-source"),
        pytest.param(
            {"name": "program", "projected": {"sources": [{"serviceAccountToken": {"audience": "a", "path": "../t"}}]}},
            id="outside",
        ),
    ],
)
def test_a_volume_that_the_examples_have_not_is_refused(volume: dict[str, Any]) -> None:
    pod = patched_pod()
    pod["spec"]["volumes"][1] = volume

    with pytest.raises(DemoError, match=r"^kubelet: expected "):
        kubelet.plan(pod, config_maps=CONFIG_MAPS, root=Path("/r"))


@pytest.mark.parametrize(
    "container",
    [
        pytest.param({"command": None}, id="no-command"),
        pytest.param({"volumeMounts": [{"name": "missing", "mountPath": "/m"}]}, id="no-such-volume"),
        pytest.param({"env": ["A=1"]}, id="env-of-another-type"),
    ],
)
def test_a_pod_that_kube_apiserver_would_not_take_is_one_line(container: dict[str, Any]) -> None:
    with pytest.raises(DemoError, match=r"^kubelet: expected a pod that kube-apiserver takes, got a \w+Error$"):
        kubelet.plan(changed(**container), config_maps=CONFIG_MAPS, root=Path("/r"))


def test_a_second_container_is_refused() -> None:
    pod = patched_pod()
    pod["spec"]["initContainers"] = [{"name": "first"}]

    with pytest.raises(DemoError, match="expected a pod with one container, got more"):
        kubelet.plan(pod, config_maps=CONFIG_MAPS, root=Path("/r"))


def test_the_container_sees_its_own_environment_and_nothing_of_ours(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_CA_BUNDLE", "AWS_PROFILE", "HTTPS_PROXY", "SSL_CERT_FILE", "IRSA_PORT", "PYTHONPATH"):
        monkeypatch.setenv(name, "leaked")
    program = "import json, os, pathlib; print(json.dumps([dict(os.environ), os.listdir(pathlib.Path.home())]))"
    root = tmp_path / "pod"
    planned = kubelet.plan(patched_pod(), config_maps={"app": {"main.py": program}}, root=root)

    child = kubelet.run(planned, processes, name="pod", root=root, mint=lambda _request: Token("a.b.c"))
    wait(child, lambda: "\n" in child.stdout(), what="print its environment")

    environment, home = json.loads(child.stdout())
    assert environment.keys() - {"LC_CTYPE"} == {"PATH", "HOME", "TMPDIR"} | planned.environment.keys()
    assert environment["HOME"] == str(root / "home")
    assert home == []


def test_the_token_is_minted_for_the_volume_and_readable_by_us_only(tmp_path: Path, processes: Processes) -> None:
    asked = []

    def mint(request: TokenRequest) -> Token:
        asked.append(request)
        return Token("a.b.c")

    root = tmp_path / "pod"
    planned = kubelet.plan(patched_pod(), config_maps=CONFIG_MAPS, root=root)
    kubelet.run(planned, processes, name="pod", root=root, mint=mint)

    token = Path(planned.environment["AWS_WEB_IDENTITY_TOKEN_FILE"])
    assert asked == [TokenRequest("sts.amazonaws.com", 86_400)]
    assert token.read_text() == "a.b.c"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700

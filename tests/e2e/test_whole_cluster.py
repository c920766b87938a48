"""The chart on a whole cluster, with our image: real kubelets project the tokens, real containers use them.

`irsa demo --cluster --keep` installs and starts an STS that pods reach; the tests use what it keeps running, and the
last one has it removed. So they stand in the order in which they run.
"""

import copy
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from app.demo import examples, program
from app.demo.cluster_objects import image_values
from app.demo.cluster_steps import NAMESPACE, PYTHON, RELEASE
from tests.apiserver import Api
from tests.builders import ENV
from tests.e2e import objects
from tests.e2e.installing import eventually
from tests.e2e.kubectl import Kubectl
from tests.manifests.chart import CHART

pytestmark = pytest.mark.node

SECONDS: Final = 300
NODE_SECONDS: Final = 120
"""For what a kubelet or a controller does."""

DEMO: Final = "irsa-demo"
CREATIONS: Final = 500
AT_ONCE: Final = 8
HOOKS: Final = "mutatingwebhookconfiguration/irsa-webhook"


@dataclass(frozen=True)
class Installed:
    """What the demo keeps running."""

    kubectl: Kubectl
    image: str
    report: dict[str, Any]
    demo: "subprocess.Popen[str]"

    def irsa(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "app", *arguments]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - ours

    def helm(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - the arguments are the test's own
            ["helm", *arguments, "-n", NAMESPACE],  # noqa: S607 - from PATH, as the design says
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("IRSA_")}
        return kept | {"KUBECONFIG": str(self.kubectl.kubeconfig)}


@pytest.fixture(scope="module")
def kubectl(nodes_kubectl: Kubectl) -> Kubectl:
    return nodes_kubectl


@pytest.fixture(scope="module")
def installed(kubectl: Kubectl) -> Iterator[Installed]:
    image = os.environ.get("IRSA_TEST_IMAGE")
    if not image:
        pytest.skip("IRSA_TEST_IMAGE is not set: no image to run")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IRSA_")}
    demo = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-m", "app", "demo", "--cluster", "--keep", "--json", "--image", image],
        env=environment | {"KUBECONFIG": str(kubectl.kubeconfig)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert demo.stdout is not None
        with bounded(demo):
            line = demo.stdout.readline()
        assert line, "the demo ended without a report"
        yield Installed(kubectl, image, json.loads(line), demo)
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=SECONDS)


class bounded:  # noqa: N801 - it reads as a sentence
    """Ends a process that says nothing for too long, so that whoever reads from it goes on."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._timer = threading.Timer(SECONDS, process.send_signal, [signal.SIGINT])

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def template(installed: Installed, **spec: Any) -> dict[str, Any]:
    """Return the example's pod template, with our image, under its ServiceAccount."""
    made = copy.deepcopy(examples.read().deployment["spec"]["template"])
    container = made["spec"]["containers"][0]
    container |= {"image": installed.image, "command": [PYTHON, *container["command"][1:]]}
    # Python is process 1 of the container and so deaf to SIGTERM; nobody wants to wait for that.
    made["spec"] |= {"terminationGracePeriodSeconds": 1} | spec
    return made  # type: ignore[no-any-return] # YAML


@pytest.fixture(scope="module")
def nightly(installed: Installed) -> str:
    """A CronJob, which runs at the next full minute. Return the selector of its pods."""
    once = template(installed, restartPolicy="Never")
    once["spec"]["containers"][0]["env"].append({"name": "ONCE", "value": "true"})
    once["metadata"] = {"labels": {"app": "nightly"}}
    installed.kubectl.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly", "namespace": DEMO},
            "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": once}}},
        }
    )
    return "app=nightly"


def answer_of(installed: Installed, selector: str) -> program.Answer:
    """Return what the first pod that *selector* finds has printed of its identity."""

    def answered() -> program.Answer | None:
        for pod in installed.kubectl.get("pods", "-n", DEMO, "-l", selector)["items"]:
            if pod["status"].get("phase") in {"Running", "Succeeded"}:
                log = installed.kubectl("logs", "-n", DEMO, pod["metadata"]["name"]).stdout
                if found := program.answer(log):
                    return found
        return None

    found: program.Answer = eventually(answered, seconds=NODE_SECONDS, pause=0.5)
    return found


def test_job_gets_its_role_and_others_are_refused(installed: Installed) -> None:
    report = installed.report

    assert report["ok"], report
    assert [step["name"] for step in report["steps"]] == ["cluster", "servers", "install", "job", "refusals"]
    assert report["identity"]["Arn"].startswith("arn:aws:sts::")
    assert [(each["name"], each["code"]) for each in report["refusals"]] == [
        ("no-role", "NoCredentialsError"),
        ("stranger", "AccessDenied"),
    ]


@pytest.mark.usefixtures("nightly")  # whose minute passes meanwhile
def test_deployment_gets_its_role(installed: Installed) -> None:
    deployment = copy.deepcopy(examples.read().deployment)
    deployment["spec"] |= {"replicas": 2, "template": template(installed)}
    installed.kubectl.create(deployment)

    answer = answer_of(installed, "app=app")

    assert "/irsa-demo/" in answer.identity["Arn"]
    assert answer.content == "hello from a pod"


def test_ephemeral_container_gets_what_the_pod_has(installed: Installed) -> None:
    pod = installed.kubectl.get("pods", "-n", DEMO, "-l", "app=app")["items"][0]["metadata"]["name"]
    say = "from os import environ as e; "
    say += "print(e['AWS_ROLE_ARN'], len(open(e['AWS_WEB_IDENTITY_TOKEN_FILE']).read()) > 500)"
    custom = ["--profile=general", "--image", installed.image, "--image-pull-policy=Never", "-c", "look"]
    installed.kubectl("debug", pod, "-n", DEMO, *custom, "--", PYTHON, "-c", say)

    def said() -> str:
        pod_now = installed.kubectl.get("pod", pod, "-n", DEMO)
        states = [each["state"] for each in pod_now["status"].get("ephemeralContainerStatuses", [])]
        if not any("terminated" in state for state in states):
            return ""
        return installed.kubectl("logs", "-n", DEMO, pod, "-c", "look").stdout

    assert eventually(said, seconds=NODE_SECONDS, pause=0.5) == "arn:aws:iam::111122223333:role/irsa-demo True\n"


def test_doctor_finds_nothing_broken(installed: Installed) -> None:
    done = installed.irsa("doctor", "install")

    assert done.returncode == 0, done.stdout + done.stderr


def test_access_map_shows_who_asks_and_nothing_has_drifted(installed: Installed) -> None:
    access = json.loads(installed.irsa("access", "--json", "-n", DEMO).stdout)

    assert {row["service_account"] for row in rows(access)} >= {"app", "stranger"}
    assert installed.irsa("drift", "-n", DEMO).returncode == 0


def rows(access: Any) -> list[dict[str, Any]]:
    return access if isinstance(access, list) else list(access["rows"])


def test_events_tell_the_owner_of_pods_that_must_be_looked_at(installed: Installed) -> None:
    deployment = copy.deepcopy(examples.read().deployment)
    deployment["metadata"]["name"] = "conflicting"
    pod_template = template(installed)
    pod_template["metadata"]["labels"] = {"app": "conflicting"}
    pod_template["spec"]["containers"][0]["volumeMounts"].append(
        {"name": "mine", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount"}
    )
    pod_template["spec"]["volumes"].append({"name": "mine", "emptyDir": {}})
    deployment["spec"] |= {"selector": {"matchLabels": {"app": "conflicting"}}, "template": pod_template}
    made = installed.kubectl.create(deployment)
    try:

        def told() -> list[Any]:
            events: Any = installed.kubectl.get("events.events.k8s.io", "-n", DEMO)
            return [event for event in events["items"] if event.get("reason") == "Conflict"]

        event = eventually(told, seconds=NODE_SECONDS, pause=0.5)[0]
    finally:
        installed.kubectl("delete", "deployment", "conflicting", "-n", DEMO)

    assert "Warning: " in made.stderr  # who types a Deployment reads it at once
    assert event["regarding"]["kind"] == "ReplicaSet"
    assert event["type"] == "Warning"


def test_cron_job_gets_its_role(installed: Installed, nightly: str) -> None:
    try:
        answer = answer_of(installed, nightly)
    finally:
        installed.kubectl("delete", "cronjob", "nightly", "-n", DEMO)

    assert "/irsa-demo/" in answer.identity["Arn"]


@dataclass(frozen=True)
class Load:
    """Pods that were created one after the other by several, and what was stored of each."""

    stored: list[dict[str, Any]]

    def unpatched(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.stored if names_in(pod) != {each["name"] for each in ENV}]


def names_in(pod: dict[str, Any]) -> set[str]:
    ours = {each["name"] for each in ENV}
    return {each["name"] for each in pod["spec"]["containers"][0].get("env", [])} & ours


def create_pods(kubectl: Kubectl, prefix: str, *, count: int, when: Callable[[int], None]) -> Load:
    """Create *count* pods that are never scheduled; *when* is called with each number before its creation.

    A creation that the API server refuses raises: nothing of ours may be in the way.
    """
    api = Api.of(kubectl.kubeconfig)
    path = f"/api/v1/namespaces/{DEMO}/pods"

    def create(connection: HTTPSConnection, number: int) -> dict[str, Any]:
        when(number)
        document = objects.pod(f"{prefix}-{number}", automountServiceAccountToken=True)
        stored: dict[str, Any] = msgspec.json.decode(api.send(connection, "POST", path, msgspec.json.encode(document)))
        return stored

    def remove(connection: HTTPSConnection, number: int) -> None:
        # Where a creation failed, some were never made.
        api.ask(connection, "DELETE", f"{path}/{prefix}-{number}?gracePeriodSeconds=0")

    try:
        return Load(api.at_once(range(count), create, threads=AT_ONCE))
    finally:
        api.at_once(range(count), remove, threads=AT_ONCE)


def ready_webhooks(installed: Installed) -> list[str]:
    pods = installed.kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=webhook")["items"]
    return [
        pod["metadata"]["name"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    ]


def test_no_pod_is_missed_while_a_webhook_goes_and_the_chart_is_upgraded(installed: Installed) -> None:
    started: list[threading.Thread] = []

    def upgrade() -> None:
        installed.helm("upgrade", RELEASE, str(CHART), "--reuse-values", "--set", "podAnnotations.again=yes", "--wait")

    def disturb(number: int) -> None:
        if number == CREATIONS // 5:
            victim = ready_webhooks(installed)[0]
            installed.kubectl("delete", "pod", victim, "-n", NAMESPACE, "--wait=false")
        if number == CREATIONS // 2:
            started.append(threading.Thread(target=upgrade))
            started[0].start()

    load = create_pods(installed.kubectl, "upgraded", count=CREATIONS, when=disturb)
    started[0].join(SECONDS)

    assert len(load.stored) == CREATIONS
    assert load.unpatched() == []


def test_previous_commit_and_this_one_work_together(installed: Installed, tmp_path: Path) -> None:
    """From the chart and image of the commit before to ours and back, each half of the way under load."""
    previous = os.environ.get("IRSA_TEST_PREVIOUS_IMAGE")
    archive = subprocess.run(
        ["git", "archive", "HEAD~1", "manifests/chart"],  # noqa: S607 - from PATH
        cwd=CHART.parents[1],
        capture_output=True,
        check=False,
    )
    if not previous or archive.returncode:
        pytest.skip("IRSA_TEST_PREVIOUS_IMAGE is not set, or the history has no commit before this one")
    subprocess.run(["tar", "x", "-C", tmp_path], input=archive.stdout, check=True)  # noqa: S603, S607 - ours, from PATH
    before, ours = tmp_path / "manifests" / "chart", CHART

    def to(chart: Path, image: str) -> None:
        installed.helm("upgrade", RELEASE, str(chart), "--reuse-values", *image_values(image), "--wait")

    moves = [
        lambda: to(before, previous),
        lambda: to(ours, installed.image),
        lambda: installed.helm("rollback", RELEASE),
    ]
    for turn, move in enumerate(moves):
        moving = threading.Thread(target=move)

        def start(number: int, moving: threading.Thread = moving) -> None:
            if number == CREATIONS // 10:
                moving.start()

        load = create_pods(installed.kubectl, f"turn-{turn}", count=CREATIONS // 2, when=start)
        moving.join(SECONDS)
        assert load.unpatched() == []
    installed.helm("upgrade", RELEASE, str(ours), "--reuse-values", *image_values(installed.image), "--wait")
    assert len(ready_webhooks(installed)) == 2


def test_nothing_stays_when_it_is_removed_and_pods_can_still_be_created(installed: Installed) -> None:
    installed.demo.send_signal(signal.SIGINT)
    installed.demo.communicate(timeout=SECONDS)

    assert installed.demo.returncode == 0
    assert installed.kubectl("get", HOOKS, "--ignore-not-found").stdout == ""
    for kind in ("clusterrole", "clusterrolebinding", "validatingadmissionpolicy", "validatingadmissionpolicybinding"):
        assert "irsa" not in installed.kubectl("get", kind, "-o", "name").stdout
    for namespace in (NAMESPACE, DEMO):
        assert installed.kubectl("get", "namespace", namespace, "--ignore-not-found").stdout == ""
    installed.kubectl.create(objects.pod("irsa-test-after", namespace="default", service_account=None))
    installed.kubectl("delete", "pod", "irsa-test-after", "-n", "default", "--wait=false")

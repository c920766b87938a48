"""The demo in a cluster: chart, issuer and STS where its pods reach them, a Job that gets its role, two that do not.

The cluster signs the tokens with its own key and under its own issuer; the documents that STS reads are served here,
from the keys that the API server publishes. STS and S3 run here too, on the address that the cluster's nodes see of
this machine.
"""

import json
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from app.cluster.manifest_files import manifest_files, read_file
from app.cluster.manifests import read_documents
from app.demo import certificates, cluster_objects, examples, ports, program, servers
from app.demo.cluster_objects import Attempt
from app.demo.examples import Examples
from app.demo.fetch import fetch
from app.demo.processes import Processes, bare_environment, wait
from app.demo.seaweedfs import Ports, SeaweedFS, Trust
from app.demo.story import Refusal, Story
from app.demo.tools import helm, kubectl, kubectl_get
from app.errors import ConfigurationError, DemoError
from oidc.issuer import Issuer
from oidc.keys import parse_jwks

Object = dict[str, Any]

RELEASE: Final = "irsa"
NAMESPACE: Final = "irsa-system"
CHART: Final = examples.FOLDER.parent / "chart"
PYTHON: Final = "/opt/irsa/bin/python"
"""The interpreter of our image, which has boto3 and so runs the example too."""

READY_SECONDS: Final = 180
JOB_SECONDS: Final = 120
LOOK_SECONDS: Final = 0.5


@dataclass(slots=True, kw_only=True)
class ClusterSteps:
    """The steps, and what all of them need.

    Attributes:
        story: hears of everything.
        processes: keeps the children.
        folder: of this run, and ours alone.
        weed: the program of SeaweedFS.
        image: our image, as the cluster's nodes name it.
        address: of this machine, as the pods see it; empty where we are to find out.
    """

    story: Story
    processes: Processes
    folder: Path
    weed: Path
    image: str
    address: str = ""
    _made: list[str] = field(default_factory=list)
    """What there is to remove, in the order of making: ``release``, then ``namespace NAME``."""

    def run(self) -> str:
        """Run all of them, and return how to talk to what there is then.

        Raises:
            IrsaError: one did not do what it should; the story has which.
        """
        application = examples.read()
        issuer, jwks = self._look(application)
        endpoint = self._start_servers(application, issuer=issuer, jwks=jwks)
        self._install(endpoint)
        self._run_jobs(application)
        return (
            "Everything keeps running until Ctrl-C, which removes it all. Look around, in another shell:\n"
            f"  kubectl get pods -n {application.namespace} -o yaml\n"
            f"  kubectl logs -n {NAMESPACE} -l app.kubernetes.io/name=irsa --all-containers\n"
            f"STS and S3: {endpoint}"
        )

    def remove(self) -> None:
        """Remove what was made, newest first; of what cannot be removed the last one is told."""
        problem: DemoError | None = None
        for made in reversed(self._made):
            kind, _, name = made.partition(" ")
            try:
                if kind == "release":
                    helm("uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--ignore-not-found", seconds=READY_SECONDS)
                else:
                    kubectl(
                        "delete", "namespace", name, "--ignore-not-found", f"--timeout={READY_SECONDS}s",
                        seconds=READY_SECONDS + 10,
                    )  # fmt: skip
            except DemoError as error:
                problem = error
        self._made.clear()
        if problem is not None:
            raise problem

    def _look(self, application: Examples) -> tuple[str, bytes]:
        """Return the cluster's issuer and JWKS, when nothing of ours is there yet."""
        with self.story.step("cluster", "Look at the cluster that KUBECONFIG names") as note:
            discovery = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration"))
            jwks = kubectl("get", "--raw", "/openid/v1/jwks")
            taken = [
                name
                for name in (NAMESPACE, application.namespace)
                if kubectl("get", "namespace", name, "--ignore-not-found", "-o", "name").strip()
            ]
            if taken:
                raise ConfigurationError(
                    f"expected a cluster without namespace {taken[0]}, it has one: the demo removes what it makes, "
                    "so remove it first or take another cluster"
                )
            self.address = self.address or _address_seen_by(kubectl_get("nodes"))
            context = kubectl("config", "current-context").strip()
            note.detail = f"{context}: issuer {discovery['issuer']}, this machine is {self.address} to it"
            return str(discovery["issuer"]), jwks.encode()

    def _start_servers(self, application: Examples, *, issuer: str, jwks: bytes) -> str:
        """Start issuer and STS, and return the URL of the latter."""
        with self.story.step("servers", "Start issuer, and STS with S3 (SeaweedFS)") as note, ExitStack() as reserved:
            here, *weed_ports = reserved.enter_context(ports.reserved(1 + servers.SEAWEEDFS_PORTS - 2))
            s3 = reserved.enter_context(ports.reserved(2, host=self.address))
            serving = certificates.make(self.folder, now=datetime.now(UTC))
            published = Issuer.parse(f"https://127.0.0.1:{here}{servers.ISSUER_PATH}")
            public_keys = self.folder / "sa.pub"
            public_keys.write_bytes(b"".join(key.pem() for key in parse_jwks(jwks, "the cluster's JWKS")))
            serve = ["issuer", "serve", "--issuer", published.url, "--public-key", str(public_keys)]
            environment = bare_environment(self.folder)
            documents = self.processes.start(
                "issuer",
                [sys.executable, "-m", "app", *serve, *servers.listen_flags(published.url, serving)],
                environment=environment,
            )
            jwks_url = f"https://127.0.0.1:{here}{published.jwks_path}"
            seaweedfs = SeaweedFS.start(
                self.processes,
                self.folder / "seaweedfs",
                weed=self.weed,
                ports=Ports(*weed_ports, *s3, host=self.address),
                trust=Trust(
                    issuer=issuer,
                    jwks_url=jwks_url,
                    ca=serving.ca,
                    audience=application.identity.audience,
                    role_arn=application.identity.role_arn,
                    subject=servers.subject(application),
                    bucket=application.bucket,
                ),
                signing_key=secrets.token_bytes(32),
                environment=environment,
            )
            tls = servers.client_tls(serving)
            wait(documents, lambda: fetch(jwks_url, tls=tls).status == HTTPStatus.OK, what="be ready")
            wait(seaweedfs.process, seaweedfs.is_ready, what="be ready")
            seaweedfs.make_bucket(application.bucket)
            note.detail = (
                f"the cluster's keys at {jwks_url}\nSTS and S3 at {seaweedfs.endpoint}\n"
                f"the role trusts {servers.subject(application)}"
            )
            return seaweedfs.endpoint

    def _install(self, endpoint: str) -> None:
        with self.story.step("install", "Install the chart, and wait for the webhook") as note:
            self._made += [f"namespace {NAMESPACE}", "release"]
            settings = {"aws-default-region": servers.REGION, "env": [f"AWS_ENDPOINT_URL={endpoint}"]}
            helm(
                "install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace", "--wait",
                *("--timeout", f"{READY_SECONDS}s"),
                *cluster_objects.image_values(self.image),
                *("--set-json", f"settings={json.dumps(settings)}"),
                seconds=READY_SECONDS + 10,
            )  # fmt: skip
            _await_bundle()
            note.detail = f"helm install {RELEASE} {CHART} -n {NAMESPACE}, with {self.image}"

    def _run_jobs(self, application: Examples) -> None:
        documents = [
            document.content
            for file in manifest_files(examples.FOLDER)
            for document in read_documents(read_file(file), source=file.name)
            if isinstance(document.content, dict)
        ]
        cases = cluster_objects.attempts(application)
        with self.story.step("job", "Run the example as a Job") as note:
            self._made.insert(0, f"namespace {application.namespace}")
            made = cluster_objects.objects(documents, application, image=self.image, python=PYTHON)
            kubectl("apply", "-f", "-", manifests=made)
            pod, log = _ended(cases[0], application.namespace)
            answer = program.answer(log)
            if answer is None:
                failure = program.failure(log)
                got = f"{failure.code}: {failure.message}" if failure else "something else"
                raise DemoError(f"job: expected one line of JSON with identity and content, got {got}")
            self.story.answer = answer
            note.detail = (
                f"a real kubelet mounted the token; pod {pod['metadata']['name']} on {pod['spec']['nodeName']}"
            )
        self.story.audience.rows(cluster_objects.injected(pod))
        self.story.audience.answered(answer)
        with self.story.step("refusals", "Run it where it must be refused") as note:
            self.story.refusals = results = [_refusal(case, application.namespace) for case in cases[1:]]
            for each in results:
                if not each.ok:
                    raise DemoError(f"{each.name}: expected {each.expected}, got {each.code or each.message}")
            note.detail = f"{len(results)} Jobs, each refused for the right reason"
        self.story.audience.refused(results)


def _address_seen_by(nodes: Object) -> str:
    """Return our address on the way to the first of *nodes*: a bridge of kind or k3d, a veth, the local network."""
    addresses = [
        address["address"]
        for node in nodes["items"]
        for address in node["status"].get("addresses", ())
        if address["type"] == "InternalIP" and "." in address["address"]
    ]
    if not addresses:
        raise ConfigurationError("expected nodes with an IPv4 InternalIP, got none; say --address")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((addresses[0], 9))  # of a datagram socket: nothing is sent
        return str(probe.getsockname()[0])


def _await_bundle() -> None:
    """Wait until every webhook of ours has its CA: until then the API server passes it over."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        configuration = kubectl_get("mutatingwebhookconfiguration", "-l", "app.kubernetes.io/name=irsa")
        webhooks = [webhook for item in configuration["items"] for webhook in item["webhooks"]]
        if webhooks and all(webhook["clientConfig"].get("caBundle") for webhook in webhooks):
            return
        time.sleep(LOOK_SECONDS)
    raise DemoError(f"install: expected the controller to write caBundle within {READY_SECONDS} s, it did not")


def _ended(case: Attempt, namespace: str) -> tuple[Object, str]:
    """Return the pod of a Job and its log, when it has ended, well or not."""
    deadline = time.monotonic() + JOB_SECONDS
    seen = "no pod"
    while time.monotonic() < deadline:
        pods: Sequence[Object] = kubectl_get("pods", "-n", namespace, "-l", f"job-name={case.name}")["items"]
        for pod in pods:
            seen = pod["status"].get("phase", "no phase")
            if seen in {"Succeeded", "Failed"}:
                with suppress(DemoError):
                    return pod, kubectl("logs", "-n", namespace, pod["metadata"]["name"])
        time.sleep(LOOK_SECONDS)
    raise DemoError(f"{case.name}: expected its pod to end within {JOB_SECONDS} s, got {seen}")


def _refusal(case: Attempt, namespace: str) -> Refusal:
    _, log = _ended(case, namespace)
    failure = program.failure(log)
    code, message = (failure.code, failure.message) if failure else ("", "no error message")
    if program.answer(log) is not None:
        code, message = "", "the role"
    return Refusal(name=case.name, title=case.title, expected=case.expected, code=code, message=message)

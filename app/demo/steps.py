"""The demo, step by step. Each step says what came of it, or ends the demo with what was expected and what came."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from app.demo import certificates, examples, kubelet, pods, program, refusals, servers
from app.demo.certificates import Certificates
from app.demo.examples import Examples
from app.demo.fetch import fetch
from app.demo.files import write_private
from app.demo.keep import Running, instructions
from app.demo.processes import Process, ProcessError, Processes, wait
from app.demo.servers import Addresses, Setting
from app.demo.story import Story
from app.demo.tokens import TokenApi, new_uid
from app.errors import DemoError
from oidc import key_files
from oidc.documents import documents
from oidc.keys import SigningKey, generate
from oidc.targets import folder as document_folder

Object = dict[str, Any]

NAME_CHARACTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""What kube-apiserver ends a generated name with (apimachinery, util/rand): no vowels, no words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps, and what all of them need.

    Attributes:
        story: hears of everything.
        processes: keeps the children.
        folder: of this run, and ours alone.
        weed: the program of SeaweedFS.
    """

    story: Story
    processes: Processes
    folder: Path
    weed: Path

    def run(self) -> str:
        """Run all of them, and return how to talk to what there is then.

        Raises:
            IrsaError: one did not do what it should; the story has which.
        """
        application = self._read_examples()
        serving = self._make_certificates()
        key = self._make_key()
        with servers.addresses() as where:
            self._start_servers(application, key, serving=serving, where=where)
        pod, without_role = self._admit(application, serving, where)
        api = TokenApi(issuer=where.issuer, key=key)
        environment = self._run_pod(application, pod, api)
        self._run_refusals(application, pod, without_role, api=api)
        running = Running(addresses=where, certificates=serving, environment=environment, review=self._review_file)
        return instructions(running, self.folder)

    def remove(self) -> None:
        """Remove nothing: all of it is in the folder, or a process."""

    def _read_examples(self) -> Examples:
        with self.story.step("manifests", "Read the manifests of an application") as note:
            application = examples.read()
            note.detail = (
                f"{examples.FOLDER}\n"
                f"Deployment {application.namespace}/{application.deployment['metadata']['name']}, "
                f"ServiceAccount {application.service_account}, role {application.identity.role_arn}"
            )
            return application

    def _make_certificates(self) -> Certificates:
        with self.story.step("certificates", "Make a CA and a serving certificate") as note:
            note.detail = "for 127.0.0.1 and localhost"
            return certificates.make(self.folder, now=datetime.now(UTC))

    def _make_key(self) -> SigningKey:
        with self.story.step("keygen", "Make the cluster's signing key") as note:
            key = generate("rsa-2048")
            key_files.write_pair(key, self.folder / "sa.key", self._public_key_file)
            note.detail = f"{key.alg}, kid {key.kid}"
            return key

    def _start_servers(
        self, application: Examples, key: SigningKey, *, serving: Certificates, where: Addresses
    ) -> None:
        with self.story.step("render", "Render discovery document and JWKS") as note:
            rendered = documents(where.issuer, [key.public_key])
            document_folder.render(rendered, self.folder / "documents")
            note.detail = f"issuer {where.issuer.url}"
        with self.story.step("servers", "Start issuer, STS with S3 (SeaweedFS), and webhook") as note:
            setting = Setting(
                application=application,
                addresses=where,
                certificates=serving,
                public_key=self._public_key_file,
                documents=rendered,
                weed=self.weed,
                folder=self.folder,
            )
            ready = servers.start(self.processes, setting)
            lines = [f"{each.what} at {each.url} after {each.seconds:.1f} s" for each in ready]
            trust = f"the role trusts {servers.subject(application)} for {application.identity.audience}"
            note.detail = "\n".join([*lines, trust])

    def _admit(self, application: Examples, serving: Certificates, where: Addresses) -> tuple[Object, Object]:
        """Return the pod of the Deployment, and the same under a ServiceAccount without a role, as admitted."""
        with self.story.step("review", "Send the pod through the webhook") as note:
            deployment, replica_set = application.deployment, new_uid()
            ask = _Webhook(serving, f"{where.webhook}/mutate?timeout=10s")
            pod = pods.submitted(deployment, replica_set_uid=replica_set)
            write_private(self._review_file, json.dumps(pods.review(pod, uid=new_uid())).encode())
            admitted, operations = ask.admit(pod)
            other = pods.submitted(deployment, replica_set_uid=replica_set, service_account=application.without_role)
            untouched, nothing = ask.admit(other)
            if not operations:
                raise DemoError("webhook: expected it to patch the pod, got no patch")
            if nothing:
                raise DemoError("webhook: expected no patch for a ServiceAccount without a role, got one")
            note.detail = f"AdmissionReview v1 over TLS, answered with a patch of {len(operations)} operations"
        self.story.audience.injected(operations)
        return admitted, untouched

    def _run_pod(self, application: Examples, pod: Object, api: TokenApi) -> Mapping[str, str]:
        """Run the pod until it has an answer, and return its environment."""
        with self.story.step("pod", "Mount the token and run the container") as note:
            root = self.folder / "pods" / "app"
            planned = kubelet.plan(pod, config_maps=application.config_maps, root=root)
            process = kubelet.run(planned, self.processes, name="pod", root=root, mint=api.mint(pod))
            self.story.answer = answer = _answer(process)
            note.detail = f"{' '.join(pod['spec']['containers'][0]['command'])}, plain boto3"
        self.story.audience.answered(answer)
        return planned.environment

    def _run_refusals(self, application: Examples, pod: Object, without_role: Object, *, api: TokenApi) -> None:
        with self.story.step("refusals", "Run it where it must be refused") as note:
            self.story.refusals = results = refusals.run_all(
                list(refusals.attempts(pod, without_role, api=api)),
                self.processes,
                folder=self.folder / "pods",
                config_maps=application.config_maps,
            )
            refusals.check(results)
            note.detail = f"{len(results)} pods, each refused for the right reason"
        self.story.audience.refused(results)

    @property
    def _public_key_file(self) -> Path:
        return self.folder / "sa.pub"

    @property
    def _review_file(self) -> Path:
        return self.folder / "review.json"


@dataclass(frozen=True, slots=True)
class _Webhook:
    """The webhook as kube-apiserver sees it."""

    serving: Certificates
    url: str

    def admit(self, pod: Object) -> tuple[Object, list[Object]]:
        """Return *pod* as it is after admission, with a name, and what the webhook changed."""
        uid = new_uid()
        body = json.dumps(pods.review(pod, uid=uid)).encode()
        try:
            answer = fetch(self.url, tls=servers.client_tls(self.serving), method="POST", json=body)
        except OSError as error:
            raise DemoError(f"webhook: expected an answer, got: {error}") from error
        if answer.status != HTTPStatus.OK:
            raise DemoError(f"webhook: expected status 200, got {answer.status}")
        admitted, operations = pods.admitted(pod, answer.body, uid=uid)
        suffix = "".join(secrets.choice(NAME_CHARACTERS) for _ in range(5))
        return pods.created(admitted, suffix=suffix, uid=new_uid()), operations


def _answer(process: Process) -> program.Answer:
    """Wait for the first answer of the program in the pod.

    Raises:
        ProcessError: it ended without, and with which error.
    """
    wait(process, lambda: process.status() is not None or "\n" in process.stdout(), what="print an answer")
    answer = program.answer(process.stdout())
    if answer is None:
        failure = program.failure(process.stderr())
        got = f"{failure.code}: {failure.message}" if failure else "something else"
        raise ProcessError(f"pod: expected one line of JSON with identity and content, got {got}", process)
    return answer

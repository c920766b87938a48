"""Every role at its lowest log level, with secrets that can be searched for: none is in what it says anywhere.

That is its log, its standard output, metrics, Events, and arguments, which everybody on the machine can read. What
fails, fails where a secret is at hand. Tracebacks are looked at in ``test_logs.py``, the demo's output in
``tests/interop/test_demo.py``.
"""

import base64
import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from oidc.keys import KeyType
from tests.app.controller.stored_objects import AUTHORITY
from tests.app.marked_api import CERTIFICATE, FORMS, MARKER, PEM, TOKEN, MarkedApi, marked_pod
from tests.builders import body, review
from tests.oidc.keys_for_tests import private_members, signing_key
from tests.processes import Process, irsa


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> list[str]:
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return ["--host", "127.0.0.1", "--port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)]


def said(process: Process) -> str:
    return process.log + Path(f"/proc/{process.pid}/cmdline").read_text()


def get(port: int, path: str, *, authority: trustme.CA | None = None, data: bytes | None = None) -> str:
    """Return the answer to a GET, or to a POST of *data*."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    if authority is not None:
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=10)
    try:
        connection.request("GET" if data is None else "POST", path, data, {"Content-Type": "application/json"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def leaks(text: str) -> list[str]:
    """Return what of *text* has a marker, as it is or in Base64."""
    return [line for line in text.splitlines() if any(form in line for form in FORMS)]


@pytest.mark.parametrize("before", ["", "x", "xx", "xxx"])
def test_marker_is_found_as_it_is_and_in_base64(before: str) -> None:
    text = f"{before}{MARKER}-of-something"

    assert leaks(f"good\n{text}") == [text]
    assert leaks(base64.b64encode(text.encode()).decode())


@dataclass(frozen=True)
class Surroundings:
    """What a role is run with: a cluster, a certificate for it to serve with, and where its files are."""

    api: MarkedApi
    kubeconfig: Path
    authority: trustme.CA
    tls: list[str]
    folder: Path


def reviews() -> list[tuple[str, bytes]]:
    """A pod with secrets as it is, and broken in all its parts, for each path."""
    spec = marked_pod()["spec"]
    pods = [
        marked_pod(),
        marked_pod(volumes=MARKER),
        marked_pod(containers=[MARKER]),
        marked_pod(containers=[{**spec["containers"][0], "env": MARKER}]),
        marked_pod(serviceAccountName={MARKER: MARKER}),
        {**marked_pod(), "spec": MARKER},
        MARKER,
    ]
    template = {"metadata": marked_pod()["metadata"], "spec": spec}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}}
    of_kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    ephemeral: Any = {"operation": "UPDATE", "subResource": "ephemeralcontainers", "oldObject": marked_pod()}
    whole = body(review(marked_pod()))
    return [
        *((path, body(review(one))) for path in ("/mutate", "/mutate-required") for one in pods),
        *(("/mutate-ephemeral", body(review(one, **ephemeral))) for one in pods),
        ("/warn", body(review(deployment, kind=of_kind))),
        ("/warn", body(review({**deployment, "spec": {"template": MARKER}}, kind=of_kind))),
        *((path, broken) for path in ("/mutate", "/warn") for broken in (whole[:-30], MARKER.encode())),
    ]


def run_webhook(at: Surroundings) -> str:
    arguments = [*at.tls, "--metrics-port", "0", "--kubeconfig", str(at.kubeconfig), "--log-level", "debug"]
    with irsa("webhook", *arguments, "--drain-seconds", "0") as process:
        process.wait_for("service_accounts_interrupted")
        port = process.wait_for("listening")["port"]
        metrics_port = process.wait_for("metrics_listening")["port"]
        answers = [json.loads(get(port, path, authority=at.authority, data=data)) for path, data in reviews()[:-4]]
        for path, data in reviews()[-4:]:
            get(port, path, authority=at.authority, data=data)
        assert {answer["response"]["uid"] for answer in answers} == {review(None)["request"]["uid"]}
        (at.folder / "tls.crt").write_bytes(CERTIFICATE)
        (at.folder / "tls.key").write_bytes(PEM)
        process.wait_for("certificate_unusable")
        return said(process) + get(metrics_port, "/metrics") + get(metrics_port, "/readyz")


def run_controller(at: Surroundings) -> str:
    where = ["--host", "127.0.0.1", "--metrics-port", "0", "--kubeconfig", str(at.kubeconfig)]
    with irsa("controller", *where, "--namespace", "irsa-system", "--log-level", "debug") as process:
        process.wait_for("event_failed")
        process.wait_for("event_written")
        process.wait_for("authority_made")
        port = process.wait_for("metrics_listening")["port"]
        key = base64.b64decode(at.api.cluster.objects[AUTHORITY]["data"]["ca.key"]).decode()
        told = said(process) + get(port, "/metrics") + get(port, "/readyz") + at.api.events
    assert at.api.events != "[]"
    assert [line for line in key.splitlines()[1:-1] if line in told] == []
    return told


def run_issuer(at: Surroundings) -> str:
    broken = at.folder / "sa.pub"
    broken.touch(mode=0o600)
    broken.write_bytes(signing_key("p-256").public_key.pem())
    arguments = ["--issuer", "https://issuer.example", "--public-key", str(broken), *at.tls, "--log-level", "debug"]
    with irsa("issuer", "serve", *arguments) as process:
        answer = get(process.wait_for("listening")["port"], f"/{MARKER}", authority=at.authority)
        # Who answers also watches. An edit before that would be seen at the next look without being told of it.
        broken.write_bytes(PEM)
        process.wait_for("documents_kept")
        return said(process) + answer


@pytest.mark.parametrize(
    ("run", "asks_the_cluster"),
    [
        pytest.param(run_webhook, True, id="webhook"),
        pytest.param(run_controller, True, id="controller"),
        pytest.param(run_issuer, False, id="issuer serve"),
    ],
)
def test_role_that_serves_says_no_secret(
    run: Callable[[Surroundings], str],
    authority: trustme.CA,
    tls: list[str],
    tmp_path: Path,
    *,
    asks_the_cluster: bool,
) -> None:
    api = MarkedApi()
    with api.serving(tmp_path) as kubeconfig:
        told = run(Surroundings(api, kubeconfig, authority, tls, tmp_path))

    assert '"level":"debug"' in told or '"level":"info"' in told
    assert leaks(told) == []
    assert set(api.authorizations) == ({f"Bearer {TOKEN}"} if asks_the_cluster else set())
    assert (api.failures > 0) is asks_the_cluster


@pytest.mark.parametrize("is_broken", [False, True], ids=["whole", "broken"])
@pytest.mark.parametrize("command", ["access", "drift", "doctor install", "doctor cluster"])
def test_command_that_reads_a_cluster_says_no_secret(command: str, tmp_path: Path, *, is_broken: bool) -> None:
    api, output = MarkedApi(is_broken=is_broken), tmp_path / "stdout"
    with api.serving(tmp_path) as kubeconfig, output.open("w") as stdout:
        arguments = [*command.split(), "--json", "--kubeconfig", str(kubeconfig)]
        with irsa(*arguments, stdout=stdout) as process:
            command_line = Path(f"/proc/{process.pid}/cmdline").read_text()
            process.wait()

    told = output.read_text()
    assert leaks(told + process.log + command_line) == []
    assert "Traceback" not in process.log
    assert set(api.authorizations) == {f"Bearer {TOKEN}"}
    if is_broken:
        assert api.failures
        assert told or process.log.startswith("irsa: ")
    else:
        assert json.loads(told)


@pytest.mark.parametrize("key_type", ["rsa-2048", "p-256"])
def test_issuer_keeps_the_private_key_that_it_was_given(
    authority: trustme.CA, tls: list[str], tmp_path: Path, key_type: KeyType
) -> None:
    private, broken = tmp_path / "sa.key", tmp_path / "sa.pub"
    pem = signing_key(key_type).private_pem()
    for file in (private, broken):
        file.touch(mode=0o600)
        file.write_bytes(pem)
    keys = [argument for file in (private, broken) for argument in ("--public-key", str(file))]
    with irsa("issuer", "serve", "--issuer", "https://issuer.example", *keys, *tls, "--log-level", "debug") as process:
        port = process.wait_for("listening")["port"]

        def served() -> str:
            paths = ("/openid/v1/jwks", "/.well-known/openid-configuration")
            return "".join(get(port, path, authority=authority) for path in paths)

        public = served()
        broken.write_bytes(pem[:-80])
        process.wait_for("documents_kept")
        assert served() == public

        lines, members = pem.decode().splitlines()[1:-1], private_members(pem)
        assert lines
        assert members
        assert [secret for secret in (*lines, *members) if secret in said(process)] == []
        # A whole line of a private PEM may be in the JWKS: the modulus is in both, and public.
        assert [member for member in members if member in public] == []

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.cli.command_line import run
from oidc.documents import documents
from oidc.issuer import Issuer
from oidc.key_files import read_public_keys, read_signing_key
from oidc.keys import KeyType
from tests.oidc.keys_for_tests import KEY_TYPES, RFC_P256, kubernetes_key, rfc_key, signing_key

SECONDS = 30
"""Longest wait for a process that should answer at once: the machine may be busy."""

URL = "https://localhost/clusters/a"


@dataclass(frozen=True)
class Files:
    """Everything that a command may be given, all good."""

    folder: Path
    key: Path
    public_key: Path
    tls_cert: Path
    tls_key: Path
    authority: trustme.CA


@pytest.fixture
def files(tmp_path: Path) -> Files:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    key, public_key = tmp_path / "sa.key", tmp_path / "sa.pub"
    key.touch(mode=0o600)
    key.write_bytes(signing_key().private_pem())
    public_key.write_bytes(kubernetes_key().pem())
    return Files(tmp_path, key, public_key, tmp_path / "tls.crt", tmp_path / "tls.key", authority)


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, and what it said where."""

    status: int
    output: str
    errors: str


@pytest.fixture
def irsa(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def command(*arguments: object) -> Outcome:
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return command


Command = Callable[..., Outcome]


def test_keygen_makes_a_pair_and_says_which_flags_to_set(irsa: Command, tmp_path: Path) -> None:
    outcome = irsa("issuer", "keygen", "--key", tmp_path / "sa.key")

    key = read_signing_key(tmp_path / "sa.key")
    assert outcome == Outcome(
        0,
        f"kid: {key.kid}\n"
        "kube-apiserver flags:\n"
        f"  --service-account-signing-key-file={tmp_path}/sa.key\n"
        f"  --service-account-key-file={tmp_path}/sa.pub\n",
        "",
    )
    assert (tmp_path / "sa.pub").read_bytes() == key.public_key.pem()
    assert key.alg == "RS256"


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_keygen_makes_every_type(irsa: Command, tmp_path: Path, key_type: KeyType) -> None:
    public = tmp_path / "public.pem"

    outcome = irsa("issuer", "keygen", "--key", tmp_path / "sa.key", "--public-key", public, "--type", key_type)

    assert outcome.status == 0
    assert read_public_keys(public)[0].alg == signing_key(key_type).alg


def test_keygen_overwrites_nothing(irsa: Command, files: Files) -> None:
    assert irsa("issuer", "keygen", "--key", files.key) == Outcome(
        2, "", f"irsa: {files.key}: expected no file there, got one; a key is never overwritten: name another file\n"
    )
    assert irsa("issuer", "keygen", "--key", files.folder / "new.key", "--public-key", files.public_key).status == 2
    assert files.public_key.read_bytes() == kubernetes_key().pem()
    assert not (files.folder / "new.key").exists()


def test_keygen_wants_two_files(irsa: Command, tmp_path: Path) -> None:
    key = tmp_path / "sa.pub"

    assert irsa("issuer", "keygen", "--key", key) == Outcome(
        2, "", f"irsa: expected different files for --key and --public-key, got '{key}' for both\n"
    )


@pytest.mark.parametrize("folder", [".", "/", ""])
def test_keygen_wants_the_name_of_a_file(irsa: Command, folder: str) -> None:
    assert irsa("issuer", "keygen", "--key", folder) == Outcome(
        2, "", f"irsa: expected a file to make as --key, got the folder '{folder or '.'}'\n"
    )


def test_keygen_names_the_types_that_there_are(irsa: Command, tmp_path: Path) -> None:
    outcome = irsa("issuer", "keygen", "--key", tmp_path / "sa.key", "--type", "rsa-1024")

    assert outcome.status == 2
    assert '"rsa-1024" for --type' in outcome.errors
    assert '"rsa-2048", "rsa-4096", "p-256", "p-384", "p-521"' in outcome.errors


def test_render_writes_what_the_keys_say(irsa: Command, files: Files) -> None:
    output = files.folder / "site"
    command = ["issuer", "render", "--issuer", URL, "--public-key", files.public_key, "--public-key", files.key]

    outcome = irsa(*command, "--output", output)

    jwks, discovery = output / "openid/v1/jwks", output / ".well-known/openid-configuration"
    expected = documents(Issuer.parse(URL), [kubernetes_key(), signing_key().public_key])
    assert outcome == Outcome(0, f"wrote {jwks}\nwrote {discovery}\n", "")
    assert (discovery.read_bytes(), jwks.read_bytes()) == (expected.discovery, expected.jwks)
    assert irsa(*command, "--output", output) == Outcome(0, f"unchanged {output}\n", "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "expected RSA or EC keys in PEM, got an empty file", id="empty"),
        pytest.param(b"garbage", "expected RSA or EC keys in PEM, got no PEM block", id="garbage"),
        pytest.param(
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMHc=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "expected an RSA or EC key, got an encrypted private key; decrypt it with `openssl pkey -in FILE -out NEW`",
            id="encrypted",
        ),
        pytest.param(
            trustme.CA().cert_pem.bytes(),
            "expected an RSA or EC key, got a certificate; "
            "take the key out of it with `openssl x509 -pubkey -noout -in FILE`",
            id="certificate",
        ),
    ],
)
def test_a_file_without_a_usable_key_is_one_line(irsa: Command, files: Files, content: bytes, message: str) -> None:
    files.public_key.write_bytes(content)

    outcome = irsa(
        "issuer", "render", "--issuer", URL, "--public-key", files.public_key, "--output", files.folder / "site"
    )

    assert outcome == Outcome(2, "", f"irsa: {files.public_key}: {message}\n")
    assert not (files.folder / "site").exists()


def test_a_private_key_that_others_can_read_is_not_taken_as_a_public_one(irsa: Command, files: Files) -> None:
    files.key.chmod(0o644)

    outcome = irsa("issuer", "render", "--issuer", URL, "--public-key", files.key, "--output", files.folder / "site")

    assert outcome == Outcome(
        2,
        "",
        f"irsa: {files.key}: expected a private key without permissions for group and others, got mode 0644; "
        f"run `chmod 600 {files.key}`\n",
    )


def test_a_link_to_a_private_key_is_not_followed(irsa: Command, files: Files) -> None:
    link = files.folder / "link.key"
    link.symlink_to(files.key)

    outcome = irsa("issuer", "render", "--issuer", URL, "--public-key", link, "--output", files.folder / "site")

    assert outcome == Outcome(
        2,
        "",
        f"irsa: {link}: expected a private key in a file of its own, got a symbolic link; name the file it points to\n",
    )


def test_a_file_is_no_output_folder(irsa: Command, files: Files) -> None:
    outcome = irsa("issuer", "render", "--issuer", URL, "--public-key", files.public_key, "--output", files.tls_cert)

    assert outcome == Outcome(
        2, "", f"irsa: output: expected a folder to write to, got '{files.tls_cert}': not a directory\n"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://localhost", "expected an https:// URL, as STS fetches nothing else, got 'http://localhost'"),
        ("https://localhost/?a", "expected a URL without a query, got 'https://localhost/?a'"),
        ("https://localhost/#a", "expected a URL without a fragment, got 'https://localhost/#a'"),
        ("https://", "expected a URL with a host, got 'https://'"),
        ("https://u:hunter2@localhost", "expected a URL without user name and password, got one with @"),
    ],
)
def test_an_issuer_that_sts_cannot_use_is_one_line(irsa: Command, files: Files, url: str, message: str) -> None:
    of_render = irsa("issuer", "render", "--issuer", url, "--public-key", files.public_key, "--output", files.folder)
    of_serve = irsa(*serve_arguments(files, url))

    assert of_render == of_serve == Outcome(2, "", f"irsa: issuer: {message}\n")


@pytest.mark.parametrize(("flag", "value"), [("--port", "65536"), ("--port", "-1"), ("--max-age", "3601")])
def test_a_number_out_of_its_range_is_one_line(irsa: Command, files: Files, flag: str, value: str) -> None:
    outcome = irsa(*serve_arguments(files), flag, value)

    assert (outcome.status, outcome.output) == (2, "")
    assert flag in outcome.errors
    assert outcome.errors.count("\n") == 1


def test_serve_wants_a_certificate_that_is_there(irsa: Command, files: Files) -> None:
    files.tls_cert.unlink()

    outcome = irsa(*serve_arguments(files))

    assert outcome.status == 2
    assert str(files.tls_cert) in outcome.errors
    assert outcome.errors.count("\n") == 1


def serve_arguments(files: Files, url: str = URL) -> list[str]:
    return [
        *("issuer", "serve", "--issuer", url, "--public-key", str(files.public_key)),
        *("--tls-cert", str(files.tls_cert), "--tls-key", str(files.tls_key), "--host", "127.0.0.1"),
    ]


class Server:
    """A running ``irsa issuer serve``."""

    def __init__(self, process: "subprocess.Popen[str]", authority: trustme.CA) -> None:
        self._process = process
        self._tls = ssl.create_default_context()
        authority.configure_trust(self._tls)
        self.port: int = self.event("listening")["port"]

    def event(self, name: str) -> dict[str, Any]:
        """Return the next log line of this name. The fixture's timer ends the process, and so this wait."""
        assert self._process.stderr is not None
        lines = []
        for line in self._process.stderr:
            lines.append(line)
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
        raise AssertionError(f"no {name} in {lines}")

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPSConnection("localhost", self.port, context=self._tls, timeout=SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name not in {"date", "etag"}}
            return response.status, headers, response.read()
        finally:
            connection.close()

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=SECONDS)


@contextmanager
def issuer_server(files: Files, *flags: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "app", *serve_arguments(files), "--port", "0", *flags]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IRSA_")}
    # S603 fears a command from a stranger; this one is ours.
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603 - as above
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            yield Server(process, files.authority)
        finally:
            timer.cancel()
            process.kill()


def test_serve_answers_over_tls_and_follows_its_key_files(files: Files) -> None:
    issuer = Issuer.parse(URL)
    with issuer_server(files, "--max-age", "60") as server:
        first = documents(issuer, [kubernetes_key()])
        headers = {"cache-control": "public, max-age=60, must-revalidate", "content-type": "application/json"}
        assert server.get("/clusters/a/.well-known/openid-configuration") == (
            200,
            headers | {"content-length": str(len(first.discovery))},
            first.discovery,
        )
        headers["content-type"] = "application/jwk-set+json"
        jwks = "/clusters/a/openid/v1/jwks"
        assert server.get(jwks) == (200, headers | {"content-length": str(len(first.jwks))}, first.jwks)

        # As an editor saves it: a new file in the place of the old one.
        edited = files.folder / "edited"
        edited.write_bytes(kubernetes_key().pem() + rfc_key(RFC_P256).pem())
        edited.replace(files.public_key)
        server.event("documents_changed")
        second = documents(issuer, [kubernetes_key(), rfc_key(RFC_P256)])
        assert server.get(jwks)[2] == second.jwks

        files.public_key.write_bytes(b"a bad edit")
        server.event("documents_kept")
        assert server.get(jwks)[2] == second.jwks

        assert server.stop() == 0

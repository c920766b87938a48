"""What a server does with its certificate files while they change. Files are real, and swapped as the kubelet does."""

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from app.errors import ConfigurationError
from app.serving_certificate import ServingCertificate
from app.tls import ServerTls

AUTHORITY = trustme.CA()
UNTIL = datetime(2040, 1, 1, tzinfo=UTC)


class Mount:
    """A Secret as the kubelet mounts it: every name is a link through ``..data``, which is swapped at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(f"..data/{name}")

    @property
    def tls(self) -> ServerTls:
        return ServerTls(certificate=self.folder / "tls.crt", key=self.folder / "tls.key")

    def put(self, files: dict[str, bytes]) -> None:
        self._number += 1
        version = self.folder / f"..version-{self._number}"
        version.mkdir()
        for name, content in files.items():
            (version / name).write_bytes(content)
        link = self.folder / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self.folder / "..data")


def pair(not_after: datetime = UNTIL) -> dict[str, bytes]:
    issued = AUTHORITY.issue_cert("127.0.0.1", not_after=not_after)
    return {"tls.crt": issued.cert_chain_pems[0].bytes(), "tls.key": issued.private_key_pem.bytes()}


def served(certificate: ServingCertificate) -> bytes | None:
    """Return the certificate that a client sees now, from a real handshake."""
    assert certificate.context is not None
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert(binary_form=True)


def der(files: dict[str, bytes]) -> bytes:
    return ssl.PEM_cert_to_DER_cert(files["tls.crt"].decode())


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


def test_new_pair_is_taken_and_the_old_context_lives_on(mount: Mount) -> None:
    old, new = pair(), pair(datetime(2041, 1, 1, tzinfo=UTC))
    mount.put(old)
    certificate = ServingCertificate.open(mount.tls)
    before = certificate.context
    assert (served(certificate), certificate.not_after) == (der(old), UNTIL.timestamp())

    mount.put(new)
    certificate.look()

    assert certificate.context is not before
    assert (served(certificate), certificate.not_after) == (der(new), datetime(2041, 1, 1, tzinfo=UTC).timestamp())
    assert (certificate.loads, certificate.refusals) == (2, 0)


def test_files_that_stay_are_not_read_again(mount: Mount) -> None:
    mount.put(pair())
    certificate = ServingCertificate.open(mount.tls)

    certificate.look()

    assert certificate.loads == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tls.key": b""}, "expected a TLS key at {key}, got an empty file"),
        ({"tls.crt": b"garbage"}, "expected a PEM certificate in {crt}, got something else"),
        ({"tls.crt": pair()["tls.crt"][:-200]}, "expected a PEM certificate in {crt}, got something else"),
        (
            {"tls.crt": pair()["tls.crt"]},
            "expected the private key of {crt} in {key}, got one of another type or of another certificate",
        ),
    ],
    ids=["empty", "garbage", "half written", "of another key"],
)
def test_pair_that_cannot_be_used_changes_nothing_and_is_told_once(
    mount: Mount, change: dict[str, bytes], problem: str
) -> None:
    first = pair()
    mount.put(first)
    certificate = ServingCertificate.open(mount.tls)

    with capture_logs() as logs:
        mount.put(first | change)
        certificate.look()
        certificate.look()

    expected = problem.format(crt=mount.folder / "tls.crt", key=mount.folder / "tls.key")
    assert logs == [
        {
            "event": "certificate_unusable",
            "log_level": "warning",
            "problem": expected,
            "next_step": "the last good one stays",
        }
    ]
    assert (served(certificate), certificate.problem, certificate.refusals) == (der(first), expected, 1)
    assert certificate.missing() is None

    second = pair()
    mount.put(second)
    certificate.look()
    assert (served(certificate), certificate.problem) == (der(second), "")


def test_files_copied_one_after_the_other_are_taken_when_both_are_there(tmp_path: Path) -> None:
    old, new = pair(), pair()
    tls = ServerTls(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    certificate = ServingCertificate.open(tls)

    tls.certificate.write_bytes(new["tls.crt"])
    certificate.look()
    assert served(certificate) == der(old)

    tls.key.write_bytes(new["tls.key"])
    certificate.look()
    assert served(certificate) == der(new)


def test_missing_pair_is_an_error_unless_it_is_waited_for(mount: Mount) -> None:
    with pytest.raises(ConfigurationError, match=r"^expected a TLS certificate at .*, got: No such file or directory$"):
        ServingCertificate.open(mount.tls)

    certificate = ServingCertificate.open(mount.tls, wait=True)
    called: list[str] = []
    certificate.when_loaded(lambda: called.append("then"))
    problem = f"expected a TLS certificate at {mount.folder / 'tls.crt'}, got"
    assert certificate.missing() == f"not there yet: {problem}: No such file or directory"

    mount.put({"tls.crt": b"", "tls.key": b""})
    certificate.look()
    assert certificate.missing() == f"not there yet: {problem} an empty file"
    assert called == []

    mount.put(pair())
    certificate.look()
    certificate.when_loaded(lambda: called.append("at once"))
    assert (certificate.missing(), called) == (None, ["then", "at once"])


def test_certificate_that_has_expired_is_not_ready(mount: Mount) -> None:
    mount.put(pair(datetime.fromtimestamp(time.time() - 5, UTC)))

    assert ServingCertificate.open(mount.tls).missing() == "expired"


def test_client_ca_is_read_anew_too(mount: Mount) -> None:
    mount.put(pair())
    client_ca = mount.folder / "client-ca.crt"
    AUTHORITY.cert_pem.write_to_path(client_ca)
    tls = ServerTls(certificate=mount.tls.certificate, key=mount.tls.key, client_ca=client_ca)
    certificate = ServingCertificate.open(tls)

    other = trustme.CA()
    other.cert_pem.write_to_path(client_ca)
    certificate.look()

    assert certificate.context is not None
    assert certificate.context.verify_mode is ssl.CERT_REQUIRED
    assert certificate.context.get_ca_certs(binary_form=True) == [
        ssl.PEM_cert_to_DER_cert(other.cert_pem.bytes().decode())
    ]

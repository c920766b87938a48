import socket
import ssl
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.demo import certificates
from app.demo.fetch import Answer, fetch
from app.demo.servers import client_tls
from app.tls import ServerTls, server_context

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"


def serve_once(listener: socket.socket, tls: ssl.SSLContext) -> None:
    connection, _ = listener.accept()
    try:
        with tls.wrap_socket(connection, server_side=True) as stream:
            stream.recv(65_536)
            stream.sendall(ANSWER)
    except OSError:
        connection.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_that_trusts_the_ca_believes_the_server(tmp_path: Path, host: str) -> None:
    made = certificates.make(tmp_path, now=datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(
            target=serve_once, args=(listener, server_context(ServerTls(certificate=made.certificate, key=made.key)))
        )
        thread.start()
        answer = fetch(f"https://{host}:{listener.getsockname()[1]}/", tls=client_tls(made))
        thread.join()

    assert answer == Answer(200, b"ok\n")


def test_a_client_that_trusts_the_ca_of_another_run_does_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    made, other = (certificates.make(tmp_path / name, now=datetime.now(UTC)) for name in ("a", "b"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(
            target=serve_once, args=(listener, server_context(ServerTls(certificate=made.certificate, key=made.key)))
        )
        thread.start()
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", tls=client_tls(other))
        thread.join()


def test_strict_verification_finds_nothing_missing(tmp_path: Path) -> None:
    made = certificates.make(tmp_path, now=datetime.now(UTC))
    context = client_tls(made)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(
            target=serve_once, args=(listener, server_context(ServerTls(certificate=made.certificate, key=made.key)))
        )
        thread.start()
        assert fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/", tls=context).status == 200
        thread.join()


def test_the_key_is_ours_only_and_the_ca_key_is_nowhere(tmp_path: Path) -> None:
    made = certificates.make(tmp_path, now=datetime.now(UTC))

    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.crt", "tls.crt", "tls.key"]
    assert b"PRIVATE" not in made.ca.read_bytes() + made.certificate.read_bytes()

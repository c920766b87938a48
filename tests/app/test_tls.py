import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from app.errors import ConfigurationError
from app.tls import ServerTls, server_context


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    issued = trustme.CA().issue_cert("localhost")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


def refused(certificate: Path, key: Path, client_ca: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        server_context(ServerTls(certificate=certificate, key=key, client_ca=client_ca))
    return str(caught.value)


def test_certificate_and_its_key_are_taken(files: tuple[Path, Path]) -> None:
    context = server_context(ServerTls(certificate=files[0], key=files[1]))

    assert (context.minimum_version, context.verify_mode) == (ssl.TLSVersion.TLSv1_2, ssl.CERT_NONE)


def test_version_and_ciphers_are_those_that_were_asked_for(files: tuple[Path, Path]) -> None:
    certificate, key = files
    newest = server_context(ServerTls(certificate=certificate, key=key, minimum_version=ssl.TLSVersion.TLSv1_3))
    one = server_context(ServerTls(certificate=certificate, key=key, ciphers=("ECDHE-RSA-AES128-GCM-SHA256",)))

    assert newest.minimum_version is ssl.TLSVersion.TLSv1_3
    assert [cipher["name"] for cipher in one.get_ciphers() if cipher["protocol"] == "TLSv1.2"] == [
        "ECDHE-RSA-AES128-GCM-SHA256"
    ]


def test_missing_file_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    missing = tmp_path / "missing"

    assert refused(missing, key) == f"expected a TLS certificate at {missing}, got: No such file or directory"
    assert refused(certificate, missing) == f"expected a TLS key at {missing}, got: No such file or directory"
    assert refused(certificate, tmp_path) == f"expected a TLS key at {tmp_path}, got: Is a directory"
    assert refused(certificate, key, missing) == f"expected a client CA at {missing}, got: No such file or directory"


def test_empty_file_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    empty = tmp_path / "empty"
    empty.write_text("\n")

    assert refused(empty, key) == f"expected a TLS certificate at {empty}, got an empty file"
    assert refused(certificate, empty) == f"expected a TLS key at {empty}, got an empty file"


def test_certificate_that_is_none_is_named(files: tuple[Path, Path]) -> None:
    certificate, key = files

    assert refused(key, key) == f"expected a PEM certificate in {key}, got something else"
    assert refused(certificate, key, key) == f"expected PEM certificates in {key}, got something else"


def test_public_key_as_key_is_named(files: tuple[Path, Path]) -> None:
    certificate, key = files
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    assert refused(certificate, key) == f"expected a PEM private key in {key}, got something else"


def test_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(files: tuple[Path, Path]) -> None:
    certificate, key = files
    private = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))

    assert refused(certificate, key) == f"expected a private key without a password in {key}, got an encrypted one"


def test_key_of_another_certificate_is_refused(files: tuple[Path, Path]) -> None:
    certificate, key = files
    private = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert refused(certificate, key) == (
        f"expected the private key of {certificate} in {key}, got one of another type or of another certificate"
    )

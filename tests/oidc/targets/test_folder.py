import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from oidc.documents import Documents, documents
from oidc.errors import ConfigurationError
from oidc.issuer import Issuer
from oidc.targets.folder import render
from tests.oidc.keys_for_tests import RFC_P256, kubernetes_key, rfc_key

ISSUER = Issuer.parse("https://host/clusters/a")
DOCUMENTS = documents(ISSUER, [kubernetes_key()])


@pytest.fixture(params=[pytest.param(0o000, id="umask 000"), pytest.param(0o077, id="umask 077")])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def tree(folder: Path) -> dict[str, str | bytes]:
    """Return every path under *folder*: content of files, mode of folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else f"{path.stat().st_mode & 0o777:o}"
        for path in folder.rglob("*")
    }


@pytest.mark.usefixtures("umask")
def test_a_folder_holds_both_documents_for_any_web_server_to_read(tmp_path: Path) -> None:
    output = tmp_path / "missing" / "site"

    written = render(DOCUMENTS, output)

    assert written == (output / "openid/v1/jwks", output / ".well-known/openid-configuration")
    assert tree(output) == {
        ".well-known": "755",
        ".well-known/openid-configuration": DOCUMENTS.discovery,
        "openid": "755",
        "openid/v1": "755",
        "openid/v1/jwks": DOCUMENTS.jwks,
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o644}
    assert stat.S_IMODE(output.stat().st_mode) == 0o755


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    written = render(DOCUMENTS, tmp_path)
    before = [path.stat().st_mtime_ns for path in written]

    assert render(DOCUMENTS, tmp_path) == ()
    assert [path.stat().st_mtime_ns for path in written] == before


def test_only_the_document_that_changed_is_written(tmp_path: Path) -> None:
    render(documents(ISSUER, [rfc_key(RFC_P256)]), tmp_path)
    now = Documents(discovery=documents(ISSUER, [rfc_key(RFC_P256)]).discovery, jwks=DOCUMENTS.jwks)

    assert render(now, tmp_path) == (tmp_path / "openid/v1/jwks",)
    assert (tmp_path / "openid/v1/jwks").read_bytes() == DOCUMENTS.jwks


def test_a_reader_keeps_the_whole_old_document(tmp_path: Path) -> None:
    old = documents(ISSUER, [rfc_key(RFC_P256)])
    render(old, tmp_path)

    with (tmp_path / "openid/v1/jwks").open("rb") as reader:
        render(DOCUMENTS, tmp_path)

        assert reader.read() == old.jwks


def test_discovery_is_not_written_where_the_jwks_could_not_be(tmp_path: Path) -> None:
    (tmp_path / "openid").write_text("in the way")

    with pytest.raises(ConfigurationError) as refusal:
        render(DOCUMENTS, tmp_path)

    assert str(refusal.value) == (f"output: expected a folder to write to, got '{tmp_path}/openid': not a directory")
    assert [path.name for path in tmp_path.iterdir()] == ["openid"]


def test_a_write_that_fails_leaves_nothing_half_made(tmp_path: Path) -> None:
    in_the_way = tmp_path / "openid/v1/jwks"
    in_the_way.mkdir(parents=True)

    with pytest.raises(ConfigurationError, match="is a directory"):
        render(DOCUMENTS, tmp_path)

    assert list(in_the_way.parent.iterdir()) == [in_the_way]


def test_a_file_is_no_output_folder(tmp_path: Path) -> None:
    output = tmp_path / "site"
    output.write_text("precious")

    with pytest.raises(ConfigurationError) as refusal:
        render(DOCUMENTS, output)

    assert str(refusal.value) == f"output: expected a folder to write to, got '{output}': not a directory"
    assert output.read_text() == "precious"

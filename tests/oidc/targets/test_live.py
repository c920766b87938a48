from pathlib import Path

import pytest
from structlog.testing import capture_logs

from oidc.documents import documents
from oidc.errors import KeyFileError
from oidc.issuer import Issuer
from oidc.targets.live import LiveDocuments
from tests.oidc.keys_for_tests import RFC_P256, kubernetes_key, rfc_key

ISSUER = Issuer.parse("https://host/clusters/a")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "sa.pub"
    path.write_bytes(kubernetes_key().pem())
    return path


def test_documents_follow_their_key_files(key_file: Path) -> None:
    live = LiveDocuments(ISSUER, [key_file])
    key_file.write_bytes(kubernetes_key().pem() + rfc_key(RFC_P256).pem())

    with capture_logs() as logs:
        live.reload()

    assert live.current() == documents(ISSUER, [kubernetes_key(), rfc_key(RFC_P256)])
    assert logs == [{"event": "documents_changed", "issuer": "https://host/clusters/a", "log_level": "info"}]


def test_an_edit_that_changes_no_key_is_not_worth_a_word(key_file: Path) -> None:
    live = LiveDocuments(ISSUER, [key_file])
    before = live.current()
    key_file.write_bytes(b"# comment\n" + kubernetes_key().pem())

    with capture_logs() as logs:
        live.reload()

    assert live.current() is before
    assert logs == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "expected RSA or EC keys in PEM, got an empty file", id="emptied"),
        pytest.param(
            kubernetes_key().pem()[:-9], "expected whole PEM blocks, got one without its END line", id="half written"
        ),
    ],
)
def test_a_bad_edit_leaves_the_last_good_documents(key_file: Path, content: bytes, reason: str) -> None:
    live = LiveDocuments(ISSUER, [key_file])
    key_file.write_bytes(content)

    with capture_logs() as logs:
        live.reload()

    assert live.current() == documents(ISSUER, [kubernetes_key()])
    assert logs == [{"event": "documents_kept", "reason": f"{key_file}: {reason}", "log_level": "error"}]


def test_there_is_no_start_without_documents(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        LiveDocuments(ISSUER, [tmp_path / "missing.pub"])

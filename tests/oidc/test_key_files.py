import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from oidc.errors import KeyFileError
from oidc.key_files import read_public_keys, read_signing_key, write_pair
from tests.oidc.keys_for_tests import kubernetes_key, signing_key

NOBODY = 65534


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def unreadable_file(tmp_path: Path) -> Iterator[Path]:
    """Make a file that we may not read, and for this give up root, who may read everything."""
    path = tmp_path / "unreadable.key"
    path.touch(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield path
    os.seteuid(user)


@pytest.fixture
def private_file(tmp_path: Path) -> Path:
    path = tmp_path / "sa.key"
    path.touch(mode=0o600)
    path.write_bytes(signing_key().private_pem())
    return path


def refusal_of(path: Path) -> str:
    """Return what both readers say of a private key at *path*; they must agree."""
    with pytest.raises(KeyFileError) as of_public:
        read_public_keys(path)
    with pytest.raises(KeyFileError) as of_private:
        read_signing_key(path)
    assert str(of_public.value) == str(of_private.value)
    return str(of_private.value)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("no_umask")
def test_a_new_private_key_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    write_pair(signing_key(), tmp_path / "sa.key", tmp_path / "sa.pub")

    assert (mode(tmp_path / "sa.key"), mode(tmp_path / "sa.pub")) == (0o600, 0o644)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    key = signing_key()

    write_pair(key, tmp_path / "sa.key", tmp_path / "sa.pub")

    assert read_signing_key(tmp_path / "sa.key").kid == key.kid
    assert read_public_keys(tmp_path / "sa.pub", tmp_path / "sa.key") == [key.public_key, key.public_key]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    private = tmp_path / "sa.key"
    private.write_text("precious")

    with pytest.raises(KeyFileError) as refusal:
        write_pair(signing_key(), private, tmp_path / "sa.pub")

    assert str(refusal.value) == (
        f"{private}: expected no file there, got one; a key is never overwritten: name another file"
    )
    assert private.read_text() == "precious"
    assert not (tmp_path / "sa.pub").exists()


def test_a_public_key_in_the_way_leaves_no_private_key_behind(tmp_path: Path) -> None:
    (tmp_path / "sa.pub").write_text("precious")

    with pytest.raises(KeyFileError, match="expected no file there, got one"):
        write_pair(signing_key(), tmp_path / "sa.key", tmp_path / "sa.pub")

    assert [path.name for path in tmp_path.iterdir()] == ["sa.pub"]
    assert (tmp_path / "sa.pub").read_text() == "precious"


def test_a_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "sa.key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(KeyFileError, match="expected no file there, got one"):
        write_pair(signing_key(), tmp_path / "sa.key", tmp_path / "sa.pub")

    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    private = tmp_path / "missing" / "sa.key"

    with pytest.raises(KeyFileError) as refusal:
        write_pair(signing_key(), private, tmp_path / "sa.pub")

    assert str(refusal.value) == f"{private}: expected to make a key file, got: no such file or directory"


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_private_key_that_others_can_use_is_refused(private_file: Path, permissions: int) -> None:
    private_file.chmod(permissions)

    assert refusal_of(private_file) == (
        f"{private_file}: expected a private key without permissions for group and others, "
        f"got mode 0{permissions:o}; run `chmod 600 {private_file}`"
    )


@pytest.mark.parametrize("permissions", [0o600, 0o400])
def test_a_private_key_of_its_owners_is_read(private_file: Path, permissions: int) -> None:
    private_file.chmod(permissions)

    assert read_signing_key(private_file).kid == signing_key().kid


def test_a_link_to_a_private_key_is_refused(private_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.key"
    link.symlink_to(private_file)

    assert refusal_of(link) == (
        f"{link}: expected a private key in a file of its own, got a symbolic link; name the file it points to"
    )


def test_a_link_to_a_public_key_is_followed_as_mounted_config_maps_need(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "sa.pub").write_bytes(kubernetes_key().pem())
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "sa.pub").symlink_to("..data/sa.pub")

    assert read_public_keys(tmp_path / "sa.pub") == [kubernetes_key()]


def test_permissions_are_those_of_the_file_that_was_read(
    private_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private_file.chmod(0o644)
    decent = tmp_path / "decent"
    decent.touch(mode=0o600)
    opened = os.open

    def open_and_swap(path: Path, flags: int) -> int:
        descriptor = opened(path, flags)
        decent.replace(private_file)
        return descriptor

    # Patched, because no test can win this race by trying.
    monkeypatch.setattr(os, "open", open_and_swap)

    with pytest.raises(KeyFileError, match="got mode 0644"):
        read_signing_key(private_file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sa.key"

    assert refusal_of(path) == f"{path}: expected a readable key file, got: no such file or directory"


def test_an_unreadable_file_is_named(unreadable_file: Path) -> None:
    assert refusal_of(unreadable_file) == f"{unreadable_file}: expected a readable key file, got: permission denied"


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    assert refusal_of(tmp_path) == f"{tmp_path}: expected a file, got a folder"


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert refusal_of(tmp_path / "pipe") == f"{tmp_path / 'pipe'}: expected a file, got a device, pipe or socket"


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "sa.pub"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)

    assert refusal_of(path) == f"{path}: expected a key file of at most 262144 bytes, got a longer one"


def test_public_keys_do_not_sign(tmp_path: Path) -> None:
    path = tmp_path / "sa.pub"
    path.write_bytes(kubernetes_key().pem())

    with pytest.raises(KeyFileError) as refusal:
        read_signing_key(path)

    assert str(refusal.value) == f"{path}: expected a private key, got public ones only"


def test_the_first_private_key_of_several_signs_as_in_kubernetes(tmp_path: Path) -> None:
    path = tmp_path / "sa.key"
    path.touch(mode=0o600)
    keys = [signing_key("p-384"), signing_key("p-256")]
    path.write_bytes(b"".join([kubernetes_key().pem(), *(key.private_pem() for key in keys)]))

    assert read_signing_key(path).kid == keys[0].kid
    assert read_public_keys(path) == [kubernetes_key(), *(key.public_key for key in keys)]

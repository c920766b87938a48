import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.cluster.folder import FolderSource
from app.cluster.objects import ServiceAccount
from app.cluster.source import ServiceAccountSource
from app.errors import ManifestError
from app.webhook.annotations import Vocabulary
from tests.app.cluster.eventually import eventually
from tests.app.cluster.running import running
from tests.app.cluster.scripted_api import ManualClock

pytestmark = pytest.mark.anyio

ROLE_ARN = "eks.amazonaws.com/role-arn"


def manifest(name: str, role: str) -> str:
    return f"""
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
  annotations:
    {ROLE_ARN}: "{role}"
"""


def role(source: FolderSource, name: str) -> str | None:
    found = source.get("default", name)
    return None if found is None else found.annotations[ROLE_ARN]


@asynccontextmanager
async def following(folder: Path) -> AsyncIterator[FolderSource]:
    source = FolderSource.open(folder, keep=Vocabulary())
    async with running(source.run()):
        await asyncio.sleep(0)  # its first step is to watch the folder
        yield source


def test_all_manifests_in_it_and_below_are_read(tmp_path: Path) -> None:
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "one.yaml").write_text(manifest("one", "1") + "---" + manifest("two", "2"))
    (tmp_path / "deep" / "three.yml").write_text(manifest("three", "3"))
    four = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "four", "annotations": {ROLE_ARN: "4"}}}
    (tmp_path / "deep" / "deeper" / "four.json").write_text(json.dumps(four))
    (tmp_path / "README.md").write_text("no: manifest: at all")

    source = FolderSource.open(tmp_path, keep=Vocabulary())

    assert [role(source, name) for name in ("one", "two", "three", "four")] == ["1", "2", "3", "4"]
    assert len(source) == 4


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "one.yaml").write_text(manifest("one", "1"))
    (tmp_path / ".two.yaml").write_text("half: of: an edit")
    (tmp_path / ".#three.yaml").symlink_to(tmp_path / "somebody@host")

    assert len(FolderSource.open(tmp_path, keep=Vocabulary())) == 0


def test_later_file_counts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(manifest("api", "first"))
    (tmp_path / "b.yaml").write_text(manifest("api", "second"))

    assert role(FolderSource.open(tmp_path, keep=Vocabulary()), "api") == "second"


def test_folder_that_is_linked_into_itself_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(manifest("one", "1"))
    (tmp_path / "self").symlink_to(tmp_path)

    assert len(FolderSource.open(tmp_path, keep=Vocabulary())) == 1


def test_bad_file_at_start_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: 1\nb: [1\n")

    with pytest.raises(ManifestError) as caught:
        FolderSource.open(tmp_path, keep=Vocabulary())

    assert str(caught.value) == (
        f"{tmp_path}/bad.yaml:3:1: cannot be read as YAML: expected ',' or ']', but got '<stream end>'"
    )


@pytest.mark.parametrize(("name", "problem"), [("none", "No such file or directory"), ("file.yaml", "Not a directory")])
def test_what_is_no_folder_is_named(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "file.yaml").write_text("")

    with pytest.raises(ManifestError) as caught:
        FolderSource.open(tmp_path / name, keep=Vocabulary())

    assert str(caught.value) == f"{tmp_path}/{name}: expected a folder of YAML manifests, got: {problem}"


# We look every five seconds in any case: less time than that proves that the change was reported.
SOON = 4


async def test_edits_new_files_and_removed_ones_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(manifest("one", "1"))
    (tmp_path / "two.yaml").write_text(manifest("two", "2"))
    async with following(tmp_path) as source:
        (tmp_path / "one.yaml").write_text(manifest("one", "changed"))
        (tmp_path / "two.yaml").unlink()
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "three.yaml").write_text(manifest("three", "3"))

        await eventually(
            lambda: [role(source, name) for name in ("one", "two", "three")] == ["changed", None, "3"], seconds=SOON
        )


async def test_swap_of_a_mounted_configmap_is_noticed(tmp_path: Path) -> None:
    """As the kubelet does it: a folder for each version, `..data` moved from one to the next in one step."""

    def write(version: str, role: str) -> None:
        folder = tmp_path / version
        folder.mkdir()
        (folder / "sa.yaml").write_text(manifest("api", role))
        (tmp_path / "..data_tmp").symlink_to(version)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    write("..2026_11_24_09", "first")
    (tmp_path / "sa.yaml").symlink_to("..data/sa.yaml")
    async with following(tmp_path) as source:
        assert (role(source, "api"), len(source)) == ("first", 1)

        write("..2026_11_24_10", "second")

        await eventually(lambda: role(source, "api") == "second", seconds=SOON)


async def test_bad_edit_keeps_the_last_good_content_and_is_logged_once(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(manifest("one", "1"))
    (tmp_path / "two.yaml").write_text(manifest("two", "2"))
    source = FolderSource.open(tmp_path, keep=Vocabulary())
    (tmp_path / "one.yaml").write_text("password: MARKER\npassword: MARKER\n")
    (tmp_path / "two.yaml").write_text(manifest("two", "changed"))

    with capture_logs() as logs:
        source.look()
        source.look()

    assert (role(source, "one"), role(source, "two")) == ("1", "changed")
    assert logs == [
        {
            "event": "manifest_unreadable",
            "log_level": "warning",
            "problem": f"{tmp_path}/one.yaml:2:1: expected each key once, got one twice",
            "next_step": "the last good content stays",
        },
        {
            "event": "manifests_read",
            "log_level": "info",
            "folder": str(tmp_path),
            "files": 2,
            "service_accounts": 2,
        },
    ]

    (tmp_path / "one.yaml").write_text(manifest("one", "mended"))
    source.look()

    assert role(source, "one") == "mended"


def test_new_file_that_is_bad_hides_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(manifest("one", "1"))
    source = FolderSource.open(tmp_path, keep=Vocabulary())
    (tmp_path / "bad.yaml").write_text("[")

    source.look()

    assert role(source, "one") == "1"


def test_folder_that_goes_away_keeps_its_content_and_is_logged_once(tmp_path: Path) -> None:
    clock = ManualClock()
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "one.yaml").write_text(manifest("one", "1"))
    source = FolderSource.open(folder, keep=Vocabulary(), clock=clock)
    folder.rename(tmp_path / "away")

    clock.now += 30
    with capture_logs() as logs:
        source.look()
        source.look()

    assert role(source, "one") == "1"
    assert source.age(clock()) == 30.0
    assert [entry["problem"] for entry in logs] == [
        f"{folder}: expected a folder of YAML manifests, got: No such file or directory"
    ]

    (tmp_path / "away").rename(folder)
    source.look()

    assert source.age(clock()) == 0.0


def test_age_is_infinite_before_the_first_look(tmp_path: Path) -> None:
    assert FolderSource(tmp_path, keep=Vocabulary()).age(0.0) == math.inf


async def test_nobody_knows_more_of_a_file_than_its_last_reader(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(manifest("one", "1"))
    source: ServiceAccountSource = FolderSource.open(tmp_path, keep=Vocabulary())

    assert await source.confirm("default", "one") == source.get("default", "one") == ServiceAccount({ROLE_ARN: "1"})
    assert await source.confirm("default", "two") is None
    assert not source.is_recent("default", "one")

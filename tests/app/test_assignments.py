import asyncio
import json
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app.assignments import Following, follow, is_file
from app.errors import ConfigurationError
from app.webhook.assigned import Assigned
from app.webhook.config_map import MAX_JSON_CHARACTERS
from app.webhook.mappings import ParsedMappings
from tests.app.cluster.fake_cluster import FakeCluster
from tests.builders import ROLE_ARN

MAPPINGS = json.dumps({"shop/app": {"RoleARN": ROLE_ARN}})
IDENTITIES = '{"identities": [{"namespace": "shop", "serviceAccount": "app"}]}'
PLACE = "/api/v1/namespaces/irsa-system/configmaps"


def config_map(name: str, text: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "irsa-system"}, "data": {"config": text}}


async def until(condition: Callable[[], object], what: str) -> None:
    for _ in range(30_000):
        if condition():
            return
        await asyncio.sleep(0.001)  # it is read in a thread
    raise AssertionError(what)


def test_config_maps_are_followed_from_their_making_to_their_deletion() -> None:
    async def run() -> None:
        cluster, assigned = FakeCluster(), Assigned()
        following = follow(
            assigned, mappings="irsa-system/roles", container_credentials="irsa-system/local", api=cluster
        )
        assert [age() for age in following.ages.values()] == [math.inf, math.inf]
        tasks = [asyncio.ensure_future(loop()) for loop in following.loops.values()]
        try:
            await until(lambda: all(age() < math.inf for age in following.ages.values()), "nothing was listed")
            await cluster.create(PLACE, config_map("roles", MAPPINGS))
            await cluster.create(PLACE, config_map("local", IDENTITIES))
            await until(lambda: assigned.mappings.find("shop", "app"), "no mapping came")
            await until(lambda: assigned.container_credentials == {("shop", "app")}, "no identity came")
            await cluster.delete(f"{PLACE}/roles")
            await until(lambda: assigned.mappings.find("shop", "app") is None, "the mapping stayed")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


class Waiting(Assigned):
    """Reads mappings when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def parse_mappings(self, data: Mapping[str, str] | None) -> ParsedMappings:
        if data:
            self.has_begun.set()
            assert self.may_end.wait(30), "nothing else went on"
        return super().parse_mappings(data)


def test_reviews_go_on_while_mappings_are_read_and_what_came_last_is_in_force() -> None:
    async def run() -> None:
        cluster, assigned = FakeCluster(), Waiting()
        cluster.put(f"{PLACE}/roles", config_map("roles", MAPPINGS))
        following = follow(assigned, mappings="irsa-system/roles", container_credentials=None, api=cluster)
        task = asyncio.ensure_future(following.loops["mappings"]())
        try:
            await until(assigned.has_begun.is_set, "nothing was read")
            assert following.ages["mappings"]() == math.inf
            other = config_map("roles", json.dumps({"shop/other": {"RoleARN": ROLE_ARN}}))
            cluster.put(f"{PLACE}/roles", config_map("roles", "{"))
            cluster.put(f"{PLACE}/roles", other)
            assigned.may_end.set()
            await until(lambda: assigned.mappings.find("shop", "other"), "the last one was not read")
            assert assigned.mappings.find("shop", "app") is None
            assert following.ages["mappings"]() < math.inf
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_content_that_could_never_be_read_is_not_ready_and_what_is_not_there_is() -> None:
    async def run() -> None:
        cluster, assigned = FakeCluster(), Assigned()
        cluster.put(f"{PLACE}/roles", config_map("roles", "{"))
        following = follow(
            assigned, mappings="irsa-system/roles", container_credentials="irsa-system/local", api=cluster
        )
        tasks = [asyncio.ensure_future(loop()) for loop in following.loops.values()]
        try:
            await until(lambda: following.ages["container_credentials"]() < math.inf, "what is not there was not ready")
            await until(lambda: assigned.problems["mappings"], "the problem was not seen")
            assert following.ages["mappings"]() == math.inf
            cluster.put(f"{PLACE}/roles", config_map("roles", MAPPINGS))
            await until(lambda: following.ages["mappings"]() < math.inf, "what was mended was not ready")
            cluster.put(f"{PLACE}/roles", config_map("roles", "{"))
            await until(lambda: assigned.problems["mappings"], "the next problem was not seen")
            assert following.ages["mappings"]() < math.inf
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


@pytest.mark.parametrize("setting", ["mappings", "container_credentials"])
def test_config_map_without_a_cluster_is_refused(setting: str) -> None:
    named: dict[str, str | None] = {"mappings": None, "container_credentials": None, setting: "irsa-system/roles"}

    with pytest.raises(ConfigurationError, match=f"^{setting}: expected a cluster with the ConfigMap"):
        follow(Assigned(), mappings=named["mappings"], container_credentials=named["container_credentials"], api=None)


def following_file(path: Path) -> tuple[Assigned, Following]:
    assigned = Assigned()
    return assigned, follow(assigned, mappings=None, container_credentials=str(path), api=None)


def test_file_is_read_at_once_and_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.assignments.LOOK_SECONDS", 0)
    file = tmp_path / "identities.json"
    file.write_text(IDENTITIES)
    assigned, following = following_file(file)
    assert assigned.container_credentials == {("shop", "app")}

    async def run() -> None:
        task = asyncio.ensure_future(following.loops["container_credentials"]())
        try:
            file.write_text("{}")
            await until(lambda: not assigned.container_credentials, "the change was not seen")
            file.write_text("{")
            await until(lambda: assigned.problems["container_credentials"], "the problem was not seen")
            file.write_text(IDENTITIES)
            await until(lambda: assigned.container_credentials, "the next change was not seen")
            file.unlink()
            await until(lambda: not assigned.container_credentials, "the deletion was not seen")
        finally:
            task.cancel()

    asyncio.run(run())


def test_file_that_cannot_be_read_is_not_ready(tmp_path: Path) -> None:
    _, following = following_file(tmp_path)

    assert following.ages["container_credentials"]() == math.inf


def test_file_without_end_is_a_problem_and_not_held(tmp_path: Path) -> None:
    file = tmp_path / "identities.json"
    with file.open("wb") as stream:
        stream.truncate(MAX_JSON_CHARACTERS * 4)
    assigned, _ = following_file(file)

    assert len(assigned.problems["container_credentials"]) == 1


@pytest.mark.parametrize(
    ("place", "expected"), [("/etc/a.json", True), ("./a.json", True), ("../a", True), ("a/b", False)]
)
def test_paths_and_config_maps_are_told_apart(place: str, expected: bool) -> None:
    assert is_file(place) is expected

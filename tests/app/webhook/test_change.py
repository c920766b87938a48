import json
from typing import Any

import pytest

from app.webhook.change import Change, annotations_of, change_of
from tests.builders import UID


def body(**request: Any) -> bytes:
    return json.dumps({"request": {"uid": UID, "operation": "CREATE", "namespace": "shop"} | request}).encode()


AFTER = {"kind": "Deployment", "metadata": {"name": "app"}, "newerThanUs": {"a": [1]}}
BEFORE = {"kind": "Deployment", "metadata": {"name": "app"}}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param({"object": AFTER, "oldObject": None}, Change("shop", AFTER), id="creation"),
        pytest.param(
            {"object": AFTER, "oldObject": BEFORE, "operation": "UPDATE"}, Change("shop", AFTER, BEFORE), id="update"
        ),
        pytest.param({"object": None, "oldObject": BEFORE, "operation": "DELETE"}, None, id="deletion"),
        pytest.param({"object": AFTER, "operation": "CONNECT"}, None, id="other operation"),
        pytest.param({"object": AFTER, "operation": "UPDATE", "subResource": "status"}, None, id="status"),
        pytest.param({"object": [AFTER]}, None, id="no object"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_creations_and_updates_are_changes(request_: dict[str, Any], expected: Change | None) -> None:
    assert change_of(body(**request_)) == expected


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"null", b'{"request":1}'])
def test_what_cannot_be_read_is_no_change(data: bytes) -> None:
    assert change_of(data) is None


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param({"name": "app", "generateName": "app-"}, "app", id="name"),
        pytest.param({"generateName": "app-"}, "app-", id="generateName"),
        pytest.param({"name": 1}, "", id="number"),
        pytest.param(None, "", id="no metadata"),
    ],
)
def test_change_has_the_name_of_its_object(metadata: Any, expected: str) -> None:
    assert Change("shop", {"metadata": metadata}).name == expected


@pytest.mark.parametrize(
    ("owners", "expected"),
    [
        pytest.param([{"kind": "Deployment", "controller": True}], True, id="controller"),
        pytest.param([{"kind": "Application", "controller": False}, {"kind": "Shop"}], False, id="owners"),
        pytest.param([], False, id="nobody"),
        pytest.param([1, "x", None], False, id="no owners"),
        pytest.param("x", False, id="no list"),
    ],
)
def test_object_with_a_controller_is_a_controllers(owners: Any, *, expected: bool) -> None:
    assert Change("shop", {"metadata": {"ownerReferences": owners}}).is_of_a_controller is expected


def test_annotations_are_those_that_are_strings() -> None:
    assert annotations_of({"metadata": {"annotations": {"a": "1", "b": 2, "c": None}}}) == {"a": "1"}
    assert annotations_of({"metadata": {"annotations": ["a"]}}) == {}
    assert annotations_of({}) == {}

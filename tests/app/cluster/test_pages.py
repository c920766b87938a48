import json
from typing import Any

import pytest

from app.cluster.api import Collection
from app.cluster.pages import ATTEMPTS, MAX_PAGE_BYTES, STEP, every
from app.errors import ClusterError, ExpiredError, PageTooLargeError
from tests.app.cluster.scripted_api import ScriptedApi, Step, page

pytestmark = pytest.mark.anyio

PODS = Collection(path="/api/v1/pods", label_selector="a=b")


def listed(*items: Any, continue_token: str = "") -> bytes:
    return json.dumps({"metadata": {"resourceVersion": "5", "continue": continue_token}, "items": items}).encode()


async def names(api: ScriptedApi, *, page_size: int = 2) -> list[str]:
    return [item["metadata"]["name"] async for item in every(api, PODS, page_size=page_size)]


async def test_every_object_comes_as_it_is() -> None:
    pods = [{"metadata": {"name": "a"}, "fieldOfTomorrow": {"x": [1, None]}}, {"metadata": {"name": "b"}}]
    api = ScriptedApi(lists=[listed(pods[0], continue_token="more"), listed(pods[1])])

    assert [item async for item in every(api, PODS)] == pods
    assert api.asked == [("list", 500, ""), ("list", 500, "more")]
    assert api.collections == {PODS}


async def test_page_that_is_too_large_is_asked_for_in_smaller_ones() -> None:
    api = ScriptedApi(lists=[PageTooLargeError("expected less"), page("5", "a", continue_token="more"), page("5", "b")])

    assert await names(api) == ["a", "b"]
    assert [limit for _, limit, _ in api.asked] == [2, 1, 2]


async def test_pages_stay_as_small_as_large_objects_want_them() -> None:
    heavy = {"metadata": {"name": "a"}, "data": "x" * (MAX_PAGE_BYTES // STEP)}
    api = ScriptedApi(
        lists=[
            PageTooLargeError("expected less"),
            listed(heavy, continue_token="1"),
            listed(heavy, continue_token="2"),
            page("5", "b", continue_token="3"),
            page("5", "c"),
        ]
    )

    assert await names(api, page_size=8) == ["a", "b", "c"]
    assert [limit for _, limit, _ in api.asked] == [8, 2, 2, 2, 8]


async def test_list_that_expired_is_begun_anew_and_nothing_comes_twice() -> None:
    api = ScriptedApi(
        lists=[page("5", "a", "b", continue_token="more"), ExpiredError("HTTP 410"),
               page("9", "a", "c", continue_token="more"), page("9", "d")],
    )  # fmt: skip

    assert await names(api) == ["a", "b", "c", "d"]


async def test_object_that_was_made_anew_under_its_name_is_another_one() -> None:
    def pod(uid: str) -> dict[str, Any]:
        return {"metadata": {"name": "a", "namespace": "shop", "uid": uid}}

    api = ScriptedApi(
        lists=[listed(pod("1"), continue_token="more"), ExpiredError("HTTP 410"), listed(pod("1"), pod("2"))]
    )

    assert [item["metadata"]["uid"] async for item in every(api, PODS)] == ["1", "2"]


async def test_list_that_expires_each_time_is_given_up() -> None:
    again: list[Step] = [page("5", "a", continue_token="more"), ExpiredError("HTTP 410")]
    api = ScriptedApi(lists=again * ATTEMPTS)

    with pytest.raises(ExpiredError):
        await names(api)


async def test_failure_is_told() -> None:
    api = ScriptedApi(lists=[page("5", "a", continue_token="more"), ClusterError("expected an answer, got none")])

    with pytest.raises(ClusterError, match="got none"):
        await names(api)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>", '"JSON is malformed: invalid character (byte 0)"'),
        (b'{"metadata": {"resourceVersion": "5"}, "items": [7]}', '"Expected `object`, got `int` - at `$.items[0]`"'),
    ],
)
async def test_page_that_is_none(body: bytes, problem: str) -> None:
    with pytest.raises(ClusterError) as caught:
        await names(ScriptedApi(lists=[body]))

    assert str(caught.value) == f"expected a page of pods, got {problem}"


async def test_no_objects() -> None:
    assert await names(ScriptedApi(lists=[listed()])) == []
    null = b'{"metadata": {"resourceVersion": "5"}, "items": null}'
    assert await names(ScriptedApi(lists=[null])) == []


async def test_objects_whose_metadata_is_odd_do_not_end_it() -> None:
    odd = [{"metadata": 7}, {"metadata": {"uid": None, "name": "a"}}]
    api = ScriptedApi(lists=[listed(*odd)])

    assert [item async for item in every(api, PODS)] == odd

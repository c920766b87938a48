import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cluster.events import Applied, Page, Relist, add_page, apply
from app.cluster.objects import UNANNOTATED, ServiceAccount
from app.cluster.source import Snapshot
from app.errors import ClusterError
from app.webhook.annotations import Vocabulary

ROLE_ARN = "eks.amazonaws.com/role-arn"
ROLE = {ROLE_ARN: "arn:aws:iam::123456789012:role/api"}
OURS = Vocabulary()


def metadata(**changes: Any) -> dict[str, Any]:
    return {"name": "api", "namespace": "shop", "resourceVersion": "7"} | changes


def event(kind: str, **changes: Any) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": metadata(**changes)}}).encode()


def error(code: int, message: str) -> bytes:
    return json.dumps(
        {"type": "ERROR", "object": {"kind": "Status", "metadata": {}, "code": code, "message": message}}
    ).encode()


def page(*items: dict[str, Any], **changes: str) -> bytes:
    meta = {"resourceVersion": "5"} | changes
    return json.dumps({"metadata": meta, "items": [{"metadata": item} for item in items]}).encode()


def snapshot(**names: dict[str, str]) -> Snapshot:
    made = Snapshot()
    for name, annotations in names.items():
        made.put("shop", name, ServiceAccount(annotations) if annotations else UNANNOTATED)
    return made


API = ("shop", "api", ServiceAccount(ROLE))
BARE_API = ("shop", "api", UNANNOTATED)
WEB = ("shop", "web", UNANNOTATED)


@pytest.mark.parametrize(
    ("before", "line", "outcome", "after"),
    [
        pytest.param(snapshot(), event("ADDED", annotations=ROLE), Applied("7"), [API], id="added"),
        pytest.param(snapshot(), event("ADDED", annotations=None), Applied("7"), [BARE_API], id="added-without-role"),
        pytest.param(snapshot(api={}), event("MODIFIED", annotations=ROLE), Applied("7"), [API], id="role-arrives"),
        pytest.param(snapshot(api=ROLE), event("MODIFIED"), Applied("7"), [BARE_API], id="role-goes"),
        pytest.param(snapshot(api=ROLE, web={}), event("DELETED"), Applied("7"), [WEB], id="deleted"),
        pytest.param(snapshot(web={}), event("DELETED"), Applied("7"), [WEB], id="deleted-what-is-not-there"),
        pytest.param(
            snapshot(api=ROLE),
            event("BOOKMARK", name="", namespace="", resourceVersion="70"),
            Applied("70"),
            [API],
            id="bookmark",
        ),
        pytest.param(
            snapshot(api=ROLE),
            error(410, "too old resource version: 1 (7)"),
            Relist('resource version is too old: "too old resource version: 1 (7)"'),
            [API],
            id="expired",
        ),
        pytest.param(
            snapshot(api=ROLE),
            error(500, "etcd\x1b[31m\nis gone"),
            Relist('expected watch events, got an error with code 500: "etcd\\x1b[31m\\nis gone"'),
            [API],
            id="other-error-is-escaped",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("ADDED", name=""),
            Relist('expected a change to a ServiceAccount with name and namespace, got "ADDED"'),
            [API],
            id="no-name",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("DELETED", namespace=""),
            Relist('expected a change to a ServiceAccount with name and namespace, got "DELETED"'),
            [API],
            id="deleted-without-namespace",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("SWAPPED"),
            Relist('expected a change to a ServiceAccount with name and namespace, got "SWAPPED"'),
            [API],
            id="type-of-tomorrow",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("BOOKMARK", resourceVersion=""),
            Relist('expected a watch event with a resourceVersion, got "BOOKMARK" without one'),
            [API],
            id="no-version",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("MODIFIED", annotations={ROLE_ARN: 7}),
            Relist('expected a watch event, got "Expected `str`, got `int` - at `$.object.metadata.annotations[...]`"'),
            [API],
            id="annotation-that-is-no-string",
        ),
        pytest.param(
            snapshot(api=ROLE),
            b"<html>",
            Relist('expected a watch event, got "JSON is malformed: invalid character (byte 0)"'),
            [API],
            id="html",
        ),
        pytest.param(
            snapshot(api=ROLE),
            b'{"type": "ADDED", "object": {"x": ' + b"[" * 100_000,
            Relist("expected a watch event, got JSON that is nested too deeply"),
            [API],
            id="nested-without-end",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("ADDED", name="MARKER").replace(b"MARKER", b"\xff"),
            Relist("expected a watch event, got bytes that are no UTF-8"),
            [API],
            id="latin-1",
        ),
    ],
)
def test_event(
    before: Snapshot, line: bytes, outcome: Applied | Relist, after: list[tuple[str, str, ServiceAccount]]
) -> None:
    assert apply(before, line, keep=OURS) == outcome
    assert list(before) == after


def test_long_error_of_the_api_is_cut() -> None:
    outcome = apply(snapshot(), error(500, "x" * 10_000), keep=OURS)

    assert outcome == Relist(f'expected watch events, got an error with code 500: "{"x" * 256}…"')


@given(st.binary() | st.builds(lambda v: json.dumps(v).encode(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["ADDED", "DELETED", "ERROR"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "object", "metadata", "name"]), inner),
)))  # fmt: skip
def test_no_bytes_whatsoever_end_the_loop(line: bytes) -> None:
    assert isinstance(apply(snapshot(api=ROLE), line, keep=OURS), Applied | Relist)


def test_page_fills_the_snapshot_and_says_how_to_go_on() -> None:
    made = Snapshot()
    body = page(metadata(annotations=ROLE), metadata(name="web", managedFields=[{"a": [1]}]), **{"continue": "next"})

    assert add_page(made, body, known=Snapshot(), keep=OURS) == Page(resource_version="5", continue_token="next")
    assert list(made) == [API, WEB]


def test_empty_cluster_is_an_empty_page() -> None:
    assert add_page(Snapshot(), page(), known=Snapshot(), keep=OURS) == Page(resource_version="5", continue_token="")
    null = b'{"metadata": {"resourceVersion": "5"}, "items": null}'
    assert add_page(Snapshot(), null, known=Snapshot(), keep=OURS) == Page(resource_version="5", continue_token="")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            b"<html>",
            'expected a page of ServiceAccounts, got "JSON is malformed: invalid character (byte 0)"',
            id="html",
        ),
        pytest.param(
            b"{}",
            'expected a page of ServiceAccounts, got "Object missing required field `metadata`"',
            id="no-list",
        ),
        pytest.param(
            b'{"metadata": {"resourceVersion": "5"}}',
            'expected a page of ServiceAccounts, got "Object missing required field `items`"',
            id="status",
        ),
        pytest.param(
            page(resourceVersion=""), "expected a list with a resourceVersion, got an empty one", id="version"
        ),
        pytest.param(
            page(metadata(namespace="")),
            "expected ServiceAccounts with name and namespace, got one without",
            id="object-of-another-kind",
        ),
        pytest.param(
            b'{"x":' + b"[" * 100_000,
            "expected a page of ServiceAccounts, got JSON that is nested too deeply",
            id="nested-without-end",
        ),
        pytest.param(
            page(metadata(name="MARKER")).replace(b"MARKER", b"\xff"),
            "expected a page of ServiceAccounts, got bytes that are no UTF-8",
            id="latin-1",
        ),
    ],
)
def test_page_that_is_none(body: bytes, message: str) -> None:
    with pytest.raises(ClusterError) as caught:
        add_page(Snapshot(), body, known=Snapshot(), keep=OURS)

    assert str(caught.value) == message

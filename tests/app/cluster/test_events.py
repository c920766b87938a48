import json
from collections import deque
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cluster.api import Collection
from app.cluster.events import Applied, Page, Relist, add_page, apply
from app.cluster.kinds import Annotated, ConfigMap, Kind, PodItem, PodMeta, config_map, pods, service_accounts
from app.cluster.objects import UNANNOTATED, ServiceAccount
from app.cluster.room import NAMESPACE_BYTES
from app.cluster.snapshot import Snapshot
from app.errors import ClusterError
from app.webhook.annotations import Vocabulary

ROLE_ARN = "eks.amazonaws.com/role-arn"
ROLE = {ROLE_ARN: "arn:aws:iam::123456789012:role/api"}
OURS = service_accounts(Vocabulary())


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


def snapshot(**names: dict[str, str]) -> Snapshot[ServiceAccount]:
    made = Snapshot[ServiceAccount]()
    for name, annotations in names.items():
        made.put("shop", name, ServiceAccount(annotations) if annotations else UNANNOTATED)
    return made


def changed(name: str, *kept: dict[str, str] | None) -> Applied[ServiceAccount]:
    old, new = (None if annotations is None else ServiceAccount(annotations) for annotations in kept)
    return Applied("7", ("shop", name, old, new))


API = ("shop", "api", ServiceAccount(ROLE))
BARE_API = ("shop", "api", UNANNOTATED)
WEB = ("shop", "web", UNANNOTATED)


@pytest.mark.parametrize(
    ("before", "line", "outcome", "after"),
    [
        pytest.param(snapshot(), event("ADDED", annotations=ROLE), changed("api", None, ROLE), [API], id="added"),
        pytest.param(snapshot(), event("ADDED"), changed("api", None, {}), [BARE_API], id="added-without-role"),
        pytest.param(
            snapshot(api={}), event("MODIFIED", annotations=ROLE), changed("api", {}, ROLE), [API], id="role-arrives"
        ),
        pytest.param(snapshot(api=ROLE), event("MODIFIED"), changed("api", ROLE, {}), [BARE_API], id="role-goes"),
        pytest.param(snapshot(api=ROLE, web={}), event("DELETED"), changed("api", ROLE, None), [WEB], id="deleted"),
        pytest.param(snapshot(web={}), event("DELETED"), Applied("7"), [WEB], id="deleted-what-is-not-there"),
        pytest.param(
            snapshot(api=ROLE),
            event("MODIFIED", annotations=ROLE | {"other": "x"}),
            Applied("7"),
            [API],
            id="change-to-what-is-not-kept",
        ),
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
            Relist("expected a watch event with a name, got ADDED without one"),
            [API],
            id="no-name",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("DELETED", resourceVersion=""),
            Relist("expected a watch event with a resourceVersion, got DELETED without one"),
            [API],
            id="deleted-without-version",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("SWAPPED"),
            Relist('expected a watch event, got one of type "SWAPPED"'),
            [API],
            id="type-of-tomorrow",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("BOOKMARK", resourceVersion=""),
            Relist("expected a watch event with a resourceVersion, got BOOKMARK without one"),
            [API],
            id="no-version",
        ),
        pytest.param(
            snapshot(api=ROLE),
            event("MODIFIED", annotations={ROLE_ARN: 7}),
            Relist('expected a watch event, got "Expected `str`, got `int` - at `$.metadata.annotations[...]`"'),
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
    before: Snapshot[ServiceAccount],
    line: bytes,
    outcome: Applied[ServiceAccount] | Relist,
    after: list[tuple[str, str, ServiceAccount]],
) -> None:
    assert apply(before, line, kind=OURS) == outcome
    assert list(before) == after


def test_long_error_of_the_api_is_cut() -> None:
    outcome = apply(snapshot(), error(500, "x" * 10_000), kind=OURS)

    assert outcome == Relist(f'expected watch events, got an error with code 500: "{"x" * 256}…"')


@given(st.binary() | st.builds(lambda v: json.dumps(v).encode(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["ADDED", "DELETED", "ERROR"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "object", "metadata", "name"]), inner),
)))  # fmt: skip
def test_no_bytes_whatsoever_end_the_loop(line: bytes) -> None:
    assert isinstance(apply(snapshot(api=ROLE), line, kind=OURS), Applied | Relist)


def added(made: Snapshot[ServiceAccount], body: bytes, *, known: Snapshot[ServiceAccount] | None = None) -> Page:
    """Add a page to its end."""
    pages: list[Page] = []

    def work() -> Generator[None, None, None]:
        pages.append((yield from add_page(made, body, known=known or Snapshot(), kind=OURS)))

    deque(work())
    return pages[0]


def test_page_fills_the_snapshot_and_says_how_to_go_on() -> None:
    made = Snapshot[ServiceAccount]()
    body = page(metadata(annotations=ROLE), metadata(name="web", managedFields=[{"a": [1]}]), **{"continue": "next"})

    assert added(made, body) == Page(resource_version="5", continue_token="next")
    assert list(made) == [API, WEB]


def test_empty_cluster_is_an_empty_page() -> None:
    assert added(Snapshot[ServiceAccount](), page()) == Page(resource_version="5", continue_token="")
    null = b'{"metadata": {"resourceVersion": "5"}, "items": null}'
    assert added(Snapshot[ServiceAccount](), null) == Page(resource_version="5", continue_token="")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            b"<html>",
            'expected a page of serviceaccounts, got "JSON is malformed: invalid character (byte 0)"',
            id="html",
        ),
        pytest.param(
            b"{}",
            'expected a page of serviceaccounts, got "Object missing required field `metadata`"',
            id="no-list",
        ),
        pytest.param(
            b'{"metadata": {"resourceVersion": "5"}}',
            'expected a page of serviceaccounts, got "Object missing required field `items`"',
            id="status",
        ),
        pytest.param(
            page(resourceVersion=""), "expected a list with a resourceVersion, got an empty one", id="version"
        ),
        pytest.param(
            page(metadata(name="")),
            "expected serviceaccounts with names, got one without",
            id="object-without-a-name",
        ),
        pytest.param(
            b'{"x":' + b"[" * 100_000,
            "expected a page of serviceaccounts, got JSON that is nested too deeply",
            id="nested-without-end",
        ),
        pytest.param(
            page(metadata(name="MARKER")).replace(b"MARKER", b"\xff"),
            "expected a page of serviceaccounts, got bytes that are no UTF-8",
            id="latin-1",
        ),
    ],
)
def test_page_that_is_none(body: bytes, message: str) -> None:
    with pytest.raises(ClusterError) as caught:
        added(Snapshot[ServiceAccount](), body)

    assert str(caught.value) == message


def test_objects_of_no_namespace_are_in_the_one_without_a_name() -> None:
    made = Snapshot[ServiceAccount]()

    apply(made, event("ADDED", namespace=""), kind=OURS)

    assert list(made) == [("", "api", UNANNOTATED)]


def bare_only(item: Annotated) -> str | None:
    return None if item.metadata.annotations else item.metadata.name


def test_object_that_is_no_longer_of_interest_is_gone() -> None:
    kind = Kind("bare", Collection(path="/api/v1/serviceaccounts"), item=Annotated, keep=bare_only)
    made = Snapshot[str]()

    deque(add_page(made, page(metadata(), metadata(name="web", annotations=ROLE)), known=Snapshot[str](), kind=kind))
    assert list(made) == [("shop", "api", "api")]

    outcome = apply(made, event("MODIFIED", annotations=ROLE), kind=kind)
    assert outcome == Applied("7", ("shop", "api", "api", None))
    assert list(made) == []
    assert apply(made, event("MODIFIED", annotations=ROLE), kind=kind) == Applied("7")


def test_namespace_that_the_next_page_may_go_on_with_is_not_shared_yet() -> None:
    """Or its next object would be in the snapshot that serves before the list is complete."""
    known = snapshot(api={})
    made = Snapshot[ServiceAccount]()

    added(made, page(metadata(), **{"continue": "next"}), known=known)
    added(made, page(metadata(name="web")), known=known)

    assert list(known) == [BARE_API]
    assert list(made.changes(known)) == [("shop", "web", None, UNANNOTATED)]


def test_what_there_is_no_room_for_is_gone() -> None:
    made = Snapshot[ServiceAccount](size=lambda account: NAMESPACE_BYTES if account.annotations else 0)
    made.put("shop", "api", UNANNOTATED)

    outcome = apply(made, event("MODIFIED", annotations=ROLE), kind=OURS)

    assert outcome == Applied("7", ("shop", "api", UNANNOTATED, None))
    assert list(made) == []
    assert apply(made, event("MODIFIED", annotations=ROLE), kind=OURS) == Applied("7")
    assert made.crowded == {"shop"}


def test_config_map_is_kept_with_what_tells_it_from_another() -> None:
    kind = config_map("irsa-system", "irsa-mappings")
    item = {"metadata": metadata(uid="u", managedFields=[{}]), "data": {"config": "{}"}, "binaryData": {"a": "AA=="}}
    made = Snapshot[ConfigMap]()

    apply(made, json.dumps({"type": "ADDED", "object": item}).encode(), kind=kind)

    assert kind.collection == Collection(
        path="/api/v1/namespaces/irsa-system/configmaps", field_selector="metadata.name=irsa-mappings"
    )
    assert made.get("shop", "api") == ConfigMap(data={"config": "{}"}, resource_version="7", uid="u")


def test_pod_comes_with_every_field_of_spec_and_status() -> None:
    spec = {"containers": [{"name": "app", "fieldOfTomorrow": {"a": [1, None]}}]}
    status = {"phase": "Running"}
    meta = metadata(uid="u", labels={"a": "b"}, ownerReferences=[{"kind": "Job", "controller": True}])
    made = Snapshot[PodItem]()

    line = json.dumps({"type": "ADDED", "object": {"metadata": meta, "spec": spec, "status": status}}).encode()
    apply(made, line, kind=pods(lambda item: item))

    kept = made.get("shop", "api")
    assert kept is not None
    assert (kept.spec, kept.status) == (spec, status)
    assert kept.metadata == PodMeta(
        name="api", namespace="shop", resource_version="7", uid="u", labels={"a": "b"},
        owner_references=[{"kind": "Job", "controller": True}],
    )  # fmt: skip

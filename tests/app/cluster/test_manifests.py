from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cluster.manifests import Document, read_documents, service_accounts_in
from app.cluster.objects import UNANNOTATED, ServiceAccount
from app.errors import ManifestError
from app.webhook.annotations import Vocabulary

ROLE_ARN = "eks.amazonaws.com/role-arn"
ARN = "arn:aws:iam::123456789012:role/api"
MARKER = "MARKER-SECRET"


def read(text: str) -> list[Document]:
    return read_documents(dedent(text).encode(), source="sa.yaml")


def found(text: str) -> list[tuple[str, str, ServiceAccount]]:
    return list(service_accounts_in(read(text), keep=Vocabulary()))


def test_documents_know_where_they_begin() -> None:
    documents = read("""\
        a: 1
        ---
        # a comment
        b: [1, two]
        ---
        """)

    assert documents == [
        Document({"a": 1}, "sa.yaml", line=1),
        Document({"b": [1, "two"]}, "sa.yaml", line=4),
        Document(None, "sa.yaml", line=6),
    ]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"a: \xc3\xa9\n", id="utf-8"),
        pytest.param(b"\xef\xbb\xbfa: \xc3\xa9\n", id="utf-8-with-mark"),
        pytest.param("\ufeffa: é\n".encode("utf-16-le"), id="utf-16"),
        pytest.param('{\n\t"a": "é"\n}'.encode(), id="json-with-tabs"),
        pytest.param(b"a: \xc3\xa9\r\n", id="windows-lines"),
    ],
)
def test_encodings_and_json(data: bytes) -> None:
    assert [document.content for document in read_documents(data, source="sa.yaml")] == [{"a": "é"}]


def test_anchors_and_merge_keys_are_read() -> None:
    documents = read("""\
        base: &base {eks.amazonaws.com/audience: a}
        mine: {<<: *base, x: "1"}
        """)

    assert documents[0].content == {
        "base": {"eks.amazonaws.com/audience": "a"},
        "mine": {"eks.amazonaws.com/audience": "a", "x": "1"},
    }


def test_anchor_may_be_given_again() -> None:
    (document,) = read("[&a one, *a, &a two, *a]")

    assert document.content == ["one", "one", "two", "two"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            b"a: b: c", "sa.yaml:1:5: cannot be read as YAML: mapping values are not allowed here", id="colon"
        ),
        pytest.param(
            b"a:\n\tb: 1",
            r"sa.yaml:2:1: cannot be read as YAML: found character '\t' that cannot start any token",
            id="tab",
        ),
        pytest.param(b"a: 1\na: MARKER", "sa.yaml:2:1: expected each key once, got one twice", id="key-twice"),
        pytest.param(b"a: *MARKER", "sa.yaml:1:4: cannot be read as YAML: found undefined alias '…'", id="alias"),
        pytest.param(
            b"a: 1\nb: !MARKER x",
            "sa.yaml:2:4: cannot be read as YAML: could not determine a constructor for the tag '…'",
            id="tag",
        ),
        pytest.param(
            b"a: !!python/object/apply:os.system ['true']",
            "sa.yaml:1:4: cannot be read as YAML: could not determine a constructor for the tag '…'",
            id="python-object",
        ),
        pytest.param(
            b"a: [1\nb: 2", "sa.yaml:2:2: cannot be read as YAML: expected ',' or ']', but got ':'", id="bracket"
        ),
        pytest.param(b"a: 1\nb: \xff", "sa.yaml:2: expected UTF-8, got other bytes", id="latin-1"),
        pytest.param(b"a: 1\x00", "sa.yaml: expected YAML, got a control character (U+0000)", id="nul"),
        pytest.param(b"[" * 1_000, "sa.yaml: expected YAML, got too many levels of nesting", id="nesting"),
        pytest.param(
            b"---\na: 1\n---\nb: 2024-99-99",
            "sa.yaml:4: expected YAML, got a value that does not fit its type",
            id="no-date",
        ),
        pytest.param(
            b"a: !!bool MARKER", "sa.yaml:1: expected YAML, got a value that does not fit its type", id="bool"
        ),
    ],
)
def test_what_is_no_yaml_is_named_by_line_and_never_quoted(data: bytes, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_documents(data, source="sa.yaml")

    assert str(caught.value) == message


@given(st.binary() | st.text(alphabet="ab:-[]{},&*!|>%?#'\"\t\n 0<.", max_size=40).map(str.encode))
def test_bytes_are_documents_or_one_line_of_error(data: bytes) -> None:
    error = ""
    try:
        service_accounts_in(read_documents(data, source="sa.yaml"), keep=Vocabulary())
    except ManifestError as caught:
        error = str(caught)

    assert not error or error.startswith("sa.yaml:")
    assert error.isprintable()


def test_service_accounts_are_found_among_other_kinds() -> None:
    text = f"""\
        apiVersion: v1
        kind: ServiceAccount
        metadata:
          name: api
          namespace: shop
          annotations: {{eks.amazonaws.com/role-arn: {ARN}, other: x}}
        ---
        apiVersion: apps/v1
        kind: Deployment
        metadata: {{name: api, annotations: {{replicas: 3}}}}
        ---
        apiVersion: v1
        kind: ServiceAccount
        metadata: {{name: web}}
        ---
        apiVersion: example.com/v1
        kind: ServiceAccount
        metadata: {{name: of-another-api}}
        """

    assert found(text) == [("shop", "api", ServiceAccount({ROLE_ARN: ARN})), ("default", "web", UNANNOTATED)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{apiVersion: v1, kind: List, items: [%s, {apiVersion: v1, kind: Pod}]}", id="List"),
        pytest.param("{apiVersion: v1, kind: ServiceAccountList, items: [%s]}", id="ServiceAccountList"),
    ],
)
def test_service_accounts_in_a_list_are_found(text: str) -> None:
    one = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: api, namespace: shop}}"

    assert found(text % one) == [("shop", "api", UNANNOTATED)]


def test_namespace_is_that_of_whatever_names_none() -> None:
    text = """\
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: api}}
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: api, namespace: shop}}
        ---
        {apiVersion: v1, kind: ServiceAccountList, items: [{metadata: {name: web, namespace: ""}}]}
        """

    assert list(service_accounts_in(read(text), keep=Vocabulary(), namespace="team")) == [
        ("team", "api", UNANNOTATED),
        ("team", "web", UNANNOTATED),
        ("shop", "api", UNANNOTATED),
    ]


def test_items_of_a_typed_list_need_not_repeat_their_kind() -> None:
    text = "{apiVersion: v1, kind: ServiceAccountList, items: [{metadata: {name: api}}]}"

    assert found(text) == [("default", "api", UNANNOTATED)]


def test_last_of_two_counts() -> None:
    text = """\
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: api, annotations: {eks.amazonaws.com/role-arn: one}}}
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: api, annotations: {eks.amazonaws.com/role-arn: two}}}
        """

    assert found(text) == [("default", "api", ServiceAccount({ROLE_ARN: "two"}))]


@pytest.mark.parametrize("annotations", ["null", "{}", "", "{other: x}"])
def test_no_annotations_of_ours(annotations: str) -> None:
    text = f"apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: api\n  annotations: {annotations}\n"

    assert found(text) == [("default", "api", UNANNOTATED)]


def test_null_is_an_empty_annotation_as_for_kube_apiserver() -> None:
    text = (
        "{apiVersion: v1, kind: ServiceAccount, metadata: {name: api, annotations: {eks.amazonaws.com/role-arn: null}}}"
    )

    assert found(text) == [("default", "api", ServiceAccount({ROLE_ARN: ""}))]


WHERE = 'sa.yaml:3: ServiceAccount "shop/api"'


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        pytest.param("{}", "sa.yaml:3: expected a ServiceAccount with metadata.name, got none", id="no-name"),
        pytest.param("{name: 7}", "sa.yaml:3: expected a ServiceAccount with metadata.name, got none", id="number"),
        pytest.param("[MARKER]", "sa.yaml:3: expected a ServiceAccount's metadata as a mapping, got a list", id="list"),
        pytest.param(
            "{name: api, namespace: [MARKER]}",
            'sa.yaml:3: ServiceAccount "api": expected metadata.namespace to be a string',
            id="namespace",
        ),
        pytest.param(
            "{name: api, namespace: shop, annotations: MARKER}",
            'sa.yaml:3: expected ServiceAccount "shop/api" with annotations as a mapping, got something else',
            id="annotations",
        ),
        pytest.param(
            "{name: api, namespace: shop, annotations: {eks.amazonaws.com/audience: true}}",
            f'{WHERE}: annotation "eks.amazonaws.com/audience": expected a string, got a boolean; quote it',
            id="boolean",
        ),
        pytest.param(
            "{name: api, namespace: shop, annotations: {eks.amazonaws.com/token-expiration: 3600}}",
            f'{WHERE}: annotation "eks.amazonaws.com/token-expiration": expected a string, got a number; quote it',
            id="number-value",
        ),
        pytest.param(
            "{name: api, namespace: shop, annotations: {other: [MARKER]}}",
            f'{WHERE}: annotation "other": expected a string, got a list; quote it',
            id="annotation-of-others",
        ),
        pytest.param(
            "{name: api, namespace: shop, annotations: {7: x}}",
            'sa.yaml:3: expected ServiceAccount "shop/api" with annotations as a mapping, got a mapping',
            id="key",
        ),
    ],
)
def test_service_account_that_kube_apiserver_would_refuse(metadata: str, message: str) -> None:
    text = f"# first\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {metadata}\n"

    with pytest.raises(ManifestError) as caught:
        found(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("MARKER", "sa.yaml:1: expected a Kubernetes object, got something else", id="scalar"),
        pytest.param("- MARKER", "sa.yaml:1: expected a Kubernetes object, got a list", id="list"),
        pytest.param(
            "{kind: List, items: [MARKER]}", "sa.yaml:1: expected Kubernetes objects in a List, got something else",
            id="item",
        ),
        pytest.param(
            "&a {kind: List, items: [*a]}", "sa.yaml:1: expected objects in a List, got another List", id="loop"
        ),
    ],
)  # fmt: skip
def test_document_that_is_no_object(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        found(text)

    assert str(caught.value) == message


def test_other_documents_may_be_anything_that_is_an_object() -> None:
    assert found("image: {tag: 7}\n---\nkind: List\n---\nkind: 7\n---\nkind: List\nitems: x\n") == []

import pytest

from app.errors import ManifestError
from app.manifests.documents import read

LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)

DEEP_ALIASES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}}}\n" for n in range(1, 300))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"a: [1\n", "in.yaml:2:1: ", id="no YAML"),
        pytest.param(b"a: 1\n---\nb:\n\tc: 1\n", "in.yaml:4:1: ", id="tab"),
        pytest.param(b"a: 1\nb: 2\na: 3\n", "in.yaml:3:1: expected each key once, got one twice", id="duplicate key"),
        pytest.param(b"a: 1\n\n\x89PNG\x00", "in.yaml:3: expected UTF-8, got other bytes", id="binary"),
        pytest.param(b"\xff\xfea", "in.yaml:1: expected UTF-8, got other bytes", id="half a UTF-16"),
        pytest.param(b"a: 1\n---\nhello\n", "in.yaml:3: expected a Kubernetes object, got a string", id="text"),
        pytest.param(b"- a\n", "in.yaml:1: expected a Kubernetes object, got a list", id="list"),
        pytest.param(b"a: *nowhere\n", "in.yaml:1:4: ", id="unknown alias"),
        pytest.param(b"a: !!python/object:os.system x\n", "in.yaml:1:4: ", id="tag"),
        pytest.param(b"a: " + b"[" * 600, "in.yaml: expected YAML, got too many levels of nesting", id="deep"),
        pytest.param(
            LAUGHS.encode(),
            "in.yaml:1: expected at most 1000000 values with aliases written out, got more",
            id="billion laughs",
        ),
        pytest.param(
            DEEP_ALIASES.encode(), "in.yaml:1: expected at most 256 levels of nesting, got more", id="deep aliases"
        ),
        pytest.param(
            b"a: &a\n  b: [*a]\n",
            "in.yaml:1: expected an alias to another value, got one to a value that it is part of",
            id="alias to itself",
        ),
    ],
)
def test_bad_input_is_one_line_with_its_place(data: bytes, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(data, source="in.yaml")

    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a":', "in.json:1:6: expected JSON, got: expecting value"),
        ('{\n\t"a": 1,\n\t"a": 2\n}', "in.json:1: expected each key once, got one twice"),
        ('{"a": 1e999}', "in.json:1: expected JSON, got a number that is out of range"),
        ('{"a": NaN}', "in.json:1: expected JSON, got a number that is out of range"),
        ('{"a": %s}' % ("1" * 5000), "in.json:1: expected JSON, got a number that is out of range"),
        ('{"a": 1}\n{"b": 1}\n[]', "in.json:3: expected a Kubernetes object, got a list"),
        ("a: 1", "in.json:1:1: expected JSON, got: expecting value"),
        ('{"a": ' * 257 + "1" + "}" * 257, "in.json:1: expected at most 256 levels of nesting, got more"),
        ('{"a": ' * 100_000, "in.json:1: expected JSON, got too many levels of nesting"),
    ],
)
def test_bad_json_is_one_line_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(text.encode(), source="in.json")

    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("source", "text", "is_json"),
    [
        ("in.json", '{"a": 1}', True),
        ("stdin", '\n{"a":\t1}\n{"b": 2}', True),
        ("stdin", "{a: 1}", False),
        ("stdin", '{"a": 1}\n---\n{"b": 2}', False),
        ("in.yaml", "a: 1", False),
    ],
)
def test_json_is_known_by_its_name_or_by_its_brace(source: str, text: str, *, is_json: bool) -> None:
    assert read(text.encode(), source=source).json is is_json


def test_document_without_aliases_may_be_as_large_as_it_likes() -> None:
    text = "a:\n" + "- b\n" * 20_000

    assert read(text.encode(), source="in.yaml").documents[0].content == {"a": ["b"] * 20_000}


def test_document_may_be_as_deep_as_no_schema_is() -> None:
    for text in ('{"a": ' * 255 + "[]" + "}" * 255, "a: &x {b: 1}\nc: " + "{a: " * 60 + "*x" + "}" * 60):
        assert len(read(text.encode(), source="in.yaml").documents) == 1

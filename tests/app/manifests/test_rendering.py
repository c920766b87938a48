from typing import Any

import pytest
from ruamel.yaml import YAML

from app.manifests.rendering import Style, block, flow, scalar

STRINGS = [
    "arn:aws:iam::111122223333:role/a/b+c=d,e@f_g-h",
    "sts.amazonaws.com",
    "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
    "C:\\var\\run\\token",
    "https://user:pass@host:9000/path?x=y&z=%20",
    "",
    "y",
    "No",
    "on",
    "TRUE",
    "null",
    "~",
    "0644",
    "1e3",
    "0x1F",
    "1:30",
    "2001-01-01",
    ".inf",
    "-",
    "- a",
    "a: b",
    "a:",
    "a #b",
    "#b",
    "a, b",
    "[a]",
    "{a}",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    '"a"',
    "'a'",
    " a ",
    "a\nb",
    "a\tb",
    "\x1b[31m",
    "\x85\u2028\ufeff",
    "é🎉",
]


def read(text: str, version: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(text)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize("value", STRINGS)
def test_string_is_read_as_that_string_by_yaml_of_any_version(value: str, version: str) -> None:
    assert read(f"a: {scalar(value)}\n", version) == {"a": value}
    assert read(f"[{scalar(value)}, {flow(value, as_json=False)}]\n", version) == [value, value]


@pytest.mark.parametrize("value", STRINGS[:4])
def test_what_can_stand_bare_does(value: str) -> None:
    assert scalar(value) == (value if "," not in value else f'"{value}"')


VALUE = {"a": {"b": [{"c": 1, "d": [True]}, "e"]}, "f": None}


@pytest.mark.parametrize(
    ("style", "text"),
    [
        (Style(), "a:\n  b:\n  - c: 1\n    d:\n    - true\n  - e\nf: null"),
        (
            Style(mapping=4, sequence=2, item=4),
            "a:\n    b:\n      -   c: 1\n          d:\n            -   true\n      -   e\nf: null",
        ),
    ],
)
def test_lines_are_indented_as_the_style_says(style: Style, text: str) -> None:
    assert "\n".join(block(VALUE, style)) == text
    assert read(text, "1.2") == VALUE


def test_value_in_brackets_is_yaml_or_json() -> None:
    assert flow(VALUE, as_json=False) == "{a: {b: [{c: 1, d: [true]}, e]}, f: null}"
    assert flow(VALUE, as_json=True) == '{"a": {"b": [{"c": 1, "d": [true]}, "e"]}, "f": null}'

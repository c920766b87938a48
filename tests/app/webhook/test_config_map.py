import pytest

from app.webhook.config_map import CONFIG, InvalidConfigMapError, in_file

TEXT = '{"shop/app": {"RoleARN": "name"}}'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"apiVersion: v1\nkind: ConfigMap\ndata:\n  config: '{TEXT}'\n", id="yaml"),
        pytest.param(f"kind: ConfigMap\ndata:\n  config: |-\n    {TEXT}\n", id="block"),
        pytest.param(TEXT, id="text"),
    ],
)
def test_file_has_a_manifest_or_its_text(content: str) -> None:
    assert in_file(content.encode()) == {CONFIG: TEXT}


@pytest.mark.parametrize("data", ["data: {}", "data:", "binaryData: {x: eA==}"])
def test_manifest_without_data_has_none(data: str) -> None:
    assert in_file(f"kind: ConfigMap\n{data}\n".encode()) == {}


@pytest.mark.parametrize("data", ["data: []", "data: {config: {a: b}}", "data: {config: 1}"])
def test_manifest_that_an_apiserver_would_refuse_is_refused(data: str) -> None:
    with pytest.raises(InvalidConfigMapError, match=r"^write strings as the ConfigMap's data, such as config: \|$"):
        in_file(f"kind: ConfigMap\n{data}\n".encode())


def test_what_is_neither_is_handed_on_to_be_told_of() -> None:
    assert in_file(b"{\xff") == {CONFIG: "{\N{REPLACEMENT CHARACTER}"}

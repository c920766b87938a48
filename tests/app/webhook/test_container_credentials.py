import pytest

from app.webhook.container_credentials import ParsedIdentities, parse_identities

GOOD = '{"identities": [{"namespace": "shop", "serviceAccount": "app"}, {"namespace": "a", "serviceAccount": "b"}]}'


def parsed(text: str) -> ParsedIdentities:
    return parse_identities({"config": text})


def test_identities_are_names_in_namespaces() -> None:
    assert parsed(GOOD) == ParsedIdentities(frozenset({("shop", "app"), ("a", "b")}))


def test_yaml_serves_too() -> None:
    text = "identities:\n- namespace: shop\n  serviceAccount: app\n"

    assert parsed(text) == ParsedIdentities(frozenset({("shop", "app")}))


@pytest.mark.parametrize("data", [{}, {"config": ""}, {"config": " \n"}, {"config": "{}"}, {"config": "# nothing\n"}])
def test_nothing_written_means_none(data: dict[str, str]) -> None:
    assert parse_identities(data) == ParsedIdentities(frozenset())


def test_bad_entry_is_named_and_the_rest_is_in_force() -> None:
    good = '{"namespace": "shop", "serviceAccount": "app"}'
    entries = ["null", good, '{"namespace": "shop"}', '{"namespace": "", "serviceAccount": "x"}', "[1]"]

    assert parsed(f'{{"identities": [{", ".join(entries)}], "more": 1}}') == ParsedIdentities(
        frozenset({("shop", "app")}),
        (
            'remove "more", only identities is read: it is ignored',
            "write an object with namespace and serviceAccount, got nothing at identities[0]",
            "set serviceAccount to a name, got nothing at identities[2]",
            "set namespace to a name, got nothing at identities[3]",
            "write an object with namespace and serviceAccount, got an array at identities[4]",
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "write an object under config, got an array"),
        ('{"identities": {}}', "write an array as identities, got an object"),
        (
            '{"identities": [',
            (
                "write JSON or YAML under config: config:1:17: cannot be read as YAML: expected the node content, but"
                " found '<stream end>'"
            ),
        ),
    ],
)
def test_what_cannot_be_read_leaves_the_last_content_in_force(text: str, problem: str) -> None:
    assert parsed(text) == ParsedIdentities(None, (problem,))

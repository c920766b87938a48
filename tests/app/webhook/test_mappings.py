import itertools
import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhook.accounts import Account
from app.webhook.config_map import MAX_JSON_CHARACTERS, MAX_YAML_BYTES
from app.webhook.mappings import MAX_GLOBS, NO_MAPPINGS, MappedRole, Mappings, ParsedMappings, parse_mappings
from tests.builders import ROLE_ARN

ROLE = MappedRole(role_arn=ROLE_ARN)


def parsed(entries: Any, *, account: Account | None = None) -> ParsedMappings:
    return parse_mappings({"config": json.dumps(entries)}, account=account)


def roles(outcome: ParsedMappings) -> Any:
    return None if outcome.mappings is None else outcome.mappings.roles


def mappings(*keys: str) -> Mappings:
    """Mappings that tell by the role which key was found."""
    return Mappings({key: MappedRole(role_arn=key) for key in keys})


def found(where: Mappings, namespace: str, service_account: str) -> str | None:
    role = where.find(namespace, service_account)
    return role.role_arn if role else None


# What a ConfigMap may say.


def test_entry_of_the_aws_webhook_is_read() -> None:
    entry = {"RoleARN": ROLE_ARN, "Audience": "amazonaws.com", "UseRegionalSTS": True, "TokenExpiration": 3600}

    assert roles(parsed({"shop/app": entry | {"Region": "eu-central-1"}})) == {
        "shop/app": MappedRole(
            role_arn=ROLE_ARN,
            audience="amazonaws.com",
            regional_sts=True,
            token_expiration=3600,
            region="eu-central-1",
        )
    }


@pytest.mark.parametrize("style", [str.lower, str.upper, str.title])
def test_case_of_a_field_does_not_matter(style: Any) -> None:
    entry = {"RoleARN": ROLE_ARN, "UseRegionalSTS": False, "TokenExpiration": 600}

    assert roles(parsed({"shop/app": {style(name): value for name, value in entry.items()}})) == {
        "shop/app": MappedRole(role_arn=ROLE_ARN, regional_sts=False, token_expiration=600)
    }


@pytest.mark.parametrize("nothing", [None, "", 0])
def test_what_is_missing_is_left_to_the_defaults(nothing: Any) -> None:
    empty = {"Audience": nothing or None, "UseRegionalSTS": None, "TokenExpiration": nothing, "Region": nothing or ""}

    assert parsed({"shop/app": {"RoleARN": ROLE_ARN} | empty}).problems == ()
    assert roles(parsed({"shop/app": {"RoleARN": ROLE_ARN} | empty})) == {"shop/app": ROLE}


def test_yaml_says_the_same() -> None:
    text = f"shop/app: {{RoleARN: '{ROLE_ARN}', UseRegionalSTS: true}}\n'team-*/*':\n  rolearn: {ROLE_ARN}\n"

    assert roles(parse_mappings({"config": text})) == {
        "shop/app": MappedRole(role_arn=ROLE_ARN, regional_sts=True),
        "team-*/*": ROLE,
    }


def test_bare_name_is_a_role_of_the_account() -> None:
    outcome = parsed({"shop/app": {"RoleARN": "path/shop"}}, account=Account(id="111122223333"))

    assert roles(outcome) == {"shop/app": MappedRole(role_arn="arn:aws:iam::111122223333:role/path/shop")}


@pytest.mark.parametrize("data", [{}, {"config": ""}, {"config": "  \n"}, {"config": "{}"}, {"config": "null"}])
def test_nothing_written_maps_nothing(data: dict[str, str]) -> None:
    outcome = parse_mappings(data)

    assert (roles(outcome), outcome.problems) == ({}, ())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param({"config": "[1]"}, "write an object under config, got an array", id="array"),
        pytest.param({"config": "just text"}, "write an object under config, got a string", id="text"),
        pytest.param(
            {"config": '{"shop/app": '},
            (
                "write JSON or YAML under config: config:1:14: cannot be read as YAML: expected the node content, but"
                " found '<stream end>'"
            ),
            id="cut-off",
        ),
        pytest.param({"config": "a: 1\n---\nb: 2\n"}, "write one document under config, got 2", id="two-documents"),
        pytest.param({"config": "a/b: &x {}\na/b: 1\n"}, None, id="key-twice"),
        pytest.param({"config": "x\ud800"}, "write an object under config, got a string", id="half-a-character"),
        pytest.param({"config": "[" * 200_000}, None, id="too-deep"),
        pytest.param({"config": "!!python/object/apply:os.system [id]"}, None, id="tag"),
        pytest.param(
            {"mappings.json": "{}"}, 'rename key "mappings.json" to config: no other key is read', id="other-key"
        ),
        pytest.param(
            {"config": " " * (MAX_JSON_CHARACTERS + 1)},
            f"shorten config to {MAX_JSON_CHARACTERS} characters, got {MAX_JSON_CHARACTERS + 1}",
            id="too-long",
        ),
        pytest.param(
            {"config": "#" * (MAX_YAML_BYTES + 1)},
            ("write JSON under config, got something else: more than 131072 bytes are read as JSON only"),
            id="too-much-yaml",
        ),
    ],
)
def test_what_cannot_be_read_leaves_the_last_content_in_force(data: dict[str, str], problem: str | None) -> None:
    outcome = parse_mappings(data)

    assert outcome.mappings is None
    assert len(outcome.problems) == 1
    assert problem is None or outcome.problems == (problem,)
    assert outcome.problems[0].isprintable()


BAD_KEY = "write namespace/serviceaccount as the key instead of {}: it is ignored"
BAD_ARN = 'set RoleARN of "a/b" to an IAM role\'s ARN such as arn:aws:iam::111122223333:role/name, got {}'


@pytest.mark.parametrize(
    ("key", "entry", "problem"),
    [
        pytest.param("no-slash", {"RoleARN": ROLE_ARN}, BAD_KEY.format('"no-slash"'), id="without-slash"),
        pytest.param("a/b/c", {"RoleARN": ROLE_ARN}, BAD_KEY.format('"a/b/c"'), id="two-slashes"),
        pytest.param("/b", {"RoleARN": ROLE_ARN}, BAD_KEY.format('"/b"'), id="no-namespace"),
        pytest.param("a/", {"RoleARN": ROLE_ARN}, BAD_KEY.format('"a/"'), id="no-service-account"),
        pytest.param("a/[b]", {"RoleARN": ROLE_ARN}, BAD_KEY.format('"a/[b]"'), id="bracket"),
        pytest.param("A/b\n", {"RoleARN": ROLE_ARN}, BAD_KEY.format(r'"A/b\n"'), id="no-name"),
        pytest.param("a/" + "b" * 254, {"RoleARN": ROLE_ARN}, None, id="too-long"),
        pytest.param("a/b", None, 'write an object with RoleARN for "a/b", got nothing', id="null"),
        pytest.param("a/b", [ROLE_ARN], 'write an object with RoleARN for "a/b", got an array', id="array"),
        pytest.param("a/b", ROLE_ARN, 'write an object with RoleARN for "a/b", got a string', id="string"),
        pytest.param("a/b", {}, BAD_ARN.format('""'), id="no-role"),
        pytest.param("a/b", {"RoleARN": ""}, BAD_ARN.format('""'), id="empty-role"),
        pytest.param("a/b", {"RoleARN": "name"}, BAD_ARN.format('"name"'), id="bare-name-without-account"),
        pytest.param("a/b", {"RoleARN": 1}, 'set RoleARN of "a/b" to a string, got a number', id="number"),
        pytest.param("a/b", {"RoleARN": {"x": 1}}, 'set RoleARN of "a/b" to a string, got an object', id="object"),
    ],
)
def test_bad_entry_is_named_and_the_rest_is_in_force(key: str, entry: Any, problem: str | None) -> None:
    outcome = parsed({"before/x": {"RoleARN": ROLE_ARN}, key: entry, "zebra/x": {"RoleARN": ROLE_ARN}})

    assert roles(outcome) == {"before/x": ROLE, "zebra/x": ROLE}
    assert len(outcome.problems) == 1
    assert problem is None or outcome.problems == (problem,)


NO_SECONDS = 'set TokenExpiration of "a/b" to whole seconds, got {}'
SECONDS = 'set TokenExpiration of "a/b" to whole seconds from 600 to 31536000, got {}'


@pytest.mark.parametrize(
    ("field", "value", "used", "problem"),
    [
        pytest.param("TokenExpiration", 60, {"token_expiration": 600}, SECONDS.format('"60"'), id="too-short"),
        pytest.param("TokenExpiration", -1, {"token_expiration": 600}, SECONDS.format('"-1"'), id="negative"),
        pytest.param("TokenExpiration", 10**9, {"token_expiration": 31_536_000}, None, id="too-long"),
        pytest.param("TokenExpiration", 10**30, {}, None, id="no-int64"),
        pytest.param("TokenExpiration", "3600", {"token_expiration": 3600}, "", id="quoted"),
        pytest.param("TokenExpiration", "1h", {}, SECONDS.format('"1h"'), id="no-number"),
        pytest.param("TokenExpiration", 3600.5, {}, NO_SECONDS.format("a number"), id="half-a-second"),
        pytest.param("TokenExpiration", True, {}, NO_SECONDS.format("a boolean"), id="boolean"),
        pytest.param("TokenExpiration", False, {}, NO_SECONDS.format("a boolean"), id="false"),
        pytest.param("UseRegionalSTS", "false", {"regional_sts": False}, "", id="quoted-boolean"),
        pytest.param(
            "UseRegionalSTS", "yes", {}, 'set UseRegionalSTS of "a/b" to "true" or "false", got "yes"', id="yes"
        ),
        pytest.param("UseRegionalSTS", 1, {}, 'set UseRegionalSTS of "a/b" to a string, got a number', id="one"),
        pytest.param("Audience", ["x"], {}, 'set Audience of "a/b" to a string, got an array', id="audience"),
        pytest.param("Region", "EU", {}, 'set Region of "a/b" to a region such as eu-central-1, got "EU"', id="region"),
        pytest.param("Regoin", "x", {}, 'remove "regoin" from "a/b" or mend its name: it is ignored', id="unknown"),
    ],
)
def test_value_that_cannot_be_used_counts_as_missing(
    field: str, value: Any, used: dict[str, Any], problem: str | None
) -> None:
    outcome = parsed({"a/b": {"RoleARN": ROLE_ARN, field: value}})

    assert roles(outcome) == {"a/b": MappedRole(role_arn=ROLE_ARN, **used)}
    assert problem is None or outcome.problems == ((problem,) if problem else ())


def test_no_more_problems_are_told_than_a_person_reads() -> None:
    outcome = parsed({f"bad-{number}": None for number in range(1000)})

    assert len(outcome.problems) == 20
    assert outcome.problems[-1] == "mend 981 more entries"


def test_wildcards_in_namespaces_are_bounded() -> None:
    entry = {"RoleARN": ROLE_ARN}
    keys = [f"ns-{number:03}-*/app" for number in range(MAX_GLOBS + 1)]

    outcome = parsed(dict.fromkeys([*keys, "shop/app", "shop/*"], entry))

    assert list(roles(outcome)) == [*keys[:-1], "shop/app", "shop/*"]
    assert outcome.problems == (
        'name the namespace in "ns-100-*/app", at most 100 keys may have a wildcard there: it is ignored',
    )


# What is found.


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(["shop/app", "shop/*", "*/app", "*/*"], "shop/app", id="names-first"),
        pytest.param(["shop/*", "*/app", "*/*"], "shop/*", id="namespace-before-service-account"),
        pytest.param(["*/app", "*/*"], "*/app", id="name-of-the-service-account"),
        pytest.param(["shop/a*", "shop/ap*"], "shop/ap*", id="more-literal-characters"),
        pytest.param(["sh*/app", "sho*/*"], "sho*/*", id="more-literal-characters-of-the-namespace"),
        pytest.param(["shop/ap*", "shop/ap?"], "shop/ap?", id="one-before-any"),
        pytest.param(["shop/a*", "shop/*p"], "shop/*p", id="alphabet"),
        pytest.param(["test-*/app", "*/other"], None, id="none"),
        pytest.param(["shop/?", "shop/????"], None, id="one-is-one"),
        pytest.param(["shop/app*"], "shop/app*", id="any-is-none-too"),
        pytest.param([], None, id="empty"),
    ],
)
def test_most_specific_key_counts_whatever_the_order(keys: list[str], expected: str | None) -> None:
    for order in itertools.islice(itertools.permutations(keys), 24):
        assert found(mappings(*order), "shop", "app") == expected


def test_stars_in_a_row_are_one() -> None:
    assert roles(parsed({"**/a***": {"RoleARN": ROLE_ARN}})) == {"*/a*": ROLE}


def oracle(keys: set[str], namespace: str, name: str) -> str | None:
    """Slow and plain: every way to spread the characters over the wildcards; then the order of the docstring."""

    def fits(glob: str, text: str) -> bool:
        if not glob:
            return not text
        if glob[0] == "*":
            return any(fits(glob[1:], text[skipped:]) for skipped in range(len(text) + 1))
        return bool(text) and glob[0] in ("?", text[0]) and fits(glob[1:], text[1:])

    def rank(key: str) -> list[Any]:
        return [
            (any(c in "*?" for c in part), -sum(c not in "*?" for c in part), part.count("*"))
            for part in key.split("/")
        ]

    fitting = [key for key in keys if all(itertools.starmap(fits, zip(key.split("/"), (namespace, name), strict=True)))]
    return min(fitting, key=lambda key: (rank(key), key), default=None)


NAME = st.text("ab-", min_size=1, max_size=5)
GLOB = st.text("ab*?-", min_size=1, max_size=5).map(lambda text: re.sub(r"\*+", "*", text))
KEYS = st.sets(st.tuples(GLOB, GLOB).map("/".join), max_size=8)


@given(keys=KEYS, names=st.lists(st.tuples(NAME, NAME), min_size=1, max_size=5))
def test_found_is_what_a_plain_search_finds(keys: set[str], names: list[tuple[str, str]]) -> None:
    where = mappings(*sorted(keys))

    for namespace, name in names * 2:
        assert found(where, namespace, name) == oracle(keys, namespace, name)


def test_no_glob_can_stall_a_review() -> None:
    where = mappings(*(f"{'*a' * 30}{chr(97 + number)}/{'*a' * 120}b" for number in range(26)))

    started = time.process_time()
    assert found(where, "a" * 63, "a" * 253) is None

    # A search that goes back would take longer than the universe has.
    assert time.process_time() - started < 0.5


def test_names_that_no_object_could_have_are_not_remembered() -> None:
    where = mappings("*/a*")

    assert found(where, "shop", "a" * 254) is None
    assert found(where, "a" * 64, "a") is None


def test_pod_without_a_mapping_pays_less_than_a_microsecond() -> None:
    where = mappings("other/app", "team-*/*", "other/*", *(f"ns-{number}/app" for number in range(1000)))

    def seconds(where: Mappings) -> float:
        started = time.process_time()
        for _ in range(20_000):
            where.find("shop", "app")
        return time.process_time() - started

    # This is no benchmark: the bound is five times what it takes.
    assert min(seconds(where) for _ in range(3)) / 20_000 < 5e-6
    assert min(seconds(NO_MAPPINGS) for _ in range(3)) / 20_000 < 1e-6

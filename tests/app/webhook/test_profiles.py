"""The annotation ``profiles``, and that an AWS config file made of it says to others exactly what it said to us."""

import configparser
import re
import string
from pathlib import Path

import pytest
from botocore.configloader import load_config
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.cluster.objects import MAX_VALUE_CHARACTERS
from app.webhook.annotations import ROLE_ARN as ARN_PATTERN
from app.webhook.annotations import InvalidAnnotationError
from app.webhook.identity import Identity
from app.webhook.profiles import DEFAULT, MAX_PROFILES, NAME, TAKEN, Profile, config_text, parse
from tests.builders import ROLE_ARN, TOKEN_FILE

AUDIT = "arn:aws:iam::444455556666:role/audit"
DEPLOY = "arn:aws:iam::777788889999:role/teams/deploy"


def identity(*profiles: Profile, role_arn: str = ROLE_ARN) -> Identity:
    return Identity(
        role_arn=role_arn,
        audience="sts.amazonaws.com",
        token_expiration=86_400,
        regional_sts=True,
        profiles=profiles,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(f"audit={AUDIT}", (Profile(name="audit", role_arn=AUDIT),), id="one"),
        pytest.param(f"  audit  =  {AUDIT}\r\n", (Profile(name="audit", role_arn=AUDIT),), id="spaces"),
        pytest.param(
            f"audit = {AUDIT}\ndeploy = {DEPLOY} source_profile=audit\n",
            (
                Profile(name="audit", role_arn=AUDIT),
                Profile(name="deploy", role_arn=DEPLOY, source_profile="audit"),
            ),
            id="chained",
        ),
        pytest.param(
            f"deploy={DEPLOY} source_profile=audit; audit={AUDIT} source_profile=default;",
            (
                Profile(name="deploy", role_arn=DEPLOY, source_profile="audit"),
                Profile(name="audit", role_arn=AUDIT, source_profile="default"),
            ),
            id="semicolons, source after its use, chain from the own role",
        ),
        pytest.param(
            "a=arn:aws:iam::111122223333:role/x,y=z;b=arn:aws-cn:iam::111122223333:role/b",
            (
                Profile(name="a", role_arn="arn:aws:iam::111122223333:role/x,y=z"),
                Profile(name="b", role_arn="arn:aws-cn:iam::111122223333:role/b"),
            ),
            id="comma and equals sign in an ARN",
        ),
        pytest.param(" \n;\n", (), id="nothing"),
    ],
)
def test_profiles_are_read_in_their_order(value: str, expected: tuple[Profile, ...]) -> None:
    assert parse(value) == expected


LINES = "to lines of name=role-arn, source_profile=name after it or not, got "
NAMES = 'to names of at most 64 letters, digits, ".", "_" and "-", a letter or digit first, got '
SOURCE = "to a source_profile that is another profile or default, and in no circle, for "


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("audit", f'{LINES}"audit"', id="no role"),
        pytest.param(f"={AUDIT}", f'{LINES}"={AUDIT}"', id="no name"),
        pytest.param(f"two words={AUDIT}", f'{LINES}"two words={AUDIT}"', id="two words"),
        pytest.param("a=x source=b", f'{LINES}"a=x source=b"', id="another option"),
        pytest.param("a=x source_profile=", f'{LINES}"a=x source_profile="', id="no source"),
        pytest.param("a=x source_profile=b c", f'{LINES}"a=x source_profile=b c"', id="one word more"),
        pytest.param(
            "audit=audit",
            'for profile "audit" to an IAM role\'s ARN such as arn:aws:iam::111122223333:role/name, got "audit"',
            id="no ARN",
        ),
        pytest.param(f"__proto__={AUDIT}", f'{NAMES}"__proto__"', id="underscore first"),
        pytest.param(f"a]={AUDIT}", f'{NAMES}"a]"', id="bracket"),
        pytest.param(f"ä={AUDIT}", f'{NAMES}"ä"', id="letter of another alphabet"),
        pytest.param(f"{'a' * 65}={AUDIT}", f'{NAMES}"{"a" * 65}"', id="long name"),
        pytest.param(
            f"default={AUDIT}", "to other names than default, which SDKs take for something else", id="default"
        ),
        pytest.param(
            f"toString={AUDIT}", "to other names than toString, which SDKs take for something else", id="JavaScript"
        ),
        pytest.param(f"a={AUDIT};a={DEPLOY}", "to profiles of different names, got a twice", id="one name twice"),
        pytest.param(f"a={AUDIT} source_profile=b", f'{SOURCE}a, got "b"', id="unknown source"),
        pytest.param(f"a={AUDIT} source_profile=a", f'{SOURCE}a, got "a"', id="its own source"),
        pytest.param(
            f"a={AUDIT};b={AUDIT} source_profile=c;c={AUDIT} source_profile=b", f'{SOURCE}b, got "c"', id="circle"
        ),
        pytest.param(
            "\n".join(f"a{number}={AUDIT}" for number in range(MAX_PROFILES + 1)),
            "to at most 16 profiles, got 17",
            id="many",
        ),
        pytest.param("a" * 2049, "to at most 2048 characters, got more", id="long"),
    ],
)
def test_a_line_that_cannot_be_used_spoils_all(value: str, message: str) -> None:
    with pytest.raises(InvalidAnnotationError, match=f"^{re.escape(message)}$"):
        parse(value)


def test_roles_are_read_as_the_caller_reads_them() -> None:
    profiles = parse("audit=audit", role_arn=lambda name: f"arn:aws:iam::444455556666:role/{name}")

    assert profiles == (Profile(name="audit", role_arn=AUDIT),)


def test_config_file_has_the_own_role_as_default() -> None:
    profiles = parse(f"audit={AUDIT}\ndeploy={DEPLOY} source_profile=audit")

    assert config_text(identity(*profiles), token_file=TOKEN_FILE, region="eu-central-1", session_name="shop-1") == (
        f"[default]\nrole_arn = {ROLE_ARN}\nweb_identity_token_file = {TOKEN_FILE}\n"
        "role_session_name = shop-1\nregion = eu-central-1\n"
        f"\n[profile audit]\nrole_arn = {AUDIT}\nweb_identity_token_file = {TOKEN_FILE}\n"
        "role_session_name = shop-1\nregion = eu-central-1\n"
        f"\n[profile deploy]\nrole_arn = {DEPLOY}\nsource_profile = audit\n"
        "role_session_name = shop-1\nregion = eu-central-1\n"
    )


def test_config_file_leaves_to_the_environment_what_is_not_known() -> None:
    assert config_text(identity(), token_file=TOKEN_FILE) == (
        f"[default]\nrole_arn = {ROLE_ARN}\nweb_identity_token_file = {TOKEN_FILE}\n"
    )


names = st.from_regex(NAME, fullmatch=True).filter(lambda name: name not in TAKEN)
roles = st.from_regex(ARN_PATTERN, fullmatch=True)

BREAKING = st.text(string.ascii_letters + " \t\r\n;=[]#%$\\\"'{}_.-/\x00\x0b\x85\u2028ä", max_size=12)
"""What has a meaning in some INI file, and what ends a line somewhere."""


@st.composite
def annotations(draw: st.DrawFn) -> str:
    """Return lines that can be used, one after another."""
    known = [DEFAULT]
    lines = []
    for name in draw(st.lists(names, max_size=6, unique=True)):
        source = draw(st.none() | st.sampled_from(known))
        lines.append(f"{name}={draw(roles)}" + ("" if source is None else f" source_profile={source}"))
        known.append(name)
    return "\n".join(lines)


def settings_in(profile: Profile) -> dict[str, str]:
    how = (
        {"source_profile": profile.source_profile}
        if profile.source_profile
        else {"web_identity_token_file": TOKEN_FILE}
    )
    return {"role_arn": profile.role_arn, **how, "region": "eu-central-1"}


def is_read_as_written(profiles: tuple[Profile, ...], file: Path) -> bool:
    """Return whether others find in our file the own role and *profiles*, and nothing else."""
    file.write_text(config_text(identity(*profiles), token_file=TOKEN_FILE, region="eu-central-1"))
    expected = {each.name: settings_in(each) for each in (Profile(name=DEFAULT, role_arn=ROLE_ARN), *profiles)}
    plain = configparser.ConfigParser(interpolation=None)
    plain.read(file)
    return (
        load_config(str(file))["profiles"] == expected
        and {name.removeprefix("profile "): dict(plain[name]) for name in plain.sections()} == expected
    )


@given(value=annotations())
@settings(deadline=None, max_examples=50)
def test_others_read_from_the_file_what_was_parsed(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(len(value) <= MAX_VALUE_CHARACTERS)
    profiles = parse(value)

    assert len(profiles) == len(value.splitlines())
    assert is_read_as_written(profiles, tmp_path_factory.getbasetemp() / "config")


@given(value=annotations(), breaking=BREAKING, data=st.data())
@settings(deadline=None)
def test_nothing_that_a_stranger_writes_breaks_out_of_its_line(
    value: str, breaking: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at = data.draw(st.integers(0, len(value)))
    try:
        profiles = parse(value[:at] + breaking + value[at:])
    except InvalidAnnotationError as error:
        message = str(error)
    else:
        message = ""

        assert is_read_as_written(profiles, tmp_path_factory.getbasetemp() / "config")

    assert message.isprintable()

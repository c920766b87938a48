"""The annotation ``profiles`` -> further roles, and these -> the text of an AWS config file. Pure.

The ServiceAccount says one profile a line; its own role is the profile ``default``::

    eks.amazonaws.com/role-arn: arn:aws:iam::111122223333:role/shop
    eks.amazonaws.com/profiles: |
      audit = arn:aws:iam::444455556666:role/audit
      deploy = arn:aws:iam::777788889999:role/deploy source_profile=audit

``audit`` is assumed with the pod's token, ``deploy`` with the credentials of ``audit`` (role chaining). A semicolon
may stand for the end of a line. Every SDK reads what comes of it:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.cluster.objects import MAX_VALUE_CHARACTERS
from app.text import shown
from app.webhook import annotations
from app.webhook.annotations import InvalidAnnotationError

if TYPE_CHECKING:  # an identity has profiles, and imports this
    from app.webhook.identity import Identity

DEFAULT: Final = "default"
"""The profile that an SDK takes where nobody names one: the ServiceAccount's own role."""

MAX_PROFILES: Final = 16

LINE: Final = re.compile(r"([^=\s]+)\s*=\s*(\S+)(?:\s+source_profile=(\S+))?")

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What every SDK reads in a section's head without quotes. No underscore comes first: for the one name __proto__ the
SDK for JavaScript refuses the whole file."""

TAKEN: Final = frozenset({DEFAULT}) | frozenset(
    ["constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf"]
)
"""The first is the own role. The others are what every object in JavaScript has: its SDK takes such a profile for one
that it has been at already, and finds no credentials (seen in 3.1174.0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One more role for the pod's SDKs, in an AWS config file."""

    name: str
    role_arn: str
    source_profile: str | None = None
    """The profile whose credentials assume this role; None where the pod's own token does."""


def parse(value: str, *, role_arn: Callable[[str], str] = annotations.role_arn) -> tuple[Profile, ...]:
    """Return the profiles in *value*, in its order.

    Args:
        value: the annotation.
        role_arn: reads one role; may raise InvalidAnnotationError.

    Raises:
        InvalidAnnotationError: a line cannot be used, and so none of them is.
    """
    if len(value) > MAX_VALUE_CHARACTERS:
        raise InvalidAnnotationError(f"to at most {MAX_VALUE_CHARACTERS} characters, got more")
    lines = [line.strip() for line in re.split(r"[\n;]", value) if line.strip()]
    if len(lines) > MAX_PROFILES:
        raise InvalidAnnotationError(f"to at most {MAX_PROFILES} profiles, got {len(lines)}")
    profiles = tuple(_profile(line, role_arn) for line in lines)
    _check_names(profiles)
    _check_sources(profiles)
    return profiles


def _profile(line: str, role_arn: Callable[[str], str]) -> Profile:
    found = LINE.fullmatch(line)
    if found is None:
        raise InvalidAnnotationError(
            f"to lines of name=role-arn, source_profile=name after it or not, got {shown(line)}"
        )
    name, role, source = found.groups()
    try:
        return Profile(name=name, role_arn=role_arn(role), source_profile=source)
    except InvalidAnnotationError as error:
        raise InvalidAnnotationError(f"for profile {shown(name)} {error}") from None


def _check_names(profiles: tuple[Profile, ...]) -> None:
    for name, times in Counter(profile.name for profile in profiles).items():
        if not NAME.fullmatch(name):
            rule = 'at most 64 letters, digits, ".", "_" and "-", a letter or digit first'
            raise InvalidAnnotationError(f"to names of {rule}, got {shown(name)}")
        if name in TAKEN:
            raise InvalidAnnotationError(f"to other names than {name}, which SDKs take for something else")
        if times > 1:
            raise InvalidAnnotationError(f"to profiles of different names, got {name} twice")


def _check_sources(profiles: tuple[Profile, ...]) -> None:
    """Refuse a profile whose chain of sources does not end at the pod's token."""
    usable: set[str | None] = {None, DEFAULT}
    for _ in profiles:
        usable |= {profile.name for profile in profiles if profile.source_profile in usable}
    for profile in profiles:
        if profile.name not in usable:
            raise InvalidAnnotationError(
                f"to a source_profile that is another profile or {DEFAULT}, and in no circle, for {profile.name}, "
                f"got {shown(profile.source_profile)}"
            )


def config_text(
    identity: "Identity", *, token_file: str, region: str | None = None, session_name: str | None = None
) -> str:
    """Return the AWS config file that gives a pod its *identity* and all its profiles.

    Args:
        identity: its values are parsed ones: none of them can end a line.
        token_file: where the pod finds its token.
        region: for every profile; None leaves it to the environment.
        session_name: for every profile; None leaves it to the environment, and then to the SDK.
    """
    own = Profile(name=DEFAULT, role_arn=identity.role_arn)
    sections = (
        "\n".join(_section(profile, token_file=token_file, region=region, session_name=session_name))
        for profile in (own, *identity.profiles)
    )
    return "\n\n".join(sections) + "\n"


def _section(profile: Profile, *, token_file: str, region: str | None, session_name: str | None) -> Iterator[str]:
    yield f"[{DEFAULT}]" if profile.name == DEFAULT else f"[profile {profile.name}]"
    yield f"role_arn = {profile.role_arn}"
    if profile.source_profile is None:
        yield f"web_identity_token_file = {token_file}"
    else:
        yield f"source_profile = {profile.source_profile}"
    # SDKs take these from the profile in use only, never from [default].
    if session_name:
        yield f"role_session_name = {session_name}"
    if region:
        yield f"region = {region}"

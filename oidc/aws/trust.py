"""A role's trust policy -> which subjects of an issuer it lets in. Pure.

The rules are those of the IAM User Guide, "IAM JSON policy elements: Condition", for the keys that a provider has:
``ISSUER:sub``, ``ISSUER:aud`` and ``ISSUER:amr``, ISSUER being the issuer's URL without ``https://``. Values of one key
are alternatives; keys and operators must all hold; a Deny counts before an Allow. What is not known here (an operator,
a key such as ``aws:SourceIp``, a policy variable) may hold or not: the statement is said to be uncertain.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

ACTION: Final = "sts:AssumeRoleWithWebIdentity"
PROVIDER: Final = re.compile(r"arn:aws[a-z0-9-]*:iam::\d{12}:oidc-provider/(.+)", re.ASCII)
SERVICE_ACCOUNT: Final = "system:serviceaccount:"

QUALIFIERS: Final = ("foranyvalue:", "forallvalues:")
IF_EXISTS: Final = "ifexists"
VARIABLE: Final = "${"


class Verdict(Enum):
    """Whether a role may be assumed."""

    YES = "yes"
    NO = "no"
    UNCERTAIN = "uncertain"
    """It depends on conditions that only AWS can judge."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: a key's value must be one of some patterns.

    Attributes:
        key: ``sub`` or ``aud``.
        patterns: what the value may be.
        texts: the same as they stand in the policy.
        negated: or rather may not be.
    """

    key: str
    patterns: tuple[re.Pattern[str], ...]
    texts: tuple[str, ...]
    negated: bool = False

    def holds(self, value: str) -> bool:
        """Return whether *value* passes."""
        return any(pattern.fullmatch(value) for pattern in self.patterns) is not self.negated


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a statement of a trust policy says of one issuer.

    Attributes:
        denies: it takes away instead of giving.
        conditions: all of them must hold.
        is_certain: whether these are all of its conditions.
    """

    denies: bool
    conditions: tuple[Condition, ...]
    is_certain: bool

    def holds(self, subject: str, audience: str) -> bool:
        """Return whether it speaks of a token with that ``sub`` and ``aud``, as far as we know its conditions."""
        values = {"sub": subject, "aud": audience}
        return all(condition.holds(values[condition.key]) for condition in self.conditions)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects that it names, with the wildcards ``*`` and ``?``; of one that names none, ``*``."""
        named = [condition.texts for condition in self.conditions if condition.key == "sub" and not condition.negated]
        return min(named, key=len) if named else ("*",)


def statements(policy: Mapping[str, Any], issuer: str) -> tuple[Statement, ...]:
    """Return the statements of a trust *policy* that speak of tokens of an *issuer*.

    Args:
        policy: the AssumeRolePolicyDocument, decoded. One that is none has no statements.
        issuer: its URL.
    """
    host = issuer.removeprefix("https://").rstrip("/")
    given = policy.get("Statement")
    return tuple(
        _statement(one, host)
        for one in _list(given)
        if isinstance(one, Mapping) and _names_action(one) and _names_provider(one.get("Principal"), host)
    )


def verdict(found: tuple[Statement, ...], *, subject: str, audience: str) -> Verdict:
    """Return whether a token of that ``sub`` and ``aud`` gets in.

    Args:
        found: what `statements` found.
        subject: such as ``system:serviceaccount:shop:app``.
        audience: such as ``sts.amazonaws.com``.
    """
    holding = [statement for statement in found if statement.holds(subject, audience)]
    if any(statement.denies and statement.is_certain for statement in holding):
        return Verdict.NO
    allowing = [statement for statement in holding if not statement.denies]
    if not allowing:
        return Verdict.NO
    is_certain = any(statement.is_certain for statement in allowing) and not any(one.denies for one in holding)
    return Verdict.YES if is_certain else Verdict.UNCERTAIN


def trusted_subjects(found: tuple[Statement, ...]) -> tuple[str, ...]:
    """Return the subjects that some statement lets in, as they stand there: with wildcards, each once."""
    return tuple(dict.fromkeys(name for statement in found if not statement.denies for name in statement.subjects))


def like(pattern: str) -> re.Pattern[str]:
    """Return what matches as ``StringLike`` does: ``*`` is any characters, ``?`` is one, all others are themselves."""
    # What comes of fnmatch since Python 3.11 never goes back on a *, so no policy can stall us.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def _statement(statement: Mapping[str, Any], host: str) -> Statement:
    conditions, is_certain = [], True
    for condition in _conditions(statement.get("Condition"), host):
        if condition is None:
            is_certain = False
        else:
            conditions.append(condition)
    # Whoever wrote neither of these two means something that we do not know.
    effect = statement.get("Effect")
    return Statement(
        denies=effect == "Deny", conditions=tuple(conditions), is_certain=is_certain and effect in {"Allow", "Deny"}
    )


def _conditions(condition: object, host: str) -> Iterator[Condition | None]:
    """Yield each condition, None for one that we cannot judge."""
    for operator, keys in condition.items() if isinstance(condition, Mapping) else ():
        for key, values in keys.items() if isinstance(keys, Mapping) else ():
            yield _condition(str(operator), str(key), [str(value) for value in _list(values)], host)


def _condition(operator: str, key: str, values: list[str], host: str) -> Condition | None:
    name = operator.casefold().removesuffix(IF_EXISTS)  # the keys are in every token, so IfExists changes nothing
    for qualifier in QUALIFIERS:
        name = name.removeprefix(qualifier)  # the keys have one value, so these change nothing either
    negated = name.startswith("stringnot")
    claim = next((claim for claim in ("sub", "aud") if key.casefold() == f"{host}:{claim}".casefold()), None)
    if claim is None or any(VARIABLE in value for value in values):
        return None
    match name.replace("stringnot", "string"):
        case "stringequals":
            patterns = [re.compile(re.escape(value)) for value in values]
        case "stringequalsignorecase":
            patterns = [re.compile(re.escape(value), re.IGNORECASE) for value in values]
        case "stringlike":
            patterns = [like(value) for value in values]
        case _:
            return None
    return Condition(claim, tuple(patterns), tuple(values), negated=negated)


def _names_action(statement: Mapping[str, Any]) -> bool:
    actions = [str(action).casefold() for action in _list(statement.get("Action"))]
    return any(like(action).fullmatch(ACTION.casefold()) for action in actions)


def _names_provider(principal: object, host: str) -> bool:
    if principal == "*":
        return True
    named = _list(principal.get("Federated")) if isinstance(principal, Mapping) else []
    found = (PROVIDER.fullmatch(one) for one in named if isinstance(one, str))
    return "*" in named or any(one[1].rstrip("/") == host for one in found if one)


def _list(value: object) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]

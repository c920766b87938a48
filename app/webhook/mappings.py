"""The operator's map of ServiceAccounts -> roles, for those that carry no role themselves. Pure.

The format is that of the AWS webhook's ConfigMap (pkg/cache in github.com/aws/amazon-eks-pod-identity-webhook), in
JSON or YAML: an object whose keys are ``namespace/serviceaccount`` and whose values are objects with

==================  ===================  ==================================================
field, in any case  value                missing, null, empty or 0
==================  ===================  ==================================================
RoleARN             an ARN or bare name  the entry cannot be used
Audience            a string             the operator's default
UseRegionalSTS      a boolean            the operator's default
TokenExpiration     seconds              the operator's default
Region              a region's name      the operator's default
==================  ===================  ==================================================

Both parts of a key may have ``*`` for any characters and ``?`` for one. Of the keys that fit, the most specific one
counts. The namespace parts are compared first, then the ServiceAccount parts: without a wildcard before with one, then
more literal characters before fewer, then fewer ``*`` before more; what is equal in all that goes by the alphabet.

What is wrong with an entry is said in a line of its own, and the rest of the map is in force.
"""

import fnmatch
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from app.text import shown
from app.webhook import annotations as parse
from app.webhook.accounts import Account
from app.webhook.annotations import InvalidAnnotationError
from app.webhook.config_map import InvalidConfigMapError, bounded, kind, read

T = TypeVar("T")

MAX_GLOBS: Final = 100
"""Keys with a wildcard in their namespace, which are tried one after the other; all others are looked up."""

MAX_NAMESPACE_CHARACTERS: Final = 63
MAX_NAME_CHARACTERS: Final = 253
"""apimachinery's DNS1123LabelMaxLength and DNS1123SubdomainMaxLength."""

MAX_INT64: Final = 2**63 - 1

REMEMBERED: Final = 4096
"""Look-ups whose answers are kept: 1 MB, with the longest names that Kubernetes has 2 MB."""

_WILDCARD: Final = re.compile(r"[*?]")
_KEY: Final = re.compile(r"[a-z0-9*?-]{1,63}/[a-z0-9.*?-]{1,253}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedRole:
    """One entry. What is None is as the operator's defaults say."""

    role_arn: str
    audience: str | None = None
    regional_sts: bool | None = None
    token_expiration: int | None = None
    """Seconds."""
    region: str | None = None


@dataclass(frozen=True, slots=True)
class _Glob:
    """An entry with wildcards."""

    namespace: Callable[[str], object]
    service_account: Callable[[str], object]
    role: MappedRole


def _matcher(part: str) -> Callable[[str], object]:
    # Since Python 3.11 each * comes out of fnmatch as an atomic group, which is never gone back on: what it costs is
    # the name's length times the part's at most. It knows brackets too, and no key has one.
    return re.compile(fnmatch.translate(part)).match


def _specificity(key: str) -> tuple[object, ...]:
    """Return what sorts the most specific key first."""
    ranks = []
    for part in key.split("/"):
        wildcards = len(_WILDCARD.findall(part))
        ranks.append((wildcards > 0, wildcards - len(part), part.count("*")))
    return (*ranks, key)


class Mappings:
    """Roles by namespace and name of a ServiceAccount.

    Attributes:
        roles: the entries by their keys, such as ``team-*/app``.
    """

    def __init__(self, roles: Mapping[str, MappedRole]) -> None:
        self.roles = roles
        self._in_namespaces: dict[str, list[_Glob]] = {}
        self._in_any: list[_Glob] = []
        for key in sorted(filter(_WILDCARD.search, roles), key=_specificity):
            namespace, _, name = key.partition("/")
            is_named = not _WILDCARD.search(namespace)
            globs = self._in_namespaces.setdefault(namespace, []) if is_named else self._in_any
            globs.append(_Glob(_matcher(namespace), _matcher(name), roles[key]))
        self._remembered: Callable[[str, str], MappedRole | None] = functools.lru_cache(REMEMBERED)(self._search)

    def find(self, namespace: str, service_account: str) -> MappedRole | None:
        """Return the most specific entry for a ServiceAccount; without any wildcard that is one look-up."""
        if not self.roles:
            return None
        found = self.roles.get(f"{namespace}/{service_account}")
        if found is not None or not (self._in_any or namespace in self._in_namespaces):
            return found
        # A review comes before the apiserver has looked at the names in it: one of a megabyte is not to be kept.
        if len(namespace) > MAX_NAMESPACE_CHARACTERS or len(service_account) > MAX_NAME_CHARACTERS:
            return None
        return self._remembered(namespace, service_account)

    def _search(self, namespace: str, service_account: str) -> MappedRole | None:
        for globs in (self._in_namespaces.get(namespace, ()), self._in_any):
            for glob in globs:
                if glob.namespace(namespace) and glob.service_account(service_account):
                    return glob.role
        return None


NO_MAPPINGS: Final = Mappings({})


@dataclass(frozen=True, slots=True)
class ParsedMappings:
    """What a ConfigMap says."""

    mappings: Mappings | None
    """None where it cannot be read at all: then the last good content stays in force."""
    problems: tuple[str, ...] = ()
    """A line for each thing that somebody should mend, at most `config_map.MAX_PROBLEMS`."""


def parse_mappings(data: Mapping[str, str], *, account: Account | None = None) -> ParsedMappings:
    """Return the mappings in a ConfigMap.

    Args:
        data: its ``data``; of a file, the text under the key ``config``. Where it is empty nothing is mapped.
        account: where roles are that are given by a bare name.
    """
    try:
        document = read(data)
    except InvalidConfigMapError as error:
        return ParsedMappings(None, (str(error),))
    entries = _Entries(account=account)
    for key, entry in document.items():
        entries.add(key, entry)
    return ParsedMappings(Mappings(entries.roles), bounded(entries.problems))


@dataclass(slots=True, kw_only=True)
class _Entries:
    """The entries that can be used, and what is wrong with the others."""

    account: Account | None
    roles: dict[str, MappedRole] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    globs: int = 0

    def add(self, key: object, entry: object) -> None:
        try:
            name = self._key(key)
            self.roles[name] = self._role(name, entry)
        except InvalidConfigMapError as error:
            self.problems.append(str(error))

    def _key(self, key: object) -> str:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            got = shown(key) if isinstance(key, str) else kind(key)
            raise InvalidConfigMapError(f"write namespace/serviceaccount as the key instead of {got}: it is ignored")
        if _WILDCARD.search(key.partition("/")[0]):
            self.globs += 1
            if self.globs > MAX_GLOBS:
                limit = f"at most {MAX_GLOBS} keys may have a wildcard there"
                raise InvalidConfigMapError(f"name the namespace in {shown(key)}, {limit}: it is ignored")
        return re.sub(r"\*+", "*", key)

    def _role(self, key: str, entry: object) -> MappedRole:
        if not isinstance(entry, dict):
            raise InvalidConfigMapError(f"write an object with RoleARN for {shown(key)}, got {kind(entry)}")
        # As Go reads them, which the AWS webhook is written in: case does not matter, and of two the last one counts.
        values = {str(name).casefold(): value for name, value in entry.items() if value not in (None, "")}

        def value(name: str, parser: Callable[[object], T]) -> T | None:
            given = values.pop(name.casefold(), None)
            try:
                return None if given is None else parser(given)
            except InvalidAnnotationError as error:
                self.problems.append(f"set {name} of {shown(key)} {error}")
                return None

        try:
            role_arn = parse.role_arn(_string(values.pop("rolearn", "")), account=self.account)
        except InvalidAnnotationError as error:
            raise InvalidConfigMapError(f"set RoleARN of {shown(key)} {error}") from None
        role = MappedRole(
            role_arn=role_arn,
            audience=value("Audience", _string),
            regional_sts=value("UseRegionalSTS", _boolean),
            token_expiration=self._expiration(key, value("TokenExpiration", _seconds)),
            region=value("Region", lambda given: parse.region(_string(given))),
        )
        if values:
            self.problems.append(
                f"remove {shown(next(iter(values)))} from {shown(key)} or mend its name: it is ignored"
            )
        return role

    def _expiration(self, key: str, seconds: str | None) -> int | None:
        # The AWS webhook's 0 is the default, and kops writes it.
        if seconds is None or seconds == "0":
            return None
        try:
            return parse.token_expiration(seconds)
        except InvalidAnnotationError as error:
            self.problems.append(f"set TokenExpiration of {shown(key)} {error}")
            return parse.clamped_token_expiration(seconds)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidAnnotationError(f"to a string, got {kind(value)}")
    return value


def _boolean(value: object) -> bool:
    return value if isinstance(value, bool) else parse.boolean(_string(value))


def _seconds(value: object) -> str:
    """Return what an annotation would say."""
    # A number of YAML may be longer than what Python is willing to write out.
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INT64
    if is_number or isinstance(value, str):
        return str(value)
    raise InvalidAnnotationError(f"to whole seconds, got {kind(value)}")

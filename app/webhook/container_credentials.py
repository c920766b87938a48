"""The ServiceAccounts whose pods get credentials from a local endpoint, as with EKS Pod Identity. Pure.

The format is that of the AWS webhook (pkg/containercredentials in github.com/aws/amazon-eks-pod-identity-webhook), in
JSON or YAML::

    {"identities": [{"namespace": "shop", "serviceAccount": "app"}]}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.text import shown
from app.webhook.config_map import InvalidConfigMapError, bounded, kind, read

Identities = frozenset[tuple[str, str]]
"""Namespace and name of ServiceAccounts. There are no wildcards."""

NO_IDENTITIES: Final[Identities] = frozenset()

IDENTITIES: Final = "identities"
FIELDS: Final = ("namespace", "serviceAccount")


@dataclass(frozen=True, slots=True)
class ParsedIdentities:
    """What a file or ConfigMap says."""

    identities: Identities | None
    """None where it cannot be read at all: then the last good content stays in force."""
    problems: tuple[str, ...] = ()
    """A line for each thing that somebody should mend, at most `config_map.MAX_PROBLEMS`."""


def parse_identities(data: Mapping[str, str]) -> ParsedIdentities:
    """Return the identities in a ConfigMap's *data*; of a file, its text under the key ``config``. Empty means none."""
    try:
        document = read(data)
        entries = _entries(document)
    except InvalidConfigMapError as error:
        return ParsedIdentities(None, (str(error),))
    others = (key for key in document if key != IDENTITIES)
    problems = [f"remove {shown(key)}, only {IDENTITIES} is read: it is ignored" for key in others]
    identities = set()
    for index, entry in enumerate(entries):
        try:
            identities.add(_identity(entry))
        except InvalidConfigMapError as error:
            problems.append(f"{error} at {IDENTITIES}[{index}]")
    return ParsedIdentities(frozenset(identities), bounded(problems))


def _entries(document: Mapping[Any, Any]) -> list[Any]:
    entries = document.get(IDENTITIES)
    if entries is not None and not isinstance(entries, list):
        raise InvalidConfigMapError(f"write an array as {IDENTITIES}, got {kind(entries)}")
    return entries or []


def _identity(entry: object) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise InvalidConfigMapError(f"write an object with namespace and serviceAccount, got {kind(entry)}")
    values = [entry.get(field) for field in FIELDS]
    for field, value in zip(FIELDS, values, strict=True):
        if not isinstance(value, str) or not value:
            raise InvalidConfigMapError(f"set {field} to a name, got {kind(value or None)}")
    namespace, service_account = map(str, values)
    return namespace, service_account

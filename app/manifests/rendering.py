"""A value that is new -> YAML text. Pure.

Written here for the words that may stand without quotes: for kubectl, whose YAML is 1.1, `yes` and `on` are booleans,
and ruamel, whose YAML is 1.2, would write them bare.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

# Starts as no number, date or sign of YAML does; holds nothing that means something in either style.
_BARE: Final = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./@+=\\-]|:(?=[A-Za-z0-9_./:\\-]))*")
_NOT_A_STRING: Final = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How the lines around a new value are indented, in columns.

    Attributes:
        mapping: from a key to the keys below it.
        sequence: from a key to the dashes below it, mostly 0 or 2.
        item: from a dash to what it is the dash of.
    """

    mapping: int = 2
    sequence: int = 0
    item: int = 2


def block(value: Any, style: Style) -> list[str]:
    """Return the lines of *value*, the first key or dash in column 0."""
    if isinstance(value, dict):
        return [line for key, one in value.items() for line in entry(key, one, style)]
    if isinstance(value, list):
        return [line for one in value for line in item(one, style)]
    return [scalar(value)]


def entry(key: str, value: Any, style: Style) -> list[str]:
    """Return the lines of a mapping's *key* with its *value*."""
    if not isinstance(value, dict | list):
        return [f"{scalar(key)}: {scalar(value)}"]
    indent = style.mapping if isinstance(value, dict) else style.sequence
    return [f"{scalar(key)}:", *(" " * indent + line for line in block(value, style))]


def item(value: Any, style: Style) -> list[str]:
    """Return the lines of a list's item, dash included."""
    first, *others = block(value, style)
    return ["-".ljust(style.item) + first, *(" " * style.item + line for line in others)]


def flow(value: Any, *, as_json: bool) -> str:
    """Return *value* in one line, as JSON or as YAML between brackets."""
    if as_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(one, as_json=False)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(one, as_json=False) for one in value) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Return a string, number, boolean or null; a string in quotes where any YAML could read something else."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _NOT_A_STRING:
        return value
    text = json.dumps(value, ensure_ascii=False)
    # JSON's escapes are YAML's, but JSON lets stand what YAML's parsers refuse, such as C1 controls.
    return "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in text)

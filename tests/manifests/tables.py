"""What the chart's README says in tables, made from the chart. Pure."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from tests.manifests.chart import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A key of values.yaml that a user sets as a whole, and the comment above it."""

    path: tuple[str, ...]
    comment: str
    default: Any


def values(text: str) -> Iterator[Value]:
    """Yield every value in *text*: the keys with a comment above, of which the others are only sections."""
    content = YAML(typ="safe").load(text)
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        found = re.match(r"( *)([A-Za-z]+):", line)
        if line.lstrip().startswith("# "):
            comment.append(line.lstrip().removeprefix("# "))
        elif found:
            path = [*path[: len(found[1]) // 2], found[2]]
            if comment:
                default = content
                for key in path:
                    default = default[key]
                yield Value(path=tuple(path), comment=" ".join(comment), default=default)
            comment = []
        else:
            comment = []


def values_table(text: str) -> str:
    rows = (f"| `{'.'.join(one.path)}` | `{json.dumps(one.default)}` | {one.comment} |" for one in values(text))
    return "\n".join(["| value | default | what it is |", "|---|---|---|", *rows])


def rights_table(manifests: Iterable[Manifest]) -> str:
    rows = ["| who | may | what | of these names | where |", "|---|---|---|---|---|"]
    manifests = list(manifests)
    rules = {(one["kind"], one["metadata"]["name"]): one["rules"] for one in manifests if "rules" in one}
    bindings = [one for one in manifests if one["kind"] in {"ClusterRoleBinding", "RoleBinding"}]
    for binding in bindings:
        where = f"namespace `{binding['metadata']['namespace']}`" if binding["kind"] == "RoleBinding" else "everywhere"
        for rule in rules[binding["roleRef"]["kind"], binding["roleRef"]["name"]]:
            verbs, names = ", ".join(rule["verbs"]), ", ".join(f"`{name}`" for name in rule.get("resourceNames", []))
            for subject in binding["subjects"]:
                what = ", ".join(rule["resources"])
                rows.append(f"| `{subject['name']}` | {verbs} | {what} | {names or 'all'} | {where} |")
    return "\n".join([*rows[:2], *sorted(rows[2:])])

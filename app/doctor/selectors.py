"""Label selectors: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors. Pure."""

from collections.abc import Mapping
from typing import Any

from app.doctor.record import Document


def selects(selector: Document | None, labels: Mapping[str, str]) -> bool:
    """Return whether *selector* selects an object with *labels*; None and an empty one select all."""
    return unmet(selector, labels) is None


def unmet(selector: Document | None, labels: Mapping[str, str]) -> str | None:
    """Return the first requirement of *selector* that *labels* do not meet, in words; None where they meet all."""
    for key, value in ((selector or {}).get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return f"{key}={value}"
    for requirement in (selector or {}).get("matchExpressions") or ():
        if not _is_met(requirement, labels):
            values = ", ".join(requirement.get("values") or ())
            return f"{requirement['key']} {requirement['operator']}" + (f" [{values}]" if values else "")
    return None


def _is_met(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement["key"])
    values = requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None

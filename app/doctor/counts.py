"""``/metrics`` of an API server -> how our hooks fared. Pure.

Under ``failurePolicy: Ignore`` a call that fails leaves no trace in the answer to whoever makes a pod; these counters
are where it shows (apiserver's pkg/admission/metrics/metrics.go). Each API server counts for itself: what did not rise
here may have risen in another one behind the same address.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(r'^apiserver_admission_(\w+)\{([^}]*\bname="([^"]*)"[^}]*)\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How often.

    Attributes:
        answered: the webhook answered.
        failed_open: it could not be asked, and the pod was admitted all the same.
        failed_closed: it could not be asked, and the pod was refused.
        excluded: a matchCondition said that it is not to be asked.
        condition_errors: a matchCondition could not be evaluated.
    """

    answered: int = 0
    failed_open: int = 0
    failed_closed: int = 0
    excluded: int = 0
    condition_errors: int = 0

    def since(self, before: "Counts") -> "Counts":
        """Return what was counted after *before*."""
        return Counts(
            answered=self.answered - before.answered,
            failed_open=self.failed_open - before.failed_open,
            failed_closed=self.failed_closed - before.failed_closed,
            excluded=self.excluded - before.excluded,
            condition_errors=self.condition_errors - before.condition_errors,
        )


def counts(text: str, hooks: Collection[str]) -> Counts:
    """Return what *text*, in the exposition format of Prometheus, says about *hooks*, by name."""
    found = {"answered": 0, "failed_open": 0, "failed_closed": 0, "excluded": 0, "condition_errors": 0}
    for metric, labels, name, value in _LINE.findall(text):
        kind = _kind(metric, labels)
        if name in hooks and kind is not None:
            found[kind] += int(float(value))
    return Counts(**found)


def _kind(metric: str, labels: str) -> str | None:
    match metric:
        case "webhook_fail_open_count":
            return "failed_open"
        case "webhook_rejection_count" if 'error_type="calling_webhook_error"' in labels:
            return "failed_closed"
        case "webhook_request_total" if 'code="200"' in labels:
            return "answered"
        case "match_condition_exclusions_total":
            return "excluded"
        case "match_condition_evaluation_errors_total":
            return "condition_errors"
        case _:
            return None

"""What we keep of a Kubernetes object. Pure.

A cluster has 100,000 ServiceAccounts and a tenth of them have a role, so one without annotations of ours costs a
dictionary entry and nothing else: they all share `UNANNOTATED`.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MAX_ANNOTATIONS: Final = 32
"""Annotations kept of one ServiceAccount; we know 5, near misses may double that, the rest is somebody's joke."""

MAX_VALUE_CHARACTERS: Final = 4096
"""Longest value kept. An ARN has at most 2,048; a longer value is cut to one more than this, so that it is seen."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A ServiceAccount that exists, with the annotations that concern us."""

    annotations: Mapping[str, str]


UNANNOTATED: Final = ServiceAccount(MappingProxyType({}))


def service_account(annotations: Mapping[str, str] | None, *, keep: Callable[[str], bool]) -> ServiceAccount:
    """Return what we keep of a ServiceAccount with these *annotations*.

    Args:
        annotations: ``metadata.annotations``, absent or null where there are none.
        keep: says of an annotation's key whether it concerns us.
    """
    if not annotations:
        return UNANNOTATED
    # Interned: ten thousand ServiceAccounts have the same few keys, each decoded into a string of its own.
    kept = [(sys.intern(key), value[: MAX_VALUE_CHARACTERS + 1]) for key, value in annotations.items() if keep(key)]
    return ServiceAccount(MappingProxyType(dict(kept[:MAX_ANNOTATIONS]))) if kept else UNANNOTATED

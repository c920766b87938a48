"""What we keep of a Kubernetes object. Pure.

A cluster has 100,000 ServiceAccounts and a tenth of them have a role, so one without annotations of ours costs a
dictionary entry and nothing else: they all share `UNANNOTATED`.
"""

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

MAX_VALUE_CHARACTERS: Final = 2048
"""Longest value that is good: an ARN's. A longer one is cut to one more than this, so that it is seen."""

MAX_OTHERS: Final = 16
"""Annotations kept of one ServiceAccount besides those that we know. Only their keys are ever told of."""

MAX_KEY_CHARACTERS: Final = 253 + 1 + 63
"""Longest key that kube-apiserver takes, prefix and name (apimachinery's IsQualifiedName); manifests may have others.

With ten known keys, and four bytes a character where one is an emoji, a ServiceAccount takes 82 kB for its values and
20 kB for its other keys at most. A tenant who makes 500 of them takes 51 MB.
"""


class Keep(Protocol):
    """Says which annotations are kept; ``app.webhook.annotations.Vocabulary`` is one."""

    def is_known(self, key: str, /) -> bool:
        """Return whether the value of *key* is read."""

    def concerning(self, keys: Iterable[str], /) -> Iterator[str]:
        """Yield those of one object's *keys* that are known, or that somebody must be told of."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A ServiceAccount that exists, with the annotations that concern us; values that nobody reads are empty."""

    annotations: Mapping[str, str]


UNANNOTATED: Final = ServiceAccount(MappingProxyType({}))

LEFT_OUT: Final = ServiceAccount(MappingProxyType({"": ""}))
"""Stands for each ServiceAccount that a snapshot had no room for, and for each that it might have had no room for:
whether it exists and what it says must be looked up. Where that cannot be, nothing is known of it: it is not one
without a role. No other is equal to it, for no annotation has an empty key."""


def service_account(annotations: Mapping[str, str] | None, *, keep: Keep) -> ServiceAccount:
    """Return what we keep of a ServiceAccount with these *annotations*: the known ones first, a few others' keys then.

    Args:
        annotations: ``metadata.annotations``, absent or null where there are none.
        keep: says which of them.
    """
    if not annotations:
        return UNANNOTATED
    # Interned: ten thousand ServiceAccounts have the same few keys, each decoded into a string of its own.
    kept = {
        sys.intern(key): value[: MAX_VALUE_CHARACTERS + 1] for key, value in annotations.items() if keep.is_known(key)
    }
    others = (key[:MAX_KEY_CHARACTERS] for key in keep.concerning(annotations) if key not in kept)
    kept |= dict.fromkeys(map(sys.intern, itertools.islice(others, MAX_OTHERS)), "")
    return ServiceAccount(MappingProxyType(kept)) if kept else UNANNOTATED

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
"""Longest value of any annotation that is good: an ARN's."""

MAX_OTHERS: Final = 16
"""Annotations kept of one object besides those that we know. Only their keys are ever told of."""

MAX_KEY_CHARACTERS: Final = 253 + 1 + 63
"""Longest key that kube-apiserver takes, prefix and name (apimachinery's IsQualifiedName). Manifests have any."""

OBJECT_BYTES: Final = 280
"""Of a ServiceAccount with annotations, before any of them: three objects of Python's."""

ANNOTATION_BYTES: Final = 40
"""Of an annotation's place in its dictionary."""

TEXT_BYTES: Final = 56
"""Of a text without characters, rounded up."""


class Keep(Protocol):
    """Says which annotations are kept; ``app.webhook.annotations.Vocabulary`` is one."""

    def longest(self) -> Mapping[str, int]:
        """Return the keys whose values are read, and how many characters a value of each has that can be good."""

    def concerning(self, keys: Iterable[str], /) -> Iterator[str]:
        """Yield those of one object's *keys* whose values are read, or that somebody must be told of."""


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
    """Return what we keep of a ServiceAccount with these *annotations*.

    Args:
        annotations: ``metadata.annotations``, absent or null where there are none.
        keep: says which of them.
    """
    kept = kept_annotations(annotations, keep=keep) if annotations else None
    return ServiceAccount(MappingProxyType(kept)) if kept else UNANNOTATED


def kept_annotations(annotations: Mapping[str, str], *, keep: Keep) -> dict[str, str]:
    """Return what we keep of an object's *annotations*: those that are read first, a few others' keys then.

    A value that is too long to be good is cut to one character more than one that can be, so that this is seen. So a
    ServiceAccount takes 9 kB for its values, 36 kB where each has an emoji, and 6 kB for its other keys at most.

    Args:
        annotations: all of them.
        keep: says which of them.
    """
    longest = keep.longest()
    # Interned: ten thousand ServiceAccounts have the same few keys, each decoded into a string of its own.
    kept = {sys.intern(key): value[: longest[key] + 1] for key, value in annotations.items() if key in longest}
    others = (key[:MAX_KEY_CHARACTERS] for key in keep.concerning(annotations) if key not in kept)
    kept |= dict.fromkeys(map(sys.intern, itertools.islice(others, MAX_OTHERS)), "")
    return kept


def size(account: ServiceAccount) -> int:
    """Return how many bytes what is kept of a ServiceAccount takes, rather too many than too few."""
    if not account.annotations:
        return 0
    # Keys that are read are the same for all; of the others only the key is kept.
    return OBJECT_BYTES + sum(ANNOTATION_BYTES + bytes_of(value or key) for key, value in account.annotations.items())


def bytes_of(text: str) -> int:
    """Return how many bytes *text* takes, rather too many than too few; as many for texts that are equal."""
    return TEXT_BYTES + len(text) * (1 if text.isascii() else 4)

"""Which words are slips for one of ours. Pure.

Strangers choose the words, thousands of them in one object. So the tests that are cheap come first, whoever asks bounds
how many words get to the one that is not, and whoever repeats a word pays once.
"""

import functools
from collections.abc import Collection
from difflib import SequenceMatcher, get_close_matches
from typing import Final

NEAR: Final = 0.75
"""Similarity of two prefixes above which one is a slip for the other: eks.amazon.com has 0.90, eks.aws.com 0.79."""

MAX_SLIP_CHARACTERS: Final = 6
"""By so many a prefix that is a slip is longer or shorter than ours: eks.amazonaws.com.cn by 3."""

SAME_BEGINNING: Final = 2
SAME_END: Final = 3
"""Characters of which a slip has one or the other as we have it: nobody mistypes both ends."""

MAX_NAME_CHARACTERS: Final = 63
"""What Kubernetes allows behind the slash; a review comes before it has looked."""


def may_be_near(prefix: str, ours: str) -> bool:
    """Return whether it is worth asking `is_near`; that takes a hundredth of the time."""
    return (
        prefix != ours
        and abs(len(prefix) - len(ours)) <= MAX_SLIP_CHARACTERS
        and (prefix[:SAME_BEGINNING] == ours[:SAME_BEGINNING] or prefix[-SAME_END:] == ours[-SAME_END:])
    )


@functools.lru_cache(maxsize=1024)
def is_near(prefix: str, ours: str) -> bool:
    """Return whether *prefix* is a slip for *ours*; it takes some 60 µs where the two are alike."""
    matcher = SequenceMatcher(None, prefix, ours)
    return matcher.real_quick_ratio() >= NEAR and matcher.quick_ratio() >= NEAR and matcher.ratio() >= NEAR


@functools.lru_cache(maxsize=1024)
def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the name of *known* that *name* is a slip for, or None."""
    if len(name) > MAX_NAME_CHARACTERS:
        return None
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=NEAR)), None)

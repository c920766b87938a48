"""A pod's name -> the session name by which CloudTrail knows its calls. Pure."""

import hashlib
from typing import Final

MIN_CHARACTERS: Final = 2
MAX_CHARACTERS: Final = 64
"""Of ``[\\w+=,.@-]``, which has all of a pod's name (AssumeRoleWithWebIdentity's RoleSessionName)."""

DIGITS: Final = 8


def session_name(pod: str) -> str:
    """Return the session name of the *pod* of that name.

    Its name where that is of good length, else the beginning of it with 8 hex digits of its SHA-256.
    """
    if MIN_CHARACTERS <= len(pod) <= MAX_CHARACTERS:
        return pod
    digest = hashlib.sha256(pod.encode()).hexdigest()[:DIGITS]
    return f"{pod[: MAX_CHARACTERS - 1 - DIGITS]}-{digest}"

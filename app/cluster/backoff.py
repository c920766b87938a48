"""How long to wait after a failure. Pure: time and chance are arguments."""

from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.8
CEILING_SECONDS: Final = 30.0
FORGOTTEN_AFTER_SECONDS: Final = 120.0
"""The numbers of client-go's reflector (tools/cache/reflector.go, NewReflectorWithOptions)."""


class Backoff:
    """Doubles from 0.8 to 30 seconds; two minutes without a failure begin anew.

    The wait is a random part, half to all, of that: the replicas of a Deployment fail together when the API restarts,
    and must not come back together.
    """

    __slots__ = ("_ceiling", "_last_failure", "_random")

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._ceiling = FIRST_SECONDS
        self._last_failure = float("-inf")

    def after_failure(self, now: float) -> float:
        """Return the seconds to wait after a failure at *now*, which is also in seconds."""
        if now - self._last_failure > FORGOTTEN_AFTER_SECONDS:
            self._ceiling = FIRST_SECONDS
        self._last_failure = now
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, CEILING_SECONDS)
        return ceiling * (0.5 + self._random() / 2)

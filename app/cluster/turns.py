"""Whose turn it is to ask the API on behalf of strangers: first come, first served, in each share of the allowance."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

from app.cluster.allowance import SHARE, Allowance

MAX_WAITING: Final = 256
"""In all shares together: some 2 MB."""

MAX_WAITING_IN_SHARE: Final = int(SHARE.per_second)
"""Those are let go within a second. Who came behind them would wait in vain."""

PAUSE_SECONDS: Final = 0.01
"""Between two looks at the allowance. Only the first of a share looks."""


class Turns:
    """Hands out an allowance. Nothing is kept of a share for which nobody waits."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._allowance = Allowance()
        self._clock = clock
        self._sleep = sleep
        self._lines: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._waiting: Counter[str] = Counter()

    def take_at_once(self, share: str) -> bool:
        """Return whether one more request of *share* may begin now, which must be given back when it ends."""
        return not self._waiting[share] and self._allowance.take(share, self._clock())

    async def take(self, share: str) -> bool:
        """Return True as soon as one more request of *share* may begin, which must be given back when it ends.

        False where too many wait already. How long to wait is for whoever asks to say (``asyncio.timeout``).
        """
        if self.take_at_once(share):
            return True
        if self._waiting[share] >= MAX_WAITING_IN_SHARE or self._waiting.total() >= MAX_WAITING:
            return False
        self._waiting[share] += 1
        try:
            # The locks of asyncio are fair: whoever came first is first.
            async with self._lines.setdefault(share, asyncio.Lock()):
                while not self._allowance.take(share, self._clock()):
                    await self._sleep(PAUSE_SECONDS)
        finally:
            self._waiting[share] -= 1
            if not self._waiting[share]:
                del self._waiting[share]
        return True

    def give_back(self, share: str) -> None:
        """Say that a request of *share* has ended, however it did."""
        self._allowance.give_back(share)

"""Whose turn it is to ask the API on behalf of strangers: first come, first served, in each namespace."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

from app.cluster.allowance import PER_SECOND, Allowance

MAX_WAITING: Final = 256
"""In all namespaces together: some 2 MB."""

MAX_WAITING_IN_NAMESPACE: Final = int(PER_SECOND)
"""Those are let go within a second. Who came behind them would wait in vain."""

PAUSE_SECONDS: Final = 0.01
"""Between two looks at the allowance. Only the first of a namespace looks."""


class Turns:
    """Hands out an allowance. Nothing is kept of a namespace for which nobody waits."""

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

    async def take(self, namespace: str) -> bool:
        """Return True as soon as one more request for *namespace* may begin, which must be given back when it ends.

        False where too many wait already. How long to wait is for whoever asks to say (``asyncio.timeout``).
        """
        if not self._waiting[namespace] and self._allowance.take(namespace, self._clock()):
            return True
        if self._waiting[namespace] >= MAX_WAITING_IN_NAMESPACE or self._waiting.total() >= MAX_WAITING:
            return False
        self._waiting[namespace] += 1
        try:
            # The locks of asyncio are fair: whoever came first is first.
            async with self._lines.setdefault(namespace, asyncio.Lock()):
                while not self._allowance.take(namespace, self._clock()):
                    await self._sleep(PAUSE_SECONDS)
        finally:
            self._waiting[namespace] -= 1
            if not self._waiting[namespace]:
                del self._waiting[namespace]
        return True

    def give_back(self, namespace: str) -> None:
        """Say that a request for *namespace* has ended, however it did."""
        self._allowance.give_back(namespace)

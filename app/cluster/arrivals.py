"""Waiting for what the snapshot is about to bring, where the API may not be asked: it is some milliseconds away."""

import asyncio
from collections import Counter
from typing import Final

Key = tuple[str, str]

MAX_AWAITED: Final = 1_000
"""Some 2 MB."""

MAX_AWAITED_IN_SHARE: Final = 500
"""So that nobody takes all of it."""


class Arrivals:
    """ServiceAccounts whose next change in the snapshot somebody waits for, each for one who asks on behalf of all."""

    def __init__(self) -> None:
        self._awaited: dict[Key, asyncio.Event] = {}
        self._counts: Counter[str] = Counter()

    async def wait(self, key: Key, *, share: str) -> None:
        """Return when *key* has `come`; at once where too many wait already.

        How long to wait is for whoever asks to say (``asyncio.timeout``).

        Args:
            key: namespace and name.
            share: on whose behalf, as in `Turns`.
        """
        if len(self._awaited) >= MAX_AWAITED or self._counts[share] >= MAX_AWAITED_IN_SHARE:
            return
        arrival = self._awaited[key] = asyncio.Event()
        self._counts[share] += 1
        try:
            await arrival.wait()
        finally:
            del self._awaited[key]
            self._counts[share] -= 1
            if not self._counts[share]:
                del self._counts[share]

    def come(self, key: Key) -> None:
        """Say that the snapshot has just changed in *key*."""
        arrival = self._awaited.get(key)
        if arrival is not None:
            arrival.set()

"""Counts the running pods that have another identity than they would get today, while we lead."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from app.access.drift import Kind
from app.access.known import Judging
from app.controller.following import Following

COUNT_SECONDS: Final = 300.0
"""Between two counts. One of 100,000 pods takes 4.5 s of processor time."""

PODS_A_TURN: Final = 64
"""Pods judged before others have their turn: some milliseconds."""


class DriftCount:
    """The loop.

    Attributes:
        drifted: how many pods by kind; empty before the first count, and while another one leads.
    """

    def __init__(self, following: Following, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self.drifted: Mapping[Kind, int] = {}
        self._following = following
        self._sleep = sleep

    async def run(self) -> None:
        """Count until cancelled."""
        try:
            while True:
                if self._following.is_current():
                    await self.count()
                await self._sleep(COUNT_SECONDS if self.drifted else 1.0)
        finally:
            self.drifted = {}

    async def count(self) -> None:
        """Count once; others have their turn meanwhile, and what they change counts the next time."""
        pods = [pod for _, _, pod in self._following.pods]
        counts = Counter(dict.fromkeys(Kind, 0))
        judging = Judging(self._following.known())
        for number, pod in enumerate(pods, start=1):
            drift = judging.judge(pod).drift
            if drift is not None:
                counts[drift.kind] += 1
            if number % PODS_A_TURN == 0:
                await asyncio.sleep(0)
        self.drifted = counts

"""Counts the running pods that have another identity than they would get today, while we lead."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final

from app.access.drift import Kind
from app.access.known import Known
from app.access.pods import Pod
from app.controller.following import Following

COUNT_SECONDS: Final = 60.0

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
        for number, kind in enumerate(kinds(pods, self._following.known()), start=1):
            if kind is not None:
                counts[kind] += 1
            if number % PODS_A_TURN == 0:
                await asyncio.sleep(0)
        self.drifted = counts


def kinds(pods: Iterable[Pod], known: Known) -> Iterator[Kind | None]:
    """Yield how each of *pods* drifted. Replicas, which are alike in all that a decision reads, are judged once."""
    seen: dict[tuple[object, ...], Kind | None] = {}
    for pod in pods:
        key = (
            pod.namespace,
            pod.service_account,
            pod.spec,
            pod.generate_name or pod.name,
            pod.controller,
            bool(pod.labels),
            *sorted(pod.annotations.items()),
        )
        if key not in seen:
            drift = known.judge(pod).drift
            seen[key] = None if drift is None else drift.kind
        yield seen[key]

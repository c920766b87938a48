"""Fakes that implement our own Protocols."""

import asyncio

from app.cluster.objects import ServiceAccount


class FakeServiceAccounts:
    """A ServiceAccountSource that knows what it was given.

    Attributes:
        live: ServiceAccounts that the snapshot does not have yet, or has in an older form; None for a deleted one.
        recent: keys of what was changed a moment ago.
        confirmed: the key of each `confirm`, in order.
        answering: unset, `confirm` waits until it is set.
    """

    def __init__(self, service_accounts: dict[str, ServiceAccount]) -> None:
        self.service_accounts = service_accounts
        self.live: dict[str, ServiceAccount | None] = {}
        self.recent: set[str] = set()
        self.confirmed: list[str] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.age_seconds = 0.0

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        return self.service_accounts.get(f"{namespace}/{name}")

    async def confirm(self, namespace: str, name: str) -> ServiceAccount | None:
        key = f"{namespace}/{name}"
        self.confirmed.append(key)
        await self.answering.wait()
        return self.live[key] if key in self.live else self.service_accounts.get(key)

    def is_recent(self, namespace: str, name: str) -> bool:
        return f"{namespace}/{name}" in self.recent

    def age(self, now: float) -> float:
        del now
        return self.age_seconds

    async def run(self) -> None:
        await asyncio.Event().wait()

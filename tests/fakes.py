"""Fakes that implement our own Protocols."""

import asyncio

from app.cluster.objects import ServiceAccount


class FakeServiceAccounts:
    """A ServiceAccountSource that knows what it was given."""

    def __init__(self, service_accounts: dict[str, ServiceAccount]) -> None:
        self._service_accounts = service_accounts
        self.age_seconds = 0.0

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        return self._service_accounts.get(f"{namespace}/{name}")

    def age(self, now: float) -> float:
        del now
        return self.age_seconds

    async def run(self) -> None:
        await asyncio.Event().wait()

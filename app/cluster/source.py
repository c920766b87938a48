"""Where ServiceAccounts come from: the contract of every source."""

from typing import Protocol

from app.cluster.objects import ServiceAccount
from app.cluster.snapshot import Snapshot

ServiceAccounts = Snapshot[ServiceAccount]


class ServiceAccountSource(Protocol):
    """Keeps a snapshot of all ServiceAccounts. Requests mostly read it: `get` never waits and never fails."""

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as the snapshot has it, or None where it has none of that name."""

    async def confirm(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as it is now, where that can be found out within a second, else as `get` does.

        It never fails. Ask where the snapshot's answer may be too old: it has none, or `is_recent`.
        """

    def is_recent(self, namespace: str, name: str) -> bool:
        """Return whether the ServiceAccount is new or was changed within the last minute: more may be on its way."""

    def age(self, now: float) -> float:
        """Return how many seconds ago the snapshot was last known to be complete and current.

        Infinite until the first list is complete. *now* is on the clock of ``time.monotonic``.
        """

    async def run(self) -> None:
        """Fill the snapshot and keep it current until cancelled. Never returns; transient failures are its own."""

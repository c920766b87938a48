"""Where ServiceAccounts come from: the contract of every source, and the snapshot that they fill."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from app.cluster.objects import ServiceAccount


class ServiceAccountSource(Protocol):
    """Keeps a snapshot of all ServiceAccounts. Requests only read it: `get` never waits and never fails."""

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount as the snapshot has it, or None where it has none of that name."""

    def age(self, now: float) -> float:
        """Return how many seconds ago the snapshot was last known to be complete and current.

        Infinite until the first list is complete. *now* is on the clock of ``time.monotonic``.
        """

    async def run(self) -> None:
        """Fill the snapshot and keep it current until cancelled. Never returns; transient failures are its own."""


class Snapshot:
    """ServiceAccounts by namespace and name. One event loop writes and reads it, so nothing here locks.

    Two levels of dictionaries, not one with pairs as keys: a pair costs 56 bytes for each of 100,000.
    """

    __slots__ = ("_namespaces",)

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, ServiceAccount]] = {}

    def get(self, namespace: str, name: str) -> ServiceAccount | None:
        """Return the ServiceAccount, or None."""
        names = self._namespaces.get(namespace)
        return None if names is None else names.get(name)

    def put(self, namespace: str, name: str, service_account: ServiceAccount) -> None:
        """Add or replace a ServiceAccount."""
        names = self._namespaces.get(namespace)
        if names is None:
            names = self._namespaces[namespace] = {}
        names[name] = service_account

    def remove(self, namespace: str, name: str) -> None:
        """Remove a ServiceAccount; nothing happens where there is none."""
        names = self._namespaces.get(namespace)
        if names is not None:
            names.pop(name, None)
            if not names:
                del self._namespaces[namespace]

    def share(self, known: "Snapshot", namespaces: Iterable[str]) -> None:
        """Hold *known*'s objects instead of our own for those of *namespaces* that are the same in both.

        A list is done anew while the last one serves, and finds little new: without this 100,000 ServiceAccounts need
        their 15 MB twice, and Python does not give the second half back (the two lie mixed in its arenas). Should we
        `put` one more into such a namespace, both snapshots have it, which is true of both.
        """
        for namespace in namespaces:
            names = known._namespaces.get(namespace)  # noqa: SLF001 - of our own class
            if names == self._namespaces.get(namespace) and names is not None:
                self._namespaces[namespace] = names

    def __iter__(self) -> Iterator[tuple[str, str, ServiceAccount]]:
        for namespace, names in self._namespaces.items():
            for name, service_account in names.items():
                yield namespace, name, service_account

    def __len__(self) -> int:
        return sum(map(len, self._namespaces.values()))

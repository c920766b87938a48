"""Objects by namespace and name, as the last list and the events after it say. Pure but for being changed."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from app.cluster.room import ENTRY_BYTES, Room

T = TypeVar("T")


class Snapshot(Generic[T]):
    """What is kept of each object, by namespace and name. One event loop writes and reads it, so nothing here locks.

    Two levels of dictionaries, not one with pairs as keys: a pair costs 56 bytes for each of 100,000. Objects that are
    in no namespace are in the one named "".

    Args:
        size: returns how many bytes what is kept of an object takes, where they are bounded (``app.cluster.room``);
            the same for two that are equal.

    Attributes:
        crowded: the namespaces that had no room for one of their objects, and so may have others than those kept here.
    """

    __slots__ = ("_namespaces", "_room", "_size", "crowded")

    def __init__(self, *, size: Callable[[T], int] | None = None) -> None:
        self._namespaces: dict[str, dict[str, T]] = {}
        self._size = size
        self._room = Room()
        self.crowded: set[str] = set()

    def get(self, namespace: str, name: str) -> T | None:
        """Return what is kept of the object, or None."""
        names = self._namespaces.get(namespace)
        return None if names is None else names.get(name)

    def has_namespace(self, namespace: str) -> bool:
        """Return whether there is an object in *namespace*, kept here or not."""
        return namespace in self._namespaces or namespace in self.crowded

    def put(self, namespace: str, name: str, kept: T) -> bool:
        """Add or replace an object, and return whether there was room for it. Else nothing is kept of it."""
        names = self._namespaces.get(namespace)
        if self._size is not None:
            if names is not None and name in names:
                self.remove(namespace, name)
                names = self._namespaces.get(namespace)
            if not self._room.take(namespace, self._size(kept) + len(name) + ENTRY_BYTES):
                self.crowded.add(namespace)
                return False
        if names is None:
            names = self._namespaces[namespace] = {}
        names[name] = kept
        return True

    def remove(self, namespace: str, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        names = self._namespaces.get(namespace)
        kept = names.pop(name, None) if names is not None else None
        if kept is None:
            return
        if self._size is not None:
            self._room.give_back(namespace, self._size(kept) + len(name) + ENTRY_BYTES)
        if not names:
            del self._namespaces[namespace]

    def share(self, known: "Snapshot[T]", namespaces: Iterable[str]) -> None:
        """Hold *known*'s objects instead of our own for those of *namespaces* that are the same in both.

        A list is done anew while the last one serves, and finds little new: without this 100,000 ServiceAccounts need
        their 15 MB twice, and Python does not give the second half back (the two lie mixed in its arenas). From then on
        a change to one of these namespaces is one in both snapshots, so they must be complete.
        """
        for namespace in namespaces:
            names = known._namespaces.get(namespace)  # noqa: SLF001 - of our own class
            if names == self._namespaces.get(namespace) and names is not None:
                self._namespaces[namespace] = names

    def changes(self, before: "Snapshot[T]") -> Iterator[tuple[str, str, T | None, T | None]]:
        """Yield namespace, name, what *before* has and what we have, for each object in which the two differ."""
        others = before._namespaces  # noqa: SLF001 - of our own class
        for namespace in others.keys() | self._namespaces.keys():
            old, new = others.get(namespace, {}), self._namespaces.get(namespace, {})
            if old is not new:
                for name in old.keys() | new.keys():
                    if old.get(name) != new.get(name):
                        yield namespace, name, old.get(name), new.get(name)

    def __iter__(self) -> Iterator[tuple[str, str, T]]:
        for namespace, names in self._namespaces.items():
            for name, kept in names.items():
                yield namespace, name, kept

    def __len__(self) -> int:
        return sum(map(len, self._namespaces.values()))

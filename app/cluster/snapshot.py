"""Objects by namespace and name, as the last list and the events after it say. Pure but for being changed."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Snapshot(Generic[T]):
    """What is kept of each object, by namespace and name. One event loop writes and reads it, so nothing here locks.

    Two levels of dictionaries, not one with pairs as keys: a pair costs 56 bytes for each of 100,000. Objects that are
    in no namespace are in the one named "".
    """

    __slots__ = ("_namespaces",)

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, T]] = {}

    def get(self, namespace: str, name: str) -> T | None:
        """Return what is kept of the object, or None."""
        names = self._namespaces.get(namespace)
        return None if names is None else names.get(name)

    def put(self, namespace: str, name: str, kept: T) -> None:
        """Add or replace an object."""
        names = self._namespaces.get(namespace)
        if names is None:
            names = self._namespaces[namespace] = {}
        names[name] = kept

    def remove(self, namespace: str, name: str) -> None:
        """Remove an object; nothing happens where there is none."""
        names = self._namespaces.get(namespace)
        if names is not None:
            names.pop(name, None)
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

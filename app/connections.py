"""How many connections a port holds, and whose end first when there are too many. Does no I/O."""

from collections.abc import Iterator
from typing import Protocol


class Connection(Protocol):
    """What must be known of a connection.

    Attributes:
        address: of its peer.
    """

    address: str

    def importance(self) -> int:
        """Return more for a connection that should be kept longer."""

    def abort(self) -> None:
        """End it now."""


class Connections:
    """The open connections of a port, from the moment they are accepted: at most *limit*.

    Everybody in a cluster can reach a webhook, so the connections are shared out by address: when there are too many,
    the address that has most of those which have asked nothing yet loses the oldest of them; where there are none, the
    address that has most of all loses its least important one. Who opens ten thousand, from one address or from many,
    takes them from himself, and the apiserver keeps those that it uses.

    Attributes:
        limit: how many there may be.
        dropped: how many were ended because there were too many.
        failed_handshakes: how many never came so far that they could ask something.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.dropped = 0
        self.failed_handshakes = 0
        self._of_address: dict[str, dict[Connection, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Connection]:
        return iter([connection for connections in self._of_address.values() for connection in connections])

    def add(self, connection: Connection) -> None:
        """Count *connection*, and end one where that is one too many: perhaps this one."""
        self._of_address.setdefault(connection.address, {})[connection] = None
        self._count += 1
        if self._count > self.limit:
            least = self._least_important(connection)
            self.remove(least)
            self.dropped += 1
            least.abort()

    def _least_important(self, newest: Connection) -> Connection:
        """Return whose end is first; the *newest* has had no time to ask anything."""
        silent = {
            address: [each for each in connections if each is not newest and not each.importance()]
            for address, connections in self._of_address.items()
        }
        most_silent = max(silent.values(), key=len)
        if most_silent:
            return most_silent[0]
        most = max(self._of_address.values(), key=len)
        return min(most, key=lambda each: each.importance())

    def remove(self, connection: Connection) -> None:
        """Count *connection* no more."""
        connections = self._of_address.get(connection.address, {})
        if connection in connections:
            del connections[connection]
            self._count -= 1
            if not connections:
                del self._of_address[connection.address]

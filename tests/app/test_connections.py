from dataclasses import dataclass

from app.connections import Connections


@dataclass(eq=False)
class FakeConnection:
    address: str
    rank: int = 0
    is_aborted: bool = False

    def importance(self) -> int:
        return self.rank

    def abort(self) -> None:
        self.is_aborted = True


def opened(connections: Connections, *addresses: str, rank: int = 0) -> list[FakeConnection]:
    made = [FakeConnection(address, rank) for address in addresses]
    for each in made:
        connections.add(each)
    return made


def aborted(*connections: FakeConnection) -> list[bool]:
    return [connection.is_aborted for connection in connections]


def test_nobody_is_dropped_below_the_limit() -> None:
    connections = Connections(3)

    made = opened(connections, "a", "a", "b")

    assert (len(connections), connections.dropped, aborted(*made)) == (3, 0, [False] * 3)
    assert list(connections) == made


def test_who_has_most_loses_the_oldest_and_others_nothing() -> None:
    connections = Connections(4)
    (apiserver,) = opened(connections, "apiserver")
    greedy = opened(connections, *["pod"] * 6)
    (late,) = opened(connections, "late")

    assert aborted(apiserver, late) == [False, False]
    assert aborted(*greedy) == [True] * 4 + [False] * 2
    assert (len(connections), connections.dropped) == (4, 4)


def test_connection_that_is_at_work_outlives_those_that_are_not() -> None:
    connections = Connections(3)
    at_work, idle, silent = (FakeConnection("node", rank) for rank in (2, 1, 0))
    for connection in (at_work, idle, silent):
        connections.add(connection)

    (new,) = opened(connections, "node")
    assert aborted(at_work, idle, silent, new) == [False, False, True, False]
    new.rank = 2
    connections.add(FakeConnection("node", 2))
    assert aborted(at_work, idle, new) == [False, True, False]


def test_connection_that_is_gone_counts_no_more_and_only_once() -> None:
    connections = Connections(1)
    first, second = FakeConnection("a"), FakeConnection("a")
    connections.add(first)
    connections.remove(first)
    connections.remove(first)
    connections.add(second)

    assert (len(connections), connections.dropped, list(connections)) == (1, 0, [second])


def test_many_addresses_that_ask_nothing_take_nothing_from_one_that_does() -> None:
    connections = Connections(20)
    used = opened(connections, *["apiserver"] * 8, rank=1)
    (new,) = opened(connections, "apiserver")

    strangers = opened(connections, *[f"pod-{number % 7}" for number in range(100)])

    assert aborted(*used, new) == [False] * 9
    assert sum(aborted(*strangers)) == 100 - 11

"""What is tried again: time is moved by hand."""

from app.controller.events import Finding, mappings_finding
from app.controller.untold import MAX_IN_NAMESPACE, MAX_UNTOLD, RETRY_SECONDS, Backlog


def nothing() -> list[Finding]:
    return []


def add(backlog: Backlog, text: str, now: float, *, namespace: str = "shop") -> None:
    backlog.add(mappings_finding(namespace, "map", text), nothing, now=now)


def due(backlog: Backlog, now: float) -> list[Finding]:
    return [untold.finding for untold in backlog.take_due(now)]


def test_each_thing_is_tried_again_once_after_half_a_minute() -> None:
    backlog = Backlog()
    add(backlog, "x", 0)
    add(backlog, "y", 1)
    add(backlog, "x", 2)

    assert due(backlog, RETRY_SECONDS - 1) == []
    assert due(backlog, RETRY_SECONDS) == [mappings_finding("shop", "map", "x")]
    assert mappings_finding("shop", "map", "y") in backlog
    assert due(backlog, RETRY_SECONDS + 1) == [mappings_finding("shop", "map", "y")]
    assert len(backlog) == 0


def test_what_is_put_back_while_it_is_taken_is_due_later() -> None:
    backlog = Backlog()
    add(backlog, "x", 0)

    for untold in backlog.take_due(RETRY_SECONDS):
        backlog.add(untold.finding, untold.source, now=RETRY_SECONDS)

    assert len(backlog) == 1
    assert due(backlog, RETRY_SECONDS) == []


def test_namespace_has_so_many_and_what_was_taken_makes_room() -> None:
    backlog = Backlog()
    for number in range(10_000):
        add(backlog, str(number), 0)
    add(backlog, "x", 0, namespace="neighbour")
    assert len(backlog) == MAX_IN_NAMESPACE + 1

    due(backlog, RETRY_SECONDS)
    add(backlog, "x", RETRY_SECONDS)

    assert len(backlog) == 1


def test_memory_is_bounded_in_any_number_of_namespaces() -> None:
    backlog = Backlog()
    for number in range(20_000):
        add(backlog, "x", 0, namespace=f"n{number}")

    assert len(backlog) == MAX_UNTOLD

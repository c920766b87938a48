"""How much is told: time is moved by hand."""

from app.controller.events import mappings_finding
from app.controller.ledger import (
    AGAIN_SECONDS,
    ALL_BURST,
    MAX_NAMESPACES,
    MAX_TOLD,
    NAMESPACE_BURST,
    TELL,
    Again,
    Answer,
    Ledger,
    Outcome,
)


def offer(ledger: Ledger, text: str, now: float, *, namespace: str = "shop") -> Answer:
    return ledger.offer(mappings_finding(namespace, "map", text), now)


def test_same_thing_is_told_once_and_then_counted_every_ten_minutes() -> None:
    ledger = Ledger()

    assert offer(ledger, "x", 0) is TELL
    assert offer(ledger, "x", 1) is Outcome.DEDUPLICATED
    assert offer(ledger, "x", AGAIN_SECONDS - 1) is Outcome.DEDUPLICATED
    assert offer(ledger, "x", AGAIN_SECONDS) == Again(4)
    assert offer(ledger, "x", AGAIN_SECONDS + 1) is Outcome.DEDUPLICATED
    assert offer(ledger, "x", 2 * AGAIN_SECONDS) == Again(6)


def test_what_could_not_be_told_is_new_the_next_time() -> None:
    ledger = Ledger()
    offer(ledger, "x", 0)

    ledger.forget(mappings_finding("shop", "map", "x"))

    assert offer(ledger, "x", 1) is TELL


def test_namespace_has_a_burst_and_then_one_a_minute() -> None:
    ledger = Ledger()
    answers = [offer(ledger, str(number), 0) for number in range(20)]
    assert answers == [TELL] * int(NAMESPACE_BURST) + [Outcome.LIMITED] * 10

    assert offer(ledger, "later", 59) is Outcome.LIMITED
    assert offer(ledger, "later", 61) is TELL
    assert offer(ledger, "later still", 62) is Outcome.LIMITED
    assert offer(ledger, "elsewhere", 62, namespace="other") is TELL


def test_all_namespaces_together_have_ten_a_second() -> None:
    ledger = Ledger()
    answers = [offer(ledger, "x", 0, namespace=f"n{number}") for number in range(100)]
    assert answers.count(TELL) == ALL_BURST

    answers = [offer(ledger, "y", 1, namespace=f"n{number}") for number in range(100)]
    assert answers.count(TELL) == 10


def test_one_namespace_that_is_limited_takes_nothing_from_the_others() -> None:
    ledger = Ledger()
    for number in range(10_000):
        offer(ledger, str(number), 0)

    assert offer(ledger, "x", 0, namespace="neighbour") is TELL


def test_ten_thousand_bogus_things_of_one_namespace_are_a_few_events_and_little_memory() -> None:
    ledger = Ledger()

    answers = [offer(ledger, str(number), number / 10) for number in range(10_000)]

    assert answers.count(TELL) == 10 + 16  # the burst, and one a minute for 1,000 seconds
    assert len(ledger) == 26 + 1


def test_memory_is_bounded_in_any_number_of_namespaces() -> None:
    ledger = Ledger()

    for number in range(20_000):
        offer(ledger, "x", float(number), namespace=f"n{number}")

    assert len(ledger) == MAX_TOLD + MAX_NAMESPACES

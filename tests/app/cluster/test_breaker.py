from app.cluster.breaker import OPEN_SECONDS, Breaker


def open_at(breaker: Breaker, *times: float) -> list[bool]:
    return [breaker.is_open(now) for now in times]


def test_it_is_closed_until_a_question_gets_no_answer() -> None:
    breaker = Breaker()

    breaker.asked(1_000.0)

    assert open_at(breaker, 1_000.0, 1_000.1) == [False, False]


def test_question_without_an_answer_opens_it_for_some_seconds() -> None:
    breaker = Breaker()

    breaker.unanswered(1_000.0)

    assert open_at(breaker, 1_000.0, 1_000.0 + OPEN_SECONDS - 0.1, 1_000.0 + OPEN_SECONDS) == [True, True, False]


def test_then_one_question_is_let_through_and_the_others_wait_for_what_becomes_of_it() -> None:
    breaker = Breaker()
    breaker.unanswered(1_000.0)

    breaker.asked(1_005.0)

    assert open_at(breaker, 1_005.0, 1_009.9, 1_010.0) == [True, True, False]


def test_answer_closes_it_at_once() -> None:
    breaker = Breaker()
    breaker.unanswered(1_000.0)

    breaker.asked(1_000.5)
    breaker.answered()

    assert open_at(breaker, 1_000.5) == [False]
    breaker.asked(1_001.0)
    assert open_at(breaker, 1_001.0) == [False]

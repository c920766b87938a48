import pytest

from app.cluster.backoff import Backoff


def test_waits_double_up_to_a_ceiling() -> None:
    backoff = Backoff(random=lambda: 1.0)

    waits = [backoff.after_failure(now=float(second)) for second in range(8)]

    assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.4), (0.5, 0.6), (1.0, 0.8)])
def test_wait_is_a_random_part_of_it_and_never_nothing(chance: float, wait: float) -> None:
    assert Backoff(random=lambda: chance).after_failure(now=0.0) == pytest.approx(wait)


def test_two_minutes_without_a_failure_begin_anew() -> None:
    backoff = Backoff(random=lambda: 1.0)

    waits = [backoff.after_failure(now=now) for now in (0.0, 120.0, 240.1)]

    assert waits == [0.8, 1.6, 0.8]

from app.cluster.allowance import ALL, MAX_SHARES, SHARE, Allowance


def taken(allowance: Allowance, share: str, now: float, *, tries: int) -> int:
    """Return how many of so many requests, each over before the next, were allowed."""
    allowed = 0
    for _ in range(tries):
        if allowance.take(share, now):
            allowance.give_back(share)
            allowed += 1
    return allowed


def test_share_is_a_burst_and_then_so_many_a_second() -> None:
    allowance = Allowance()

    assert taken(allowance, "shop", 1_000.0, tries=1000) == SHARE.burst == 300
    assert taken(allowance, "shop", 1_000.0, tries=100) == 0
    assert taken(allowance, "shop", 1_001.0, tries=1000) == SHARE.per_second == 100
    assert taken(allowance, "shop", 1_100.0, tries=1000) == SHARE.burst


def test_whoever_used_a_share_up_takes_nothing_from_others() -> None:
    allowance = Allowance()

    taken(allowance, "shop", 1_000.0, tries=1_000)

    assert taken(allowance, "test", 1_000.0, tries=1000) == SHARE.burst


def test_all_shares_together_are_a_burst_and_then_so_many_a_second() -> None:
    allowance = Allowance()

    def of_all(now: float) -> int:
        return sum(taken(allowance, f"team-{number}", now, tries=100) for number in range(50))

    assert of_all(1_000.0) == ALL.burst == 1_200
    assert of_all(1_001.0) == ALL.per_second == 400
    assert of_all(1_100.0) == ALL.burst


def test_one_share_that_asks_without_end_leaves_most_of_the_rate_to_the_others() -> None:
    allowance = Allowance()
    noisy = others = 0

    for quarter in range(41):
        now = 1_000.0 + quarter / 4
        noisy += taken(allowance, "", now, tries=1_000)
        others += sum(taken(allowance, f"team-{number}", now, tries=25) for number in range(3))

    assert noisy == SHARE.burst + 10 * SHARE.per_second
    assert others == 41 * 3 * 25


def test_only_so_many_are_under_way_in_a_share_and_in_all() -> None:
    allowance = Allowance()

    of_one = [allowance.take("shop", 1_000.0) for _ in range(20)]
    of_all = [allowance.take(f"team-{number}", 1_000.0) for number in range(100)]

    assert sum(of_one) == SHARE.at_once == 16
    assert sum(of_one) + sum(of_all) == ALL.at_once == 64

    allowance.give_back("shop")
    assert allowance.take("shop", 1_000.0)


def test_request_that_was_not_allowed_costs_nothing() -> None:
    allowance = Allowance()
    for _ in range(SHARE.at_once):
        allowance.take("shop", 1_000.0)
    for _ in range(1_000):
        allowance.take("shop", 1_000.0)
    for _ in range(SHARE.at_once):
        allowance.give_back("shop")

    assert taken(allowance, "shop", 1_000.0, tries=1000) == SHARE.burst - SHARE.at_once


def test_shares_of_which_nothing_is_used_are_forgotten() -> None:
    allowance = Allowance()

    asked = [
        taken(allowance, f"team-{number}", 1_000.0 + number / ALL.per_second, tries=1)
        for number in range(10 * MAX_SHARES)
    ]

    assert sum(asked) == len(asked)
    assert len(allowance) <= MAX_SHARES


def test_shares_that_are_in_use_are_remembered_however_many() -> None:
    allowance = Allowance()

    asked = [taken(allowance, f"team-{number}", 1_000.0, tries=1) for number in range(2_000)]

    assert sum(asked) == len(allowance) == ALL.burst
    assert taken(allowance, "another", 1_000.1, tries=1) == 1
    assert len(allowance) == 1

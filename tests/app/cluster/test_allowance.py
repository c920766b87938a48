from app.cluster.allowance import AT_ONCE, AT_ONCE_IN_NAMESPACE, BURST, MAX_NAMESPACES, PER_SECOND, Allowance


def taken(allowance: Allowance, namespace: str, now: float, *, tries: int) -> int:
    """Return how many of so many requests, each over before the next, were allowed."""
    allowed = 0
    for _ in range(tries):
        if allowance.take(namespace, now):
            allowance.give_back(namespace)
            allowed += 1
    return allowed


def test_namespace_may_ask_a_burst_and_then_so_many_a_second() -> None:
    allowance = Allowance()

    assert taken(allowance, "shop", 1_000.0, tries=1000) == BURST == 300
    assert taken(allowance, "shop", 1_000.0, tries=100) == 0
    assert taken(allowance, "shop", 1_001.0, tries=1000) == PER_SECOND == 100
    assert taken(allowance, "shop", 1_100.0, tries=1000) == BURST


def test_namespace_that_used_its_share_up_takes_nothing_from_others() -> None:
    allowance = Allowance()

    taken(allowance, "shop", 1_000.0, tries=1_000)

    assert taken(allowance, "test", 1_000.0, tries=1000) == BURST


def test_only_so_many_are_under_way_in_a_namespace_and_in_all() -> None:
    allowance = Allowance()

    of_one = [allowance.take("shop", 1_000.0) for _ in range(20)]
    of_all = [allowance.take(f"team-{number}", 1_000.0) for number in range(100)]

    assert sum(of_one) == AT_ONCE_IN_NAMESPACE == 16
    assert sum(of_one) + sum(of_all) == AT_ONCE == 64

    allowance.give_back("shop")
    assert allowance.take("shop", 1_000.0)


def test_request_that_was_not_allowed_costs_nothing() -> None:
    allowance = Allowance()
    for _ in range(AT_ONCE_IN_NAMESPACE):
        allowance.take("shop", 1_000.0)
    for _ in range(1_000):
        allowance.take("shop", 1_000.0)
    for _ in range(AT_ONCE_IN_NAMESPACE):
        allowance.give_back("shop")

    assert taken(allowance, "shop", 1_000.0, tries=1000) == BURST - AT_ONCE_IN_NAMESPACE


def test_names_of_strangers_are_forgotten() -> None:
    allowance = Allowance()

    for number in range(10 * MAX_NAMESPACES):
        now = 1_000.0 + number / 1_000
        assert allowance.take(f"team-{number}", now)
        allowance.give_back(f"team-{number}")

    assert len(allowance) <= MAX_NAMESPACES


def test_more_namespaces_than_are_remembered_wait_until_one_is_forgotten() -> None:
    allowance = Allowance()

    asked = [taken(allowance, f"team-{number}", 1_000.0, tries=1) for number in range(MAX_NAMESPACES + 1)]

    assert sum(asked) == MAX_NAMESPACES
    assert taken(allowance, "another", 1_000.1, tries=1) == 1
    assert len(allowance) == 1

from app.cluster.recent import MAX_IN_NAMESPACE, MAX_NAMESPACES, MAX_RECENT, Recent


def test_what_changed_is_recent_for_a_minute() -> None:
    recent = Recent()

    recent.add("shop", "api", 1_000.0)

    assert recent.has("shop", "api", 1_059.9)
    assert not recent.has("shop", "api", 1_060.0)
    assert not recent.has("shop", "web", 1_000.0)
    assert not recent.has("test", "api", 1_000.0)


def test_another_change_begins_a_new_minute() -> None:
    recent = Recent()

    recent.add("shop", "api", 1_000.0)
    recent.add("shop", "web", 1_030.0)
    recent.add("shop", "api", 1_050.0)
    recent.add("shop", "job", 1_095.0)

    assert recent.has("shop", "api", 1_109.0)
    assert not recent.has("shop", "web", 1_109.0)
    assert len(recent) == 2


def test_namespace_in_which_too_many_change_is_recent_as_a_whole_and_no_other_is() -> None:
    recent = Recent()

    for number in range(10 * MAX_RECENT):
        recent.add("shop", f"sa-{number}", 1_000.0)

    assert len(recent) == MAX_IN_NAMESPACE
    assert recent.has("shop", "never-heard-of", 1_059.9)
    assert not recent.has("other", "never-heard-of", 1_000.0)
    assert not recent.has("shop", "sa-1", 1_060.0)


def test_namespace_is_recent_as_a_whole_until_a_minute_after_its_last_change() -> None:
    recent = Recent()
    for number in range(MAX_IN_NAMESPACE + 1):
        recent.add("shop", f"sa-{number}", 1_000.0)

    recent.add("shop", "new", 1_059.0)
    recent.add("other", "api", 1_100.0)

    assert recent.has("shop", "new", 1_118.9)
    assert recent.has("shop", "never-heard-of", 1_118.9)
    assert not recent.has("shop", "new", 1_119.0)


def test_namespace_that_calmed_down_is_remembered_by_names_again() -> None:
    recent = Recent()
    for number in range(MAX_IN_NAMESPACE + 1):
        recent.add("shop", f"sa-{number}", 1_000.0)

    recent.add("shop", "new", 1_060.0)

    assert len(recent) == 1
    assert recent.has("shop", "new", 1_060.0)
    assert not recent.has("shop", "never-heard-of", 1_060.0)


def test_what_changes_beyond_the_limit_of_all_makes_its_own_namespace_recent() -> None:
    recent = Recent()
    for number in range(MAX_RECENT):
        recent.add(f"crowd-{number // MAX_IN_NAMESPACE}", f"sa-{number}", 1_000.0)

    recent.add("shop", "api", 1_001.0)

    assert len(recent) == MAX_RECENT
    assert recent.has("shop", "api", 1_060.9)
    assert recent.has("shop", "web", 1_060.9)
    assert not recent.has("other", "api", 1_001.0)
    assert not recent.has("shop", "api", 1_061.0)


def test_of_too_many_namespaces_all_count_as_recent_for_a_minute() -> None:
    recent = Recent()
    for number in range(MAX_RECENT):
        recent.add(f"crowd-{number // MAX_IN_NAMESPACE}", f"sa-{number}", 1_000.0)

    for number in range(MAX_NAMESPACES):
        recent.add(f"one-of-many-{number}", "api", 1_000.0)
    assert not recent.has("other", "api", 1_000.0)
    recent.add("one-more", "api", 1_000.0)

    assert recent.has("other", "api", 1_059.9)
    assert not recent.has("other", "api", 1_060.0)

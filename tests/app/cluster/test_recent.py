from app.cluster.recent import MAX_RECENT, Recent


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


def test_so_many_at_once_that_all_count_as_recent_are_not_remembered() -> None:
    recent = Recent()

    for number in range(MAX_RECENT + 1):
        recent.add("shop", f"sa-{number}", 1_000.0)

    assert len(recent) == 0
    assert recent.has("other", "never-heard-of", 1_059.9)
    assert not recent.has("other", "never-heard-of", 1_060.0)
    assert not recent.has("shop", "sa-1", 1_060.0)

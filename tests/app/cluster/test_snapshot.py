from app.cluster.objects import UNANNOTATED, ServiceAccount
from app.cluster.room import NAMESPACE_BYTES
from app.cluster.snapshot import Snapshot

ROLE = ServiceAccount({"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/api"})


def snapshot(*entries: tuple[str, str, ServiceAccount]) -> Snapshot[ServiceAccount]:
    made = Snapshot[ServiceAccount]()
    for namespace, name, service_account in entries:
        made.put(namespace, name, service_account)
    return made


def test_same_name_in_two_namespaces_is_two_service_accounts() -> None:
    both = snapshot(("shop", "api", ROLE), ("test", "api", UNANNOTATED))

    assert both.get("shop", "api") == ROLE
    assert both.get("test", "api") == UNANNOTATED
    assert len(both) == 2


def test_put_replaces() -> None:
    replaced = snapshot(("shop", "api", UNANNOTATED), ("shop", "api", ROLE))

    assert list(replaced) == [("shop", "api", ROLE)]


def test_what_is_removed_is_gone_and_its_empty_namespace_too() -> None:
    emptied = snapshot(("shop", "api", ROLE))

    emptied.remove("shop", "api")

    assert emptied.get("shop", "api") is None
    assert list(emptied) == []
    assert len(emptied) == 0


def test_namespace_is_there_as_long_as_something_is_in_it() -> None:
    one = snapshot(("shop", "api", ROLE))

    assert (one.has_namespace("shop"), one.has_namespace("test")) == (True, False)
    one.remove("shop", "api")
    assert not one.has_namespace("shop")


def test_removing_what_is_not_there_does_nothing() -> None:
    one = snapshot(("shop", "api", ROLE))

    one.remove("shop", "web")
    one.remove("test", "api")

    assert list(one) == [("shop", "api", ROLE)]


def test_namespace_that_is_the_same_is_shared_and_others_are_not() -> None:
    known = snapshot(("shop", "api", ROLE), ("test", "api", UNANNOTATED))
    equal = ServiceAccount(dict(ROLE.annotations))
    fresh = snapshot(("shop", "api", equal), ("test", "api", ROLE), ("new", "api", ROLE))

    fresh.share(known, ["shop", "test", "new"])

    assert fresh.get("shop", "api") is ROLE
    assert list(fresh) == [("shop", "api", ROLE), ("test", "api", ROLE), ("new", "api", ROLE)]
    assert list(known) == [("shop", "api", ROLE), ("test", "api", UNANNOTATED)]


def test_changes_are_what_the_two_hold_differently() -> None:
    before = snapshot(("shop", "api", ROLE), ("shop", "web", ROLE), ("old", "api", UNANNOTATED), ("same", "api", ROLE))
    after = snapshot(("shop", "api", ROLE), ("shop", "web", UNANNOTATED), ("new", "api", ROLE), ("same", "api", ROLE))
    after.share(before, ["same"])

    assert sorted(after.changes(before), key=lambda change: change[:2]) == [
        ("new", "api", None, ROLE),
        ("old", "api", UNANNOTATED, None),
        ("shop", "web", ROLE, UNANNOTATED),
    ]


def bounded() -> Snapshot[int]:
    """A snapshot of numbers that say how many bytes they take."""
    return Snapshot(size=lambda number: number)


def test_what_there_is_no_room_for_is_not_kept_and_its_namespace_is_crowded() -> None:
    made = bounded()

    assert made.put("shop", "api", NAMESPACE_BYTES // 2)
    assert not made.put("shop", "web", NAMESPACE_BYTES // 2)
    assert made.put("test", "api", 1)

    assert list(made) == [("shop", "api", NAMESPACE_BYTES // 2), ("test", "api", 1)]
    assert made.crowded == {"shop"}
    assert made.has_namespace("shop")


def test_room_of_what_is_removed_or_replaced_is_there_again() -> None:
    made = bounded()

    for _ in range(10):
        assert made.put("shop", "api", NAMESPACE_BYTES // 2)
    made.remove("shop", "api")
    made.remove("shop", "api")

    assert made.put("shop", "web", NAMESPACE_BYTES - 1_000)


def test_what_grows_too_large_is_not_kept_as_it_was() -> None:
    made = bounded()
    made.put("shop", "api", 1)

    assert not made.put("shop", "api", NAMESPACE_BYTES)

    assert list(made) == []
    assert made.crowded == {"shop"}


def test_names_count_too() -> None:
    made = bounded()

    for number in range(1_000_000):
        if not made.put("shop", f"sa-{number}", 0):
            break

    assert len(made) < 160_000


def test_what_is_shared_gives_back_what_it_took() -> None:
    known, made = bounded(), bounded()
    for each in (known, made):
        each.put("shop", "api", NAMESPACE_BYTES // 2)

    made.share(known, ["shop"])
    made.remove("shop", "api")

    assert made.put("shop", "web", NAMESPACE_BYTES - 1_000)

from app.cluster.room import GUARANTEED_BYTES, NAMESPACE_BYTES, TOTAL_BYTES, Room


def test_a_namespace_has_its_share_and_not_more() -> None:
    room = Room()

    assert room.take("shop", NAMESPACE_BYTES - 1)
    assert room.take("shop", 1)
    assert not room.take("shop", 1)
    assert room.take("test", 1)


def test_beyond_what_all_have_together_a_namespace_has_what_is_guaranteed() -> None:
    room = Room()
    for number in range(TOTAL_BYTES // NAMESPACE_BYTES):
        assert room.take(f"crowded-{number}", NAMESPACE_BYTES)

    assert room.take("shop", GUARANTEED_BYTES)
    assert not room.take("shop", 1)


def test_what_is_given_back_can_be_taken_again() -> None:
    room = Room()
    for number in range(TOTAL_BYTES // NAMESPACE_BYTES):
        room.take(f"crowded-{number}", NAMESPACE_BYTES)

    room.give_back("crowded-0", NAMESPACE_BYTES)

    assert room.take("shop", NAMESPACE_BYTES)
    assert not room.take("crowded-0", GUARANTEED_BYTES + 1)


def test_what_was_refused_takes_nothing() -> None:
    room = Room()

    assert not room.take("shop", NAMESPACE_BYTES + 1)
    assert room.take("shop", NAMESPACE_BYTES)

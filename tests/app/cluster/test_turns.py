import asyncio

import pytest

from app.cluster.allowance import ALL, SHARE
from app.cluster.turns import MAX_WAITING, MAX_WAITING_IN_SHARE, Turns
from tests.app.cluster.eventually import eventually

pytestmark = pytest.mark.anyio


class Time:
    """A clock that goes on while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def turns(time: Time) -> Turns:
    return Turns(clock=lambda: time.now, sleep=time.sleep)


async def use_up_burst(subject: Turns, share: str) -> None:
    for _ in range(int(SHARE.burst)):
        assert await subject.take(share)
        subject.give_back(share)


async def test_turn_comes_with_the_allowance() -> None:
    time = Time()
    subject = turns(time)
    await use_up_burst(subject, "shop")

    assert await subject.take("shop")
    assert time.now - 1_000 == pytest.approx(1 / SHARE.per_second, abs=0.011)


async def test_turns_come_in_the_order_of_the_requests() -> None:
    subject = turns(Time())
    await use_up_burst(subject, "shop")
    served: list[int] = []

    async def ask(number: int) -> None:
        assert await subject.take("shop")
        served.append(number)
        subject.give_back("shop")

    await asyncio.gather(*(ask(number) for number in range(MAX_WAITING_IN_SHARE)))

    assert served == list(range(MAX_WAITING_IN_SHARE))


async def test_line_has_an_end_in_each_share_and_in_all() -> None:
    subject = turns(Time())
    namespaces = [f"team-{number}" for number in range(ALL.at_once // SHARE.at_once)]

    async def fill(namespace: str, count: int) -> list[asyncio.Task[bool]]:
        for _ in range(SHARE.at_once):
            await asyncio.wait_for(subject.take(namespace), 5)
        return [asyncio.create_task(subject.take(namespace)) for _ in range(count)]

    # These namespaces use up what may be under way in all of them.
    waiting = [task for name in namespaces for task in await fill(name, MAX_WAITING_IN_SHARE)]
    await asyncio.sleep(0)
    assert not await subject.take(namespaces[0])

    waiting += [asyncio.create_task(subject.take(f"other-{number}")) for number in range(MAX_WAITING - len(waiting))]
    await asyncio.sleep(0)
    assert not await subject.take("latest")

    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    subject.give_back(namespaces[0])
    assert await subject.take("latest")


async def test_who_does_not_wait_takes_the_turn_of_nobody_who_does() -> None:
    subject = turns(Time())
    for _ in range(SHARE.at_once):
        assert subject.take_at_once("shop")
    waiting = asyncio.create_task(subject.take("shop"))
    await asyncio.sleep(0)
    subject.give_back("shop")

    assert not subject.take_at_once("shop")
    assert subject.take_at_once("test")
    assert await waiting


async def test_who_gives_up_leaves_the_line() -> None:
    subject = turns(Time())
    for _ in range(SHARE.at_once):
        assert await subject.take("shop")
    first, second = (asyncio.create_task(subject.take("shop")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await eventually(first.done)
    subject.give_back("shop")

    assert await second

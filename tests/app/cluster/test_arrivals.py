import asyncio

import pytest

from app.cluster.arrivals import MAX_AWAITED, MAX_AWAITED_IN_SHARE, Arrivals

pytestmark = pytest.mark.anyio


async def waiting(subject: Arrivals, share: str, count: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(subject.wait((share, f"sa-{number}"), share=share)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_it_returns_when_that_one_has_come() -> None:
    subject = Arrivals()
    one, other = await waiting(subject, "shop", 2)

    subject.come(("shop", "sa-0"))
    subject.come(("shop", "unknown"))
    await one

    assert not other.done()
    other.cancel()


async def test_nobody_takes_the_room_of_the_others() -> None:
    subject = Arrivals()
    noisy = await waiting(subject, "", MAX_AWAITED_IN_SHARE + 1)
    others = await waiting(subject, "shop", MAX_AWAITED - MAX_AWAITED_IN_SHARE)
    (beyond,) = await waiting(subject, "test", 1)
    await asyncio.sleep(0)

    assert [task.done() for task in noisy] == [False] * MAX_AWAITED_IN_SHARE + [True]
    assert not any(task.done() for task in others)
    assert beyond.done()

    for task in noisy:
        task.cancel()
    await asyncio.gather(*noisy, return_exceptions=True)
    (again,) = await waiting(subject, "test", 1)
    await asyncio.sleep(0)
    assert not again.done()
    for task in (again, *others):
        task.cancel()

import asyncio
import signal

import pytest

from app.shutdown import Shutdown, Stage


@pytest.mark.parametrize(
    ("signals", "stage"),
    [
        ([], Stage.SERVING),
        ([signal.SIGTERM], Stage.DRAINING),
        ([signal.SIGTERM, signal.SIGTERM], Stage.FINISHING),
        ([signal.SIGTERM, signal.SIGINT], Stage.FINISHING),
        ([signal.SIGTERM] * 3, Stage.LEAVING),
        ([signal.SIGINT], Stage.FINISHING),
        ([signal.SIGINT, signal.SIGINT], Stage.LEAVING),
        ([signal.SIGINT] * 5, Stage.LEAVING),
    ],
)
def test_each_signal_is_a_step_and_a_person_need_not_wait_for_the_drain(
    signals: list[signal.Signals], stage: Stage
) -> None:
    shutdown = Shutdown()
    for number in signals:
        shutdown.signalled(number)

    assert shutdown.stage is stage
    assert shutdown.missing() == ("shutting down" if signals else None)


def test_first_signal_says_who_wanted_the_end() -> None:
    by_kubelet, by_person = Shutdown(), Shutdown()
    for number in (signal.SIGTERM, signal.SIGINT):
        by_kubelet.signalled(number)
    for number in (signal.SIGINT, signal.SIGTERM):
        by_person.signalled(number)

    assert (by_kubelet.interrupted, by_person.interrupted) == (False, True)


def test_stage_is_waited_for_and_passed_ones_are_reached() -> None:
    async def wait() -> None:
        shutdown = Shutdown()
        await shutdown.reached(Stage.LEAVING, seconds=0.001)
        waiting = asyncio.create_task(shutdown.reached(Stage.DRAINING))
        await asyncio.sleep(0)
        assert not waiting.done()
        shutdown.advance(Stage.FINISHING)
        await waiting
        shutdown.advance(Stage.DRAINING)
        assert shutdown.stage is Stage.FINISHING

    asyncio.run(asyncio.wait_for(wait(), 10))

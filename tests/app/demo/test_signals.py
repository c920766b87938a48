import os
import signal
from collections.abc import Iterator

import pytest

from app.demo.signals import NUMBERS, Signals


@pytest.fixture(autouse=True)
def handlers_are_put_back() -> Iterator[None]:
    before = [signal.getsignal(number) for number in NUMBERS]
    yield
    assert [signal.getsignal(number) for number in NUMBERS] == before


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_sigint_is_a_keyboard_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), Signals() as signals, signals.raised():
        send(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_others_end_the_program_with_their_number(number: int) -> None:
    with pytest.raises(SystemExit) as caught, Signals() as signals, signals.raised():
        send(number)

    assert caught.value.code == 128 + number


def test_a_signal_in_the_middle_of_a_start_waits_for_its_end() -> None:
    done = []

    def start() -> None:
        with Signals() as signals, signals.raised():
            with signals.held():
                send(signal.SIGINT)
                done.append("started and written down")
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        start()

    assert done == ["started and written down"]


def test_a_second_signal_does_not_interrupt_the_cleaning_up() -> None:
    cleaned = []

    def run() -> None:
        with Signals() as signals:
            try:
                with signals.raised():
                    send(signal.SIGINT)
            finally:
                with signals.held():
                    send(signal.SIGINT)
                send(signal.SIGTERM)
                cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        run()

    assert cleaned == [True]


def test_a_signal_before_it_may_be_raised_is_raised_then() -> None:
    reached = []

    def run() -> None:
        with Signals() as signals:
            send(signal.SIGTERM)
            reached.append("before")
            with signals.raised():
                reached.append("never")

    with pytest.raises(SystemExit):
        run()

    assert reached == ["before"]


def test_a_signal_during_the_cleaning_up_is_raised_at_the_end() -> None:
    cleaned = []

    def run() -> None:
        with Signals() as signals:
            with signals.raised():
                pass
            send(signal.SIGTERM)
            cleaned.append(True)

    with pytest.raises(SystemExit):
        run()

    assert cleaned == [True]

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.loops import BackgroundLoops


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def signals() -> Iterator[list[int]]:
    """The signals that this process sends to itself, which would end pytest otherwise."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    before = signal.signal(signal.SIGTERM, note)
    yield received
    signal.signal(signal.SIGTERM, before)


async def forever() -> None:
    await asyncio.Event().wait()


async def failing() -> None:
    raise LookupError("the loop's own words")


async def returning() -> None:
    await asyncio.sleep(0)


async def cancelling_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("loop", "event"),
    [
        (failing, "background_loop_died"),
        (returning, "background_loop_returned"),
        (cancelling_itself, "background_loop_cancelled"),
    ],
)
async def test_loop_that_ends_is_logged_and_asks_the_process_to_stop(signals: list[int], loop: Any, event: str) -> None:
    loops = BackgroundLoops({"steady": forever, "service_accounts": loop})

    with capture_logs() as logs:
        async with loops, asyncio.timeout(10):
            while not signals:  # noqa: ASYNC110 - a signal sets no event
                await asyncio.sleep(0)

    assert signals == [signal.SIGTERM]
    assert [(entry["event"], entry["loop"], entry["log_level"]) for entry in logs] == [
        (event, "service_accounts", "error")
    ]
    assert loops.ended == "service_accounts"


@pytest.mark.anyio
async def test_loops_are_cancelled_and_waited_for(signals: list[int]) -> None:
    cleaned_up: list[str] = []

    async def careful() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            current = asyncio.current_task()
            assert current is not None
            cleaned_up.append(current.get_name())

    loops = BackgroundLoops({"one": careful, "two": careful})
    async with loops:
        await asyncio.sleep(0)

    assert sorted(cleaned_up) == ["one", "two"]
    assert loops.ended == ""
    assert signals == []


@pytest.mark.anyio
async def test_loop_that_fails_while_it_is_stopped_changes_nothing(signals: list[int]) -> None:
    async def clumsy() -> None:
        try:
            await forever()
        finally:
            raise LookupError

    loops = BackgroundLoops({"clumsy": clumsy})
    async with loops:
        await asyncio.sleep(0)

    assert loops.ended == ""
    assert signals == []


@pytest.mark.anyio
async def test_loop_that_does_not_stop_is_named_and_left(signals: list[int]) -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    with capture_logs() as logs:
        async with BackgroundLoops({"stubborn": stubborn}, stop_seconds=0.05):
            await asyncio.sleep(0)
    released.set()
    await asyncio.sleep(0.01)

    assert logs == [
        {"event": "background_loop_does_not_stop", "loop": "stubborn", "waited_seconds": 0.05, "log_level": "error"}
    ]
    assert signals == []


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server process, and its address."""
    command = [sys.executable, "-m", "tests.app.serving_with_loops"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        assert process.stderr is not None
        listening = json.loads(process.stderr.readline())
        yield process, f"http://127.0.0.1:{listening['port']}"
    finally:
        process.kill()
        process.communicate()


def answer(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as response:  # noqa: S310 - loopback
        return str(response.read().decode())


@pytest.mark.parametrize(("how", "event"), [("fail", "background_loop_died"), ("return", "background_loop_returned")])
def test_server_whose_loop_ends_answers_what_it_has_and_exits_with_1(how: str, event: str) -> None:
    with server() as (process, url):
        assert answer(f"{url}/{how}") == "answered"
        output, log = process.communicate(timeout=20)

    entries = [json.loads(line) for line in log.splitlines()]
    assert [(entry["event"], entry.get("loop")) for entry in entries] == [(event, "ending"), ("stopped", None)]
    assert output == "steady was cancelled\n"
    assert process.returncode == 1


def test_server_that_is_told_to_stop_exits_with_0() -> None:
    with server() as (process, _url):
        process.terminate()
        output, log = process.communicate(timeout=20)

    assert [json.loads(line)["event"] for line in log.splitlines()] == ["stopped"]
    assert output == "steady was cancelled\n"
    assert process.returncode == 0

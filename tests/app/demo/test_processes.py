import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo.processes import Process, ProcessError, Processes, bare_environment, wait
from app.demo.signals import Signals
from app.errors import DemoError


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "processes", Signals()) as processes:
        yield processes


def python(processes: Processes, code: str, *, grace: float = 5, leftovers: tuple[Path, ...] = ()) -> Process:
    environment = bare_environment(Path("/nonexistent"))
    return processes.start(
        "child", [sys.executable, "-c", code], environment=environment, grace=grace, leftovers=leftovers
    )


def await_line(process: Process) -> str:
    wait(process, lambda: "\n" in process.stdout(), what="print a line")
    return process.stdout().splitlines()[0]


def test_output_is_kept_and_the_status_is_known(processes: Processes) -> None:
    child = python(processes, "import sys; print('out'); [print(n, file=sys.stderr) for n in range(20)]; sys.exit(3)")
    wait(child, lambda: child.status() is not None, what="end")

    assert child.status() == 3
    assert child.stdout() == "out\n"
    assert child.tail(2) == ["18", "19"]


def test_a_child_has_a_session_of_its_own(processes: Processes) -> None:
    child = python(
        processes, "import os; print(os.getsid(0), flush=True); input() if 0 else __import__('signal').pause()"
    )

    assert await_line(child) == str(child.pid)
    assert os.getsid(0) != child.pid


def test_stopping_asks_first(processes: Processes) -> None:
    child = python(
        processes,
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('up', flush=True)\n"
        "signal.pause()",
    )
    await_line(child)

    assert processes.stop() == 1
    assert child.status() == 7


def test_who_does_not_end_when_asked_is_killed(processes: Processes) -> None:
    child = python(
        processes,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
        grace=0.05,
    )
    await_line(child)
    processes.stop()

    assert child.status() == -signal.SIGKILL


@pytest.mark.parametrize("ending", ["signal.pause()", "sys.stdin.read()"])
def test_what_a_child_started_does_not_outlive_it(processes: Processes, ending: str) -> None:
    child = python(
        processes,
        "import signal, subprocess, sys\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"print(other.pid, flush=True)\n{ending}",
    )
    grandchild = os.pidfd_open(int(await_line(child)))
    if ending == "sys.stdin.read()":  # there is nothing to read, so it ends by itself
        wait(child, lambda: child.status() is not None, what="end")
    processes.stop()

    ended, _, _ = select.select([grandchild], [], [], 10)
    os.close(grandchild)
    assert ended


def test_everything_is_stopped_when_the_context_closes(tmp_path: Path) -> None:
    children = []

    def fail() -> None:
        with Processes(tmp_path / "p", Signals()) as processes:
            children.append(python(processes, "import time; time.sleep(600)"))
            raise DemoError("something went wrong")

    with pytest.raises(DemoError):
        fail()

    assert [child.status() for child in children] == [-signal.SIGTERM]


def test_what_a_child_leaves_elsewhere_is_removed_after_its_end(tmp_path: Path, processes: Processes) -> None:
    leftover = tmp_path / "leftover.sock"
    child = python(
        processes, f"open({str(leftover)!r}, 'w'); print(); __import__('signal').pause()", leftovers=(leftover,)
    )
    wait(child, leftover.exists, what="leave something")
    processes.stop()

    assert not leftover.exists()


def test_waiting_ends_with_the_child(processes: Processes) -> None:
    child = python(processes, "import sys; sys.exit(3)")

    with pytest.raises(ProcessError) as caught:
        wait(child, lambda: False, what="be ready")

    assert str(caught.value) == "child: expected it to be ready, got its end with status 3"
    assert caught.value.process is child


def test_waiting_has_a_bound(processes: Processes) -> None:
    child = python(processes, "import time; time.sleep(600)")

    with pytest.raises(ProcessError) as caught:
        wait(child, lambda: False, what="be ready", seconds=0)

    assert str(caught.value) == "child: expected it to be ready within 0 s, got nothing"


def test_nobody_who_answers_yet_is_asked_again(processes: Processes) -> None:
    child = python(processes, "import time; time.sleep(600)")
    answers = iter([ConnectionRefusedError(), ConnectionResetError(), None])

    def is_ready() -> bool:
        if error := next(answers):
            raise error
        return True

    wait(child, is_ready, what="be ready")

    assert list(answers) == []


def test_a_program_that_is_not_there_is_one_line(processes: Processes) -> None:
    with pytest.raises(DemoError) as caught:
        processes.start("seaweedfs", ["/no/such/weed"], environment={})

    assert str(caught.value) == "seaweedfs: expected to run /no/such/weed, got: No such file or directory"

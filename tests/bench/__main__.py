"""``scripts/bench``: measures speed and memory of the real processes, prints a table and writes JSON.

Exit status: 0 everything was measured, whether or not it is as fast as it must be; 1 something could not be measured;
130 or 143 interrupted.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from rich.console import Console

from tests.apiserver import ApiError
from tests.bench import apiserver, commands, creations, filled, load, memory, micro, neighbour, report
from tests.bench.load import Driver
from tests.bench.rows import NotMeasuredError, Row
from tests.bench.servers import ROOT, Tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often, and how long."""

    repeat: int
    """Of each function, with timeit."""
    runs: int
    """Of each command."""
    starts: int
    """Of each webhook whose memory is read."""
    rounds: int
    """Of load, for each review."""
    seconds: int
    """Of one round, for ours and for the reference each."""
    creations: int
    """Of pods, in one round through a real API server, for each of the three."""
    fill: bool
    """Whether that API server is filled with ServiceAccounts."""


FULL: Final = Effort(repeat=31, runs=10, starts=5, rounds=5, seconds=2, creations=1000, fill=True)
QUICK: Final = Effort(repeat=9, runs=10, starts=3, rounds=3, seconds=1, creations=300, fill=False)

STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Measure, print, write; return the exit status."""
    arguments = _arguments()
    for number in STOPS:
        signal.signal(number, _stop)
    machine = report.machine()
    effort = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(prefix="irsa-bench-") as folder:
        driver = Driver(arguments.driver, folder=Path(folder))
        rows = _measure(Path(folder), driver=driver, effort=effort)
    about = {"machine": machine, "driver": driver.name, "connections": load.CONNECTIONS}
    report.write_json(arguments.json, rows, about=about)
    busy = f"{machine['cores']} cores, load average {machine['load_average_before'][0]} before"
    title = f"irsa bench: {load.CONNECTIONS} connections over TLS from {driver.name}; {busy}"
    report.show(rows, title=title)
    return 1 if any(row.problem for row in rows) else 0


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave by way of every ``finally``, which ends the servers; whoever asks again has to wait for that."""
    for later in STOPS:
        signal.signal(later, signal.SIG_IGN)
    sys.exit(128 + number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures speed and memory of irsa.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: two minutes, not four")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "bench.json", metavar="FILE", help="default: bench.json beside README.md"
    )
    parser.add_argument("--driver", choices=["wrk", "python"], help="what sends reviews; default: wrk where it is")
    return parser.parse_args()


def _measure(folder: Path, *, driver: Driver, effort: Effort) -> list[Row]:
    tls = Tls.make(folder)
    with Console(stderr=True).status("") as status:

        def say(text: str) -> None:
            status.update(text)

        def group(name: str, measure: Callable[[], list[Row]]) -> list[Row]:
            say(name)
            try:
                return measure()
            except (NotMeasuredError, ApiError) as error:
                return [Row(group=name, what="all of it", problem=str(error))]

        starts, rounds, seconds = effort.starts, effort.rounds, effort.seconds
        return [
            *group(micro.GROUP, lambda: micro.rows(repeat=effort.repeat)),
            *group(commands.GROUP, lambda: commands.rows(folder, runs=effort.runs)),
            *group(
                memory.GROUP,
                lambda: memory.rows(folder, driver=driver, tls=tls, starts=starts, seconds=seconds, say=say),
            ),
            *group(
                load.GROUP,
                lambda: load.rows(folder, driver=driver, tls=tls, rounds=rounds, seconds=seconds, say=say),
            ),
            *group(
                neighbour.GROUP,
                lambda: neighbour.rows(folder, driver=driver, tls=tls, rounds=rounds, seconds=seconds, say=say),
            ),
            *group(
                apiserver.GROUP,
                lambda: creations.rows(folder, tls=tls, rounds=rounds, creations=effort.creations, say=say),
            ),
            *group(apiserver.GROUP, lambda: filled.rows(folder, tls=tls, say=say) if effort.fill else []),
        ]


if __name__ == "__main__":
    sys.exit(main())

"""Rows -> the table that a person reads and the JSON that a machine keeps."""

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.bench.rows import Row

DECIMALS: Final = {"/s": 0, "ms": 2, "µs": 1, "s": 3, "MB": 1}
STYLES: Final = {"met": "green", "missed": "bold red", "not measured": "yellow", "": "dim"}
WIDTH: Final = 120
"""Of the table where the output is no terminal."""

NOTE: Final = (
    "noise: half of the range of the runs, as a part of their median. ratio: ours to the reference's, median of the "
    "runs, which take turns. MB: 10⁶ bytes."
)


def machine() -> dict[str, Any]:
    """Return what must be known of this machine to compare its numbers with another's."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def show(rows: Sequence[Row], *, title: str) -> None:
    """Print the table, and below it what could not be measured and why."""
    terminal = Console()
    output = terminal if terminal.is_terminal else Console(width=WIDTH)
    output.print(_table(rows, title=title))
    for row in rows:
        if row.problem:
            output.print(Text(f"{row.group}, {row.what}: {row.problem}", style="yellow"))


def _table(rows: Sequence[Row], *, title: str) -> Table:
    result = Table("what", title=title, title_justify="left", caption=NOTE, caption_justify="left")
    for name in ("median", "best", "reference", "ratio", "noise", "must"):
        result.add_column(name, justify="right", no_wrap=True)
    result.add_column("verdict", no_wrap=True)
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            result.add_section()
            result.add_row(f"[bold]{group}")
        result.add_row(f"  {row.what}", *_cells(row), f"[{STYLES[row.verdict]}]{row.verdict}")
    return result


def _cells(row: Row) -> list[str]:
    if row.problem:
        return ["", "", "", "", "", ""]
    reference, ratio, bound = "", "", ""
    if row.reference:
        reference = _amount(statistics.median(row.reference), row.unit)
        ratio = f"{row.ratio:.2f} x"
    if row.must is not None:
        sign = "≤" if row.better == "lower" else "≥"
        bound = f"{sign} {row.must:g} x" if row.reference else f"{sign} {row.must:g} {row.unit}"
    noise = f"± {row.noise:.0%}" if len(row.samples) > 1 else ""
    return [_amount(row.median, row.unit), _amount(row.best, row.unit), reference, ratio, noise, bound]


def _amount(value: float, unit: str) -> str:
    return f"{value:,.{DECIMALS[unit]}f} {unit}"


def write_json(file: Path, rows: Sequence[Row], *, about: dict[str, Any]) -> None:
    """Write everything to *file*, samples included."""
    document = about | {"rows": [row.document() for row in rows]}
    file.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")

"""Tables for a person. What stands in them may be text from strangers, and means nothing to the terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Final, Literal

from app.access.output import inert

PIPE_COLUMNS: Final = 10_000
"""Into a pipe or file a row stays a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a column looks.

    Attributes:
        title: what stands above it.
        justify: on which side the texts stand.
        folds: whether a long text goes on in the next line.
    """

    title: str
    justify: Literal["left", "right"] = "left"
    folds: bool = True


@dataclass(frozen=True, slots=True)
class Styled:
    """A cell that stands out where the terminal can show it."""

    text: str
    style: str


Cell = str | Styled


def show(columns: Sequence[Column], rows: Iterable[Iterable[Cell]], *, stream: IO[str]) -> None:
    """Write *rows* to *stream* below the titles of *columns*."""
    from rich.console import Console  # noqa: PLC0415 - 0.1 s that --json has no use for
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.title, overflow="fold", justify=column.justify, no_wrap=not column.folds)
    for row in rows:
        cells = (cell if isinstance(cell, Styled) else Styled(cell, "") for cell in row)
        table.add_row(*(Text(inert(cell.text), style=cell.style) for cell in cells))
    console = Console(file=stream, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    console.print(table)

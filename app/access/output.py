"""Findings -> text for a spreadsheet or a program. Pure.

Names, roles and annotations are text from strangers. In CSV control characters are escaped, and a cell that a
spreadsheet would take for a formula gets an apostrophe (https://owasp.org/www-community/attacks/CSV_Injection); JSON
escapes what it must, and is no text that anything obeys.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from app.access.rows import Row
from app.text import escaped

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a formula begins with, for one spreadsheet or another."""

HEADER: Final = ("role", "namespace", "service_account", "how", "pods", "owners", "odd")

MAX_CELL_CHARACTERS: Final = 512


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's cells in the order of `HEADER`, as they came."""
    numbers = str(row.pods)
    return (
        row.role_arn,
        row.namespace,
        row.service_account,
        row.how.value,
        numbers,
        _joined(row.owners),
        _joined(row.odd),
    )


def inert(text: str) -> str:
    """Return *text* for a terminal: control characters escaped, and no more of it than a person reads."""
    return escaped(text if len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…")


def inert_cell(text: str) -> str:
    """Return *text* for a spreadsheet."""
    return f"'{inert(text)}" if text.startswith(FORMULA) else inert(text)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return *rows* as CSV (RFC 4180, with plain line feeds)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([inert_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def json_text(items: Iterable[Mapping[str, Any]]) -> str:
    """Return *items* as a JSON array, one a line, in ASCII."""
    lines = ",\n".join(f"  {json.dumps(item)}" for item in items)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def as_object(row: Row) -> dict[str, Any]:
    """Return *row* for JSON."""
    values = (row.role_arn, row.namespace, row.service_account, row.how.value, row.pods, row.owners, row.odd)
    return dict(zip(HEADER, values, strict=True))


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(texts)

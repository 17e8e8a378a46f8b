"""Where an answer goes, and in which form: a file or stdout; a table, CSV, JSON or Parquet.

Knows nothing of connections and queries. Rule: a file appears under its name when it is complete,
or not at all.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO, TypeVar

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from siridb_fast.cli.errors import UsageFault, reason_of, shown
from siridb_fast.cli.output.console import json_text, new_console
from siridb_fast.cli.output.grid import Grid, as_text
from siridb_fast.columns.iso_times import iso

if TYPE_CHECKING:
    from siridb_fast.query.paging import PointArrays

__all__ = [
    "Format",
    "form_of",
    "is_terminal",
    "opened",
    "print_table",
    "text_of",
    "write_answer_json",
    "write_csv",
    "write_points_json",
]

WIDEST_CELL = 60
GAP = 3  # columns between two columns of a table


T = TypeVar("T")


class Format(Enum):
    """The forms of an answer."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def form_of(path: Path, forms: Mapping[str, T]) -> T | None:
    """Return the form that the name of a file says; None where it says none: ``/dev/stdout``.

    Args:
        path: The file.
        forms: Each with the end that a name has, without its dot.

    Raises:
        UsageFault: It says one that cannot be written.
    """
    named = path.suffix.lower().removeprefix(".")
    if named and named not in forms:
        known = ", ".join(f".{name}" for name in forms)
        raise UsageFault(f"{path}: a file ends in {known}; or say which with --format")
    return forms.get(named)


def is_terminal() -> bool:
    """Tell whether stdout is a terminal."""
    return sys.stdout.isatty()


@contextmanager
def opened(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file for writing, or stdout where there is no path.

    Raises:
        UsageFault: The file cannot be written.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    is_replaced = path.is_file() or not path.exists()  # else a device or a pipe
    draft = path.with_name(f".{path.name}.{os.getpid()}.part") if is_replaced else path
    try:
        file = draft.open("wb")
    except OSError as exc:
        raise UsageFault(f"cannot write {path}: {reason_of(exc).rpartition(': ')[2]}") from None
    try:
        with file:
            yield file
        if is_replaced:
            draft.replace(path)
    finally:
        if is_replaced:
            draft.unlink(missing_ok=True)


@contextmanager
def text_of(file: BinaryIO) -> Iterator[TextIO]:
    """Write text in UTF-8 into an open file, which stays open; what `as_text` made, as it was."""
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        yield text
        text.flush()
    finally:
        text.detach()


def write_csv(grid: Grid, file: TextIO) -> None:
    """Write all rows, a line each, under a line of names.

    A missing value is nothing between two commas; an empty text is quoted.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(grid.columns)
    for row in grid.rows(0, len(grid)):
        if "" in row:
            file.write(",".join(map(_field, row)) + "\n")
        else:
            writer.writerow(map(_plain, row))


def _field(value: object) -> str:
    if value == "":
        return '""'
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_plain(value), None])
    return text.getvalue()[:-1]


def write_points_json(arrays: PointArrays, unit: str | None, file: TextIO) -> None:
    """Write an object with ``times`` and ``values`` for each series; no unit: integers."""
    file.write("{")
    for number, (name, (times, values)) in enumerate(arrays.items()):
        points = {
            "times": times.tolist() if unit is None else iso(times, unit),
            "values": _finite(values),
        }
        file.write(f"{',' if number else ''}\n{json.dumps(as_text(name))}: {json.dumps(points)}")
    file.write("\n}\n")


def write_answer_json(answer: object, file: TextIO) -> None:
    """Write any answer of the server."""
    file.write(json_text(_valid(answer)) + "\n")


def print_table(grid: Grid, limit: int, file: TextIO) -> None:
    """Print the first and the last rows, as many columns as fit, and how many there are.

    An answer that is nothing but a text is printed as it is.
    """
    message = getattr(grid, "message", None)
    if message is not None:
        file.write(message.rstrip() + "\n")
        return
    console = new_console(file)
    head, tail = _ends(len(grid), limit)
    rows = [[_cell(value) for value in row] for row in grid.rows(0, head)]
    rows += [[_cell(value) for value in row] for row in grid.rows(tail, len(grid))]
    names = [_cell(name) for name in grid.columns]
    fitting = _fitting(names, rows, console.width)
    is_number = [_is_number(grid, index, head) for index in range(len(names))]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, is_right in zip(names[:fitting], is_number, strict=False):
        table.add_column(Text(name), justify="right" if is_right else "left", no_wrap=True)
    for number, row in enumerate(rows):
        if number == head and tail > head:
            table.add_row(*["…"] * fitting, style="dim")
        table.add_row(*map(Text, row[:fitting]))
    if tail > head and tail == len(grid):
        table.add_row(*["…"] * fitting, style="dim")
    if names:
        console.print(table)
    console.print(Text(_summary(len(grid), tail - head, len(names) - fitting), style="dim"))


def _ends(count: int, limit: int) -> tuple[int, int]:
    # How many rows are shown of the beginning, and from which row on those of the end.
    if not limit or count <= limit:
        return count, count
    return limit - limit // 2, count - limit // 2


def _fitting(names: list[str], rows: list[list[str]], width: int) -> int:
    taken = 0
    for index, name in enumerate(names):
        widths = [Text(name).cell_len, *(Text(row[index]).cell_len for row in rows)]
        taken += max(widths) + (GAP if index else 0)
        if index > 1 and taken > width:
            return index
    return len(names)


def _summary(rows: int, hidden: int, left_out: int) -> str:
    text = f"{rows:,} row{'' if rows == 1 else 's'}"
    if hidden:
        text += f", {hidden:,} not shown (--limit)"
    if left_out:
        text += f"; {left_out:,} column{'' if left_out == 1 else 's'} not shown (--long, or -o)"
    return text


def _is_number(grid: Grid, index: int, head: int) -> bool:
    cells = [row[index] for row in grid.rows(0, head) if row[index] is not None]
    return bool(cells) and all(
        isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in cells
    )


def _cell(value: object) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    text = shown(str(_plain(value)))
    return text if len(text) <= WIDEST_CELL else f"{text[: WIDEST_CELL - 1]}…"


def _plain(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(_valid(value)) if isinstance(value, (list, dict)) else as_text(value)


def _finite(values: np.ndarray) -> list[object]:
    if values.dtype.kind != "f":
        return list(map(as_text, values.tolist()))
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _valid(value: object) -> object:
    # As JSON has it: it knows no NaN and no infinity.
    if isinstance(value, dict):
        return {str(as_text(key)): _valid(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return _listed(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return as_text(value)


def _listed(values: Iterable[object]) -> list[object]:
    return [_valid(value) for value in values]

"""The dialect of a CSV file, guessed from its head and what is said of it.

What is said wins. What can be read in several ways is an error that names them, and the option
that chooses: nothing is guessed without being shown. Pure; needs neither pyarrow nor the file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from siridb_fast.errors import FileError
from siridb_fast.files.base import ReadOptions
from siridb_fast.files.csv.dialect import Dialect, TimeFormat
from siridb_fast.files.csv.guess_columns import (
    Layout,
    cells_of,
    find_layout,
    guess_nulls,
    is_of_numbers,
)
from siridb_fast.files.csv.guess_mixed import is_mixed
from siridb_fast.files.csv.guess_numbers import Cell, are_plain, is_number, settle_numbers
from siridb_fast.files.csv.guess_text import (
    Row,
    columns_of,
    decoded,
    guess_comment,
    guess_delimiter,
    rows_of,
)
from siridb_fast.files.csv.guess_times import settle_time
from siridb_fast.files.csv.guess_units import are_with_units

__all__ = ["HEAD_BYTES", "guess_dialect"]

HEAD_BYTES = 1024 * 1024
SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t])"?\r?\n')  # of spreadsheets, above the header
MAX_ROWS, MIN_ROWS = 1000, 10
MAX_CELLS = 10_000  # of the sample; fewer rows if there are many columns
MANY_CELLS = 200_000  # where a few leave open how they are read


def guess_dialect(head: bytes, given: ReadOptions, path: Path, is_whole: bool) -> Dialect:
    """Return how a file is read.

    Args:
        head: Its first bytes, decompressed; `HEAD_BYTES` are enough.
        given: What is said of it.
        path: For errors; also its suffix, which may say that there are tabs.
        is_whole: The head is all of it.

    Raises:
        FileError: It can be read in several ways, or in none.
    """
    encoding, text = decoded(head, given.csv, str(path), is_whole=is_whole)
    try:
        return _guess(text, encoding, given, path, MAX_CELLS)
    except FileError:
        return _guess(text, encoding, given, path, MANY_CELLS)


def _guess(text: str, encoding: str, given: ReadOptions, path: Path, max_cells: int) -> Dialect:
    csv, file = given.csv, str(path)
    if (said := SEPARATOR_LINE.match(text)) and csv.skip_rows is None:
        given = replace(given, csv=replace(csv, skip_rows=1), delimiter=given.delimiter or said[1])
        csv = given.csv
    comment = guess_comment(text, csv)
    below = _below(text, csv.skip_rows or 0)
    delimiter = given.delimiter or guess_delimiter(below, comment, _first(path, given))
    rows = _sample(rows_of(text, delimiter, comment, csv.skip_rows or 0), max_cells)
    if not rows and csv.skip_rows and text.strip():
        skip = csv.skip_rows
        raise FileError(f"skip_rows={skip} (--skip-rows {skip}) leaves no line of it", file=file)
    if not rows:
        return Dialect(encoding=encoding, delimiter=delimiter, comment=comment)
    layout = find_layout(rows, csv, _comments(text, delimiter, comment, rows[-1].line), file)
    given = given.for_columns(layout.names)
    floats = _plain_floats(layout, given, delimiter)
    columns = _columns(layout, given, floats)
    plain = {name: cells for name, cells in columns.items() if name not in given.names}
    nulls = csv.nulls or guess_nulls(_without(plain, given))
    cells = {name: _without_nulls(cells, nulls) for name, cells in plain.items()}
    time = settle_time(_maybe_times(cells, given), given.time_columns, csv, given.unit, file)
    numbers = _numbers(cells, given, time)
    reading = settle_numbers(numbers, csv, delimiter, file)
    kinds = {
        name: given.types.get(name, "float")
        if name in floats
        else _kind(name, columns, cells, given, time)
        for name in _wanted(layout, given)
    }
    texts = [n for n in kinds if kinds[n] == "string" and n not in (*given.types, *given.names)]
    return Dialect(
        encoding=encoding,
        delimiter=delimiter,
        decimal=reading.decimal,
        thousands=csv.thousands or reading.thousands,
        skip_rows=layout.skip_rows,
        comment=comment,
        has_header=layout.has_header,
        names=layout.names,
        has_units_row=layout.has_units_row,
        nulls=nulls,
        kinds=kinds,
        with_units=tuple(name for name in texts if are_with_units(cells[name])),
        time=time,
    )


def _first(path: Path, given: ReadOptions) -> str | None:
    suffixes = path.suffixes[-2:] if given.format is None else [f".{given.format}"]
    return "\t" if ".tsv" in map(str.lower, suffixes) else None


def _below(text: str, skip: int) -> str:
    for _ in range(skip):
        text = text[text.find("\n") + 1 :]
    return text


def _sample(rows: Iterator[Row], max_cells: int) -> list[Row]:
    first = list(islice(rows, MIN_ROWS))
    count = min(MAX_ROWS * max_cells // MAX_CELLS, max_cells // max(1, columns_of(first)))
    return [*first, *islice(rows, max(0, count - MIN_ROWS))]


def _comments(text: str, delimiter: str, comment: str | None, last: int) -> list[Row]:
    if comment is None:
        return []
    lines = text.splitlines()[:last]
    return list(_comment_rows(lines, delimiter, comment))


def _comment_rows(lines: Sequence[str], delimiter: str, comment: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.startswith(comment):
            if line.strip():
                return  # only those above the data
            continue
        rows = rows_of(line.removeprefix(comment).lstrip(comment + " "), delimiter, None)
        yield from (Row(number, row.fields) for row in rows)


def _wanted(layout: Layout, given: ReadOptions) -> dict[str, int]:
    # The columns that are read, and which field each is.
    return {
        name: index
        for index, name in enumerate(layout.names)
        if name
        and name not in given.ignore
        and (given.columns is None or name in (*given.columns, *given.time_columns))
    }


def _columns(layout: Layout, given: ReadOptions, floats: Collection[str]) -> dict[str, list[Cell]]:
    wanted = _wanted(layout, given).items()
    nulls = given.csv.nulls
    return {name: cells_of(layout, i, nulls) for name, i in wanted if name not in floats}


def _plain_floats(layout: Layout, given: ReadOptions, delimiter: str) -> frozenset[str]:
    # Where the times are known, and all else is plain numbers, there is nothing to be found in
    # thousands of columns. None otherwise: one column may tell how others are read.
    said = {*given.time_columns, *given.names}
    is_free = delimiter != ";" and (given.csv.decimal, given.csv.thousands) == (None, None)
    count = len(layout.names)
    if not given.time_columns or not is_free or any(len(r.fields) != count for r in layout.body):
        return frozenset()
    out = sorted((i for i, name in enumerate(layout.names) if name in said), reverse=True)
    texts: list[str] = []
    for row in layout.body:
        fields = [*row.fields]
        for index in out:
            del fields[index]
        texts += fields
    return frozenset(layout.names).difference(said) if are_plain(texts) else frozenset()


def _without_nulls(cells: list[Cell], nulls: Collection[str]) -> list[Cell]:
    return [cell for cell in cells if cell.text not in nulls] if nulls else cells


def _without(cells: Mapping[str, list[Cell]], given: ReadOptions) -> dict[str, list[Cell]]:
    return {name: cells[name] for name in cells if given.types.get(name) != "string"}


def _maybe_times(cells: Mapping[str, list[Cell]], given: ReadOptions) -> dict[str, list[Cell]]:
    if given.time_columns:
        return {name: cells[name] for name in cells}
    return {name: cells[name] for name in cells if given.types.get(name, "time") == "time"}


def _numbers(
    cells: Mapping[str, list[Cell]], given: ReadOptions, time: TimeFormat | None
) -> dict[str, list[Cell]]:
    # The numbers in columns of them.
    times = () if time is None else time.columns
    found = {}
    for name, column in cells.items():
        kind = given.types.get(name)
        if name in times or name in given.time_columns or kind in ("string", "time", "bool"):
            continue
        if kind is not None or is_of_numbers(column):
            are_numbers = are_plain([cell.text for cell in column])
            found[name] = (
                column if are_numbers else [cell for cell in column if is_number(cell.text)]
            )
    return found


def _kind(
    name: str,
    columns: Mapping[str, list[Cell]],
    cells: Mapping[str, list[Cell]],
    given: ReadOptions,
    time: TimeFormat | None,
) -> str:
    if name in given.names:
        return "string"
    if time is not None and name in time.columns:
        return "time"
    if name in given.types:
        return given.types[name]
    column = cells.get(name, columns[name])
    if column and all(cell.text.lower() in ("true", "false") for cell in column):
        return "bool"
    if given.names and is_mixed(column, [columns.get(key, []) for key in given.names]):
        return "mixed"
    return "float" if is_of_numbers(column) else "string"

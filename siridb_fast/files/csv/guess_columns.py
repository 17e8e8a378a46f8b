"""The columns of a CSV file: where its data begins, what its columns are called, what is in them.

A line is one of data if its fields are values where those of the lines below it are. Above the
first of them is the header, or that and a line of units; above it is what is no part of the table.
Pure functions over rows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from siridb_fast.errors import FileError
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.guess_mixed import NO_STATES
from siridb_fast.files.csv.guess_numbers import Cell, are_plain, is_number
from siridb_fast.files.csv.guess_text import VALUE, Row, columns_of

__all__ = ["NULLS", "Layout", "cells_of", "find_layout", "guess_nulls", "is_of_numbers", "unique"]

NULLS = {"", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan"}
NULLS |= {"n/a", "na", "null", "nan", "<na>"}
GUESSED_NULLS = {"-", "--", "---", "none", "nil", "n.a.", "?", "n/d", "nd", "no data", "nodata"}
VALUE_WORDS = {"true", "false"}
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")
UNIT = re.compile(r"[\[(].*[\])]|[^\w\s]{1,2}|.*[°²³µ%/].*|.*[a-z]\d?[*^]\d?.*")
UNITS = {
    *("s", "ms", "us", "ns", "min", "h", "UTC", "C", "F", "K", "V", "mV", "kV", "A", "mA", "W"),
    *("mW", "kW", "MW", "kWh", "Wh", "MWh", "var", "VA", "kVA", "Hz", "kHz", "MHz", "Pa", "hPa"),
    *(
        "kPa",
        "MPa",
        "bar",
        "mbar",
        "m",
        "mm",
        "cm",
        "km",
        "L",
        "l",
        "ppm",
        "ppb",
        "g",
        "kg",
        "lux",
    ),
    *("lx", "deg", "degC", "degF", "Celsius", "Volt", "Volts", "Watt", "Watts", "Amp", "Amps"),
    *("volts", "rpm", "dB", "dBm", "TS", "RN", "mps", "kph", "mph", "pH", "NTU", "J", "kJ", "MJ"),
    *("N", "Ohm", "ohm", "percent", "unitless"),
}
LOGGER = "TOA5"  # which files of Campbell's data loggers begin with
SAMPLE_ROWS = 200  # that show which columns are of values


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a file are; ``body`` are the rows of data in the sample."""

    names: tuple[str, ...]
    body: Sequence[Row]
    skip_rows: int
    has_header: bool
    has_units_row: bool


def find_layout(
    rows: Sequence[Row], given: CsvGiven, comments: Sequence[Row], file: str
) -> Layout:
    """Return where header and data are.

    Args:
        rows: Of the sample, below the lines that are said to be skipped.
        given: What is said.
        comments: The lines of comment above the data, as rows.
        file: For errors.

    Raises:
        FileError: Two lines may be the header.
    """
    count = columns_of(rows[-SAMPLE_ROWS:])
    if rows and rows[0].fields[:1] == [LOGGER] and not given.says_layout:
        return _layout_of_logger(rows, count, file)
    lower = _lower(rows, count)
    of_values = _columns_of_values(lower, count)
    first = _first_of_data(rows, lower, of_values, count)
    header = _header_of(rows, first, of_values, count, given)
    skip = given.skip_rows or 0
    if header is None:
        named = _named_in_comment(comments, count, rows)
        body = rows[first:] if given.skip_rows is None else rows
        above = body[0].line - 1 if body and given.skip_rows is None and first else skip
        names = given.column_names or named or tuple(f"column_{n}" for n in range(1, count + 1))
        return Layout(_settled(names, body, count, file), body, above, False, False)
    has_units = _has_units(rows, header, first, given, file)
    body = rows[header + 1 + has_units :]
    if given.skip_rows is None and header:
        skip = rows[header].line - 1
    names = given.column_names or tuple(rows[header].fields)
    return Layout(_settled(names, body, count, file), body, skip, True, has_units)


def _layout_of_logger(rows: Sequence[Row], count: int, file: str) -> Layout:
    # The station, names, units, and how values were made of readings: Min, Avg.
    body = rows[4:]
    names = tuple(rows[1].fields) if len(rows) > 1 else ()
    return Layout(_settled(names, body, count, file), body, 4, False, False)


def cells_of(layout: Layout, index: int, nulls: Collection[str]) -> list[Cell]:
    """Return the fields of one column that are not missing."""
    there = [
        Cell(text, row.line)
        for row in layout.body
        if index < len(row.fields) and (text := row.fields[index]) and text not in nulls
    ]
    if are_plain([cell.text for cell in there]):
        return there
    return [cell for cell in there if cell.text.lower() not in NULLS]


def is_of_numbers(cells: Sequence[Cell]) -> bool:
    """Tell whether a column is of numbers: its first field is one, or half of them are."""
    if not cells or is_number(cells[0].text):
        return True
    return 2 * sum(is_number(cell.text) for cell in cells) >= len(cells)


def guess_nulls(columns: Mapping[str, Sequence[Cell]]) -> tuple[str, ...]:
    """Return what stands for a missing value in columns that have numbers and else only that."""
    found: dict[str, None] = {}
    for cells in columns.values():
        if are_plain([cell.text for cell in cells]):
            continue
        others = {cell.text for cell in cells if not is_number(cell.text)}
        is_mixed = others and len(others) < len({cell.text for cell in cells})
        words = {text.lower() for text in others}
        if is_mixed and (words <= NO_STATES or (len(others) == 1 and words <= GUESSED_NULLS)):
            found |= dict.fromkeys(sorted(others))
    return tuple(found)


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which each is there once: the second 'a' is 'a_2'."""
    taken: set[str] = {*names}
    seen: set[str] = set()
    found = []
    for name in names:
        number, shown = 1, name
        while name and (shown in seen or (number > 1 and shown in taken)):
            number += 1
            shown = f"{name}_{number}"
        seen.add(shown)
        found.append(shown)
    return tuple(found)


def _first_of_data(
    rows: Sequence[Row], lower: Sequence[Row], of_values: Sequence[int], count: int
) -> int:
    # Return the first of the rows down to the last that have values where those below have.
    if not of_values:
        return min(1, len(rows))
    of_dates = [
        index for index in of_values if all(DATE.fullmatch(row.fields[index]) for row in lower)
    ]
    for number, row in enumerate(rows[:SAMPLE_ROWS]):
        # A header may have years in it; but then all of it has to be values.
        share = 1.0 if number == 0 else 0.5
        if _is_data(row, of_dates or of_values, count, 1.0 if of_dates else share):
            return number
    return len(rows)


def _lower(rows: Sequence[Row], count: int) -> Sequence[Row]:
    # Rows that are surely of data.
    alike = [row for row in rows[-SAMPLE_ROWS:] if len(row.fields) == count]
    return alike[(len(alike) + 1) // 2 :] or alike


def _columns_of_values(rows: Sequence[Row], count: int) -> list[int]:
    if are_plain([field for row in rows for field in row.fields]):  # all of them at once
        return [*range(count)]
    return [index for index in range(count) if _is_of_values(rows, index)]


def _has_any(row: Row, of_values: Sequence[int]) -> bool:
    there = (row.fields[index] for index in of_values if index < len(row.fields))
    return any(map(_is_value, there))


def _is_of_values(rows: Sequence[Row], index: int) -> bool:
    texts = [row.fields[index] for row in rows]
    if are_plain(texts):
        return True
    texts = [text for text in texts if not _is_null(text)]
    return bool(texts) and 2 * sum(map(_is_value, texts)) > len(texts)


def _is_data(row: Row, of_values: Sequence[int], count: int, share: float) -> bool:
    if len(row.fields) < max(2, count - 1) and count > 1:
        return False
    there = [row.fields[index] for index in of_values if index < len(row.fields)]
    present = [text for text in there if not _is_null(text)]
    return bool(present) and sum(map(_is_value, present)) >= share * len(present)


def _is_value(text: str) -> bool:
    return VALUE.fullmatch(text) is not None or text.lower() in VALUE_WORDS


def _is_null(text: str) -> bool:
    return text.lower() in NULLS or text.lower() in GUESSED_NULLS


def _header_of(
    rows: Sequence[Row], first: int, of_values: Sequence[int], count: int, given: CsvGiven
) -> int | None:
    # Return the row of the names; None if there is none.
    if given.header is not None or given.skip_rows is not None:
        return _header_as_said(rows, first, given)
    above = [
        n
        for n in range(first)
        if count - len(rows[n].fields) in (0, 1) and (not n or not _has_any(rows[n], of_values))
    ]  # a line with numbers where those below have them is one of data, if a bad one
    if not above:
        return None
    last = above[-1]
    if len(above) > 1 and above[-2] == last - 1 and _are_units_of(rows[last - 1], rows[last]):
        return last - 1
    return last


def _header_as_said(rows: Sequence[Row], first: int, given: CsvGiven) -> int | None:
    if given.header is False or not rows:
        return None
    if given.header or first or given.units_row:
        return 0 if given.skip_rows is not None else max(0, first - 1 - bool(given.units_row))
    return None


def _has_units(rows: Sequence[Row], header: int, first: int, given: CsvGiven, file: str) -> bool:
    if given.units_row is not None:
        return given.units_row
    if header + 2 == first and _are_units_of(rows[header], rows[header + 1]):
        return True
    before = rows[header - 1] if header else None
    if before is None or given.skip_rows is not None or header + 1 != first:
        return False
    if len(before.fields) == len(rows[header].fields) > 2 and all(before.fields):
        text = (
            f"lines {before.line} and {rows[header].line} may both be the header: skip_rows="
            f"{rows[header].line - 1} (--skip-rows {rows[header].line - 1}) takes the names from "
            "the second, units_row=True (--units-row) takes that for units"
        )
        raise FileError(text, file=file, line=before.line)
    return False


def _are_units_of(header: Row, row: Row) -> bool:
    if len(header.fields) != len(row.fields) or any(map(_is_value, header.fields)):
        return False
    if not all(header.fields[1:]):
        return False
    start = 1 if row.fields[0] else 0  # that of the times may be a format
    texts = [field for field in row.fields[start:] if field]
    return bool(texts) and all(text in UNITS or UNIT.fullmatch(text) for text in texts)


def _named_in_comment(comments: Sequence[Row], count: int, rows: Sequence[Row]) -> tuple[str, ...]:
    # The last line of comment above the data, if it has as many fields.
    if not comments or not rows:
        return ()
    last = comments[-1]
    is_above = last.line < rows[0].line and len(last.fields) == count > 1
    return tuple(last.fields) if is_above and not any(map(_is_value, last.fields)) else ()


def _settled(
    names: tuple[str, ...], body: Sequence[Row], count: int, file: str
) -> tuple[str, ...]:
    # As many as there are fields; empty for those that are left out.
    longest = max(count, len(names))
    names += ("",) * (longest - len(names))
    if longest == len(names) + 1:
        names = ("", *names)
    settled = []
    for index, name in enumerate(names):
        settled.append(name or _name_of_unnamed(body, index))
    return unique(settled)


def _name_of_unnamed(body: Sequence[Row], index: int) -> str:
    fields = [row.fields[index] for row in body if index < len(row.fields)]
    is_left_out = not any(fields) or _is_count(fields)
    return "" if is_left_out else f"column_{index + 1}"


def _is_count(fields: Sequence[str]) -> bool:
    # Of rows: 0, 1, 2 …, as pandas writes its index
    if not all(map(str.isdecimal, fields)):
        return False
    numbers = [int(field) for field in fields]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))

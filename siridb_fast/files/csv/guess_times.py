"""Which columns have the times, and how their texts are read.

A column is one of times if nearly all of its texts are, so that one that is not is named by its
line. Where several columns are, or one can be read in several ways, the user has to say. Pure
functions over the fields of columns; this module needs pyarrow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from siridb_fast.errors import FileError
from siridb_fast.files.csv.dialect import TimeFormat, joined_name
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.guess_numbers import Cell
from siridb_fast.files.csv.time_formats import possible_formats

__all__ = ["settle_time"]

DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}([./-])\d{1,2}\1\d{4}|\d{4}([./])\d{1,2}\2\d{1,2}")
CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[aApP]\.?[mM]\.?)?")
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d*)?(?:[eE][+-]?\d+)?")
DATE_AND_CLOCK = re.compile(r"(?:19|20)\d{10}(?:\d\d)?")
MAYBE = re.compile(r"\d[-/.:\s]|\d[Tt]\d|[A-Za-z]{3}.*\d|\d.*[A-Za-z]{3}")
MOSTLY, HALF = 0.9, 0.5  # of the texts are times: of a column nobody named, and of one that is
TIME_WORDS = {
    *("time", "times", "timestamp", "timestamps", "ts", "epoch", "unix", "unixtime"),
    *("unix_time", "unix_timestamp", "timestamp_ms", "time_ms", "datetime", "date_time", "date"),
    *("zeit", "zeitstempel", "zeitpunkt", "datum", "_time", "time_s", "epoch_ms", "epoch_s"),
}  # fmt: skip
PARTS = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S"}

Columns = Mapping[str, Sequence[Cell]]


def settle_time(
    columns: Columns, asked: tuple[str, ...], given: CsvGiven, unit: str | None, file: str
) -> TimeFormat | None:
    """Return how the times are read; None if no column has any.

    Args:
        columns: Those that may have the times.
        asked: The columns that have them, if they are said.
        given: What is said.
        unit: Of times that are numbers, if it is said.
        file: For errors.

    Raises:
        FileError: Several columns have times, or they can be read in several ways.
    """
    found = asked or _columns_of_times(columns, file)
    if not found or not all(name in columns for name in found):
        return None
    if given.time_format is not None:
        return _as_said(TimeFormat(columns=found, form=given.time_format), given, unit)
    cells = _joined([columns[name] for name in found])
    readings = _readings(cells, found)
    if not readings:
        return _as_said(TimeFormat(columns=found), given, unit)  # its reader says what is wrong
    if len(readings) > 1 and not (unit and readings[-1].form == "epoch"):
        raise _ambiguous(_first_of(readings, cells), found, readings, file)
    chosen = readings[0] if not unit else readings[-1]
    return _as_said(chosen, given, unit)


def _as_said(found: TimeFormat, given: CsvGiven, unit: str | None) -> TimeFormat:
    said = {"zone": given.time_zone, "fold": given.fold}
    if found.form == "epoch":
        said["unit"] = unit
    return replace(found, **{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]


def _columns_of_times(columns: Columns, file: str) -> tuple[str, ...]:
    # Return the only columns that look so; none if none does.
    found = [name for name, cells in columns.items() if _is_time(name, cells)]
    if len(found) == 1 and (clock := _clock_beside(found[0], columns)) is not None:
        return found[0], clock
    if not found and (parts := _parts(columns)):
        return parts
    if len(found) > 1:
        text = (
            f"the columns {', '.join(map(repr, found))} all have times; time= (--time) says which "
            "are those of the points"
        )
        raise FileError(text, file=file)
    return tuple(found)


def _is_time(name: str, cells: Sequence[Cell]) -> bool:
    texts = [cell.text for cell in cells]
    is_named = name.strip().lower() in TIME_WORDS
    if not texts or not (is_named or _may_be_time(texts)):
        return False
    share = HALF if is_named else MOSTLY
    forms = [one.form for one in possible_formats(texts, name, share)]
    if not forms or forms[-1] != "epoch":
        return any(is_named or form == "iso" or "%d" in form for form in forms)
    if not is_named:
        return False
    return len(forms) > 1 or sum(map(_is_epoch, texts)) >= MOSTLY * len(texts)


def _may_be_time(texts: Sequence[str]) -> bool:
    # Most columns are of numbers; of those only dates and times in digits alone are times.
    return any(
        DATE_AND_CLOCK.fullmatch(text) if NUMBER.fullmatch(text) else MAYBE.search(text)
        for text in (*texts[:2], texts[-1])
    )


def _is_epoch(text: str) -> bool:
    # In one of the four units, between 1990 and 2100.
    if not NUMBER.fullmatch(text):
        return False
    value = float(text.replace(",", "."))
    return any(631_152_000 <= value / 10**digits <= 4_102_444_800 for digits in (0, 3, 6, 9))


def _clock_beside(date: str, columns: Columns) -> str | None:
    # Return the only column of clock times, if the other one has no more than dates.
    if not all(DATE.fullmatch(cell.text) for cell in columns[date]):
        return None
    clocks = [
        name
        for name, cells in columns.items()
        if cells and all(CLOCK.fullmatch(cell.text) for cell in cells)
    ]
    return clocks[0] if len(clocks) == 1 else None


def _parts(columns: Columns) -> tuple[str, ...]:
    # Year, month and day in columns of their own.
    named = {name.strip().lower(): name for name in columns}
    parts = [named[part] for part in PARTS if part in named]
    if len(parts) < 3 or not {"year", "month", "day"} <= named.keys():
        return ()
    whole = all(cell.text.isdecimal() for part in parts for cell in columns[part])
    return tuple(parts) if whole else ()


def _joined(columns: Sequence[Sequence[Cell]]) -> list[Cell]:
    if len(columns) == 1:
        return list(columns[0])
    return [
        Cell(" ".join(cell.text for cell in row), row[0].line)
        for row in zip(*columns, strict=False)
    ]


def _readings(cells: Sequence[Cell], columns: tuple[str, ...]) -> list[TimeFormat]:
    named = [PARTS.get(name.strip().lower()) for name in columns]
    if len(columns) > 1 and all(named):
        return [TimeFormat(columns=columns, form=" ".join(map(str, named)))]
    found = possible_formats([cell.text for cell in cells], columns[0], HALF)
    return [replace(one, columns=columns) for one in found]


def _first_of(readings: Sequence[TimeFormat], cells: Sequence[Cell]) -> Cell:
    # The first that is a time at all.
    for cell in cells:
        if {one.form for one in possible_formats([cell.text], "")} & {
            one.form for one in readings
        }:
            return cell
    return cells[0]


def _ambiguous(
    cell: Cell, columns: tuple[str, ...], readings: Sequence[TimeFormat], file: str
) -> FileError:
    ways = [
        "a number since 1970 (unit=, --unit)"
        if one.form == "epoch"
        else f"time_format={one.form!r} (--time-format {one.form!r})"
        for one in readings
    ]
    is_year = readings[0].form == "%Y"
    what = "looks like a year, or a number" if is_year else "may be one time or another"
    text = f"{cell.text!r} {what}, say which: {'; or '.join(ways)}"
    return FileError(text, file=file, line=cell.line, column=joined_name(columns))

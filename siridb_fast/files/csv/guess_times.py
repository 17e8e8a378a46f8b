"""Which columns have the times, and how their texts are read.

A column is one of times if nearly all of its texts are, so that one that is not is named by its
line. Where several columns are, or one can be read in several ways, the user has to say. Pure
functions over the fields of columns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from siridb_fast.errors import FileError
from siridb_fast.files.csv.dialect import TimeFormat, joined_name
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.guess_numbers import Cell

__all__ = ["settle_time"]

ZONE = r"\s?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)"
ISO = re.compile(
    rf"\d{{4}}-\d\d-\d\d(?:[Tt ]\d\d(?::\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?)?(?:{ZONE})?)?"
    rf"|\d{{8}}[Tt]\d{{4,6}}(?:[.,]\d{{1,9}})?(?:{ZONE})?"
)
DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}([./-])\d{1,2}\1\d{4}|\d{4}([./])\d{1,2}\2\d{1,2}")
CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[aApP]\.?[mM]\.?)?")
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d*)?(?:[eE][+-]?\d+)?")
COMPACT = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
LONG_COMPACT = re.compile(COMPACT.pattern + r"(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?")
HOURS = re.compile(COMPACT.pattern + r"(?:[01]\d|2[0-3])")
YEAR = re.compile(r"1[0-9]\d\d|20\d\d")
NAMED = re.compile(
    r"(?:([A-Z][a-z]{2,8}) \d{1,2}(,?) \d{4}|\d{1,2}([ -])[A-Z][a-z]{2,8}\3\d{4})"
    r"(?:( )\d{1,2}:\d\d(:\d\d)?( ?[aApP][mM])?)?"
)
WRITTEN = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})"
    r"(?:([ T])(\d{1,2}):\d\d(:\d\d)?([.]\d{1,6})?( ?[aApP][mM])?)?"
)
TIME_WORDS = {
    *("time", "times", "timestamp", "timestamps", "ts", "epoch", "unix", "unixtime"),
    *("unix_time", "unix_timestamp", "timestamp_ms", "time_ms", "datetime", "date_time", "date"),
    *("zeit", "zeitstempel", "zeitpunkt", "datum", "_time", "time_s", "epoch_ms", "epoch_s"),
}  # fmt: skip
DATE_WORDS = {"date", "datum", "day", "fecha", "data", "tag", "yyyymmdd"}
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
    cells = _alike(_joined([columns[name] for name in found]), 0.5)
    readings = [replace(one, columns=found) for one in _readings(cells, found)]
    if not readings:
        return _as_said(TimeFormat(columns=found), given, unit)  # its reader says what is wrong
    if all(YEAR.fullmatch(cell.text) for cell in cells) and not unit:
        text = (
            f"{cells[0].text!r} looks like a year; unit= (--unit) takes it for a number since 1970"
        )
        raise FileError(text, file=file, line=cells[0].line, column=joined_name(found))
    if len(readings) > 1 and not (unit and any(one.form == "epoch" for one in readings)):
        raise _ambiguous(cells[0], found, readings, file)
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
    if not cells:
        return False
    texts = [cell.text for cell in _alike(cells, 0.9)]
    shapes = (ISO, WRITTEN, LONG_COMPACT, NAMED)
    if all(any(shape.fullmatch(text) for shape in shapes) for text in texts):
        return True
    if name.strip().lower() not in TIME_WORDS:
        return False
    return all(COMPACT.fullmatch(text) for text in texts) or all(map(_is_epoch, texts))


def _alike(cells: Sequence[Cell], share: float) -> Sequence[Cell]:
    # Return the texts that look as most of them do; all if too few do.
    for shape in (ISO, WRITTEN, NAMED, NUMBER):
        alike = [cell for cell in cells if shape.fullmatch(cell.text)]
        if alike and len(alike) >= share * len(cells):
            return alike
    return cells


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
    texts = [cell.text for cell in cells]
    if not texts:
        return []
    named = [PARTS.get(name.strip().lower()) for name in columns]
    if len(columns) > 1 and all(named):
        return [TimeFormat(columns=columns, form=" ".join(map(str, named)))]
    if all(map(ISO.fullmatch, texts)):
        return [TimeFormat(columns=columns)]
    if all(map(COMPACT.fullmatch, texts)):
        date = TimeFormat(columns=columns, form="%Y%m%d")
        is_date = columns[0].strip().lower() in DATE_WORDS
        return [date] if is_date else [date, TimeFormat(columns=columns, form="epoch")]
    if all(map(NUMBER.fullmatch, texts)):
        dates = _compact_forms(texts)
        epoch = [] if dates and len(texts[0]) > 10 else ["epoch"]
        return [TimeFormat(columns=columns, form=form) for form in (*dates, *epoch)]
    forms = _written_forms(texts) or _named_forms(texts)
    return [TimeFormat(columns=columns, form=form) for form in forms]


def _compact_forms(texts: Sequence[str]) -> list[str]:
    # Of a date and a time in digits alone, of which all have as many.
    if len({*map(len, texts)}) > 1:
        return []
    if all(map(HOURS.fullmatch, texts)):
        return ["%Y%m%d%H"]
    if not all(map(LONG_COMPACT.fullmatch, texts)):
        return []
    return ["%Y%m%d%H%M%S" if len(texts[0]) == 14 else "%Y%m%d%H%M"]


def _named_forms(texts: Sequence[str]) -> list[str]:
    # Dates with the name of the month.
    parts = [NAMED.fullmatch(text) for text in texts]
    first = parts[0]
    if first is None or not all(parts):
        return []
    sep = first[3] or ""
    date = f"%B %d{first[2]} %Y" if first[1] else f"%d{sep}%B{sep}%Y"
    if first[4] is None:
        return [date]
    half = "" if first[6] is None else (" %p" if first[6].startswith(" ") else "%p")
    return [f"{date} {'%I' if half else '%H'}:%M{':%S' if first[5] else ''}{half}"]


def _written_forms(texts: Sequence[str]) -> list[str]:
    # Dates in the usual orders, with a clock time behind them or not.
    parts = [WRITTEN.fullmatch(text) for text in texts]
    first = parts[0]
    if first is None or not all(parts):
        return []
    sep = first[2]
    clock = _clock_form(first)
    orders = [f"%Y{sep}%m{sep}%d", f"%d{sep}%m{sep}%Y", f"%m{sep}%d{sep}%Y"]
    present = [part for part in parts if part]
    fits = [
        [_is_date(part[1], part[3], part[4]) for part in present],
        [_is_date(part[4], part[3], part[1]) for part in present],
        [_is_date(part[4], part[1], part[3]) for part in present],
    ]
    if sep == ".":
        fits[2] = [False]  # nobody writes the month first with points
    return [order + clock for order, all_fit in zip(orders, fits, strict=True) if all(all_fit)]


def _clock_form(part: re.Match[str]) -> str:
    if part[5] is None:
        return ""
    seconds = "" if part[7] is None else ":%S" + (".%f" if part[8] else "")
    half = "" if part[9] is None else (" %p" if part[9].startswith(" ") else "%p")
    return f"{part[5]}{'%I' if half else '%H'}:%M{seconds}{half}"


def _is_date(year: str, month: str, day: str) -> bool:
    return len(year) == 4 and 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _ambiguous(
    cell: Cell, columns: tuple[str, ...], readings: Sequence[TimeFormat], file: str
) -> FileError:
    ways = [
        "a number since 1970 (unit=, --unit)"
        if one.form == "epoch"
        else f"time_format={one.form!r} (--time-format {one.form!r})"
        for one in readings
    ]
    text = f"{cell.text!r} may be one time or another, say which: {'; or '.join(ways)}"
    return FileError(text, file=file, line=cell.line, column=joined_name(columns))

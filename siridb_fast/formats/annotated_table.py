"""One table of annotated CSV: what its columns are, and its rows as values of fields."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from siridb_fast.formats._point_rows import ValueKind
from siridb_fast.formats.points import LineError

__all__ = ["Annotations", "Cell", "Row", "Table"]

UNREAD = {"result", "table", "_start", "_stop", ""}
TIMES = ("_time", "time")
OF_VALUES = {"double", "long", "unsignedLong", "boolean", "duration", "base64Binary"}
TRUTHS = {"true": 1, "t": 1, "false": 0, "f": 0}
FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(r"[+-]?\d+")
INSTANT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
LIMIT = 2**63


@dataclass(frozen=True, slots=True)
class Cell:
    """The value of a field: a float, an integer (also a bool), or a text."""

    kind: ValueKind
    value: float | str


@dataclass(frozen=True, slots=True)
class Row:
    """One row; its time in nanoseconds."""

    time: int
    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: list[tuple[str, Cell]]


@dataclass(slots=True)
class Annotations:
    """What stands above a header.

    Attributes:
        types: Of the columns, as ``#datatype`` says.
        groups: Whether a column is of the group key, "true" or "false".
        defaults: Of empty cells.
        constants: The same for columns that are not there: type, name and value of each.
    """

    types: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    defaults: list[str] = field(default_factory=list)
    constants: list[list[str]] = field(default_factory=list)

    def add(self, name: str, cells: list[str]) -> None:
        """Take one of them.

        Raises:
            LineError: It is not understood.
        """
        if name == "datatype":
            self.types = cells
        elif name == "group":
            self.groups = cells
        elif name == "default":
            self.defaults = cells
        elif name == "constant":
            self.constants.append([cell for cell in cells if cell])
        else:
            raise LineError(f"the annotation #{name} is not understood")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str  # as said; "" if it is not
    is_in_group: bool
    default: str
    index: int | None  # None: it is the same in all rows


class Table:
    """A table whose header was read.

    Args:
        header: The names of its columns.
        annotations: What stands above them.
        unit: Nanoseconds of one of a time that is a number.

    Raises:
        LineError: It has no times or no values, or is the answer of a query that failed.
    """

    def __init__(self, header: list[str], annotations: Annotations, unit: int) -> None:
        if header[1:3] == ["error", "reference"] or header[:2] == ["error", "reference"]:
            raise LineError("the query that this is the answer of has failed")
        self._width = len(header)
        self._unit = unit
        columns = _columns(header, annotations)
        by_name = {column.name: column for column in columns}
        is_answer = "_value" in by_name or "_time" in by_name
        self._time = _time_of(columns)
        said = _typed(columns, "measurement")
        self._measurement = by_name.get("_measurement") if is_answer else said
        self._field = by_name.get("_field") if is_answer else None
        self._value = by_name.get("_value") if is_answer else None
        used = {column.name for column in (self._time, self._measurement, self._field) if column}
        unread = used | UNREAD
        rest = [c for c in columns if c.name not in unread and c.type[:6] != "ignore"]
        is_tag = _is_tag_of_answer if is_answer else _is_said_to_be_tag
        self._tags = [c for c in rest if is_tag(c, is_pivoted=self._value is None)]
        tags = {column.name for column in self._tags}
        if self._value is None:
            self._fields = [column for column in rest if column.name not in tags]
        else:
            self._fields = [self._value]
            self._tags = [column for column in self._tags if column.name != "_value"]
        if not self._fields:
            raise LineError("the table has no column of values")

    def row(self, cells: list[str]) -> Row:
        """Return one row.

        Raises:
            LineError: A cell is not what its type says.
        """
        if len(cells) != self._width:
            raise LineError(f"expected {self._width} cells as in the header, got {len(cells)}")
        get = _getter(cells)
        tags = sorted((column.name, get(column)) for column in self._tags)
        measurement = "" if self._measurement is None else get(self._measurement)
        fields = []
        for column in self._fields:
            text = get(column)
            if text != "":  # missing
                name = column.name if self._value is None else "value"
                name = name if self._field is None else get(self._field)
                fields.append((name, _cell(text, column)))
        shown = tuple((name, value) for name, value in tags if value)
        time = _nanoseconds(get(self._time), self._time, self._unit)
        return Row(time, measurement, shown, fields)


def _getter(cells: list[str]) -> Callable[[_Column], str]:
    def get(column: _Column) -> str:
        text = "" if column.index is None else cells[column.index]
        return text or column.default

    return get


def _columns(header: list[str], annotations: Annotations) -> list[_Column]:
    columns = []
    for index, name in enumerate(header):
        type_, group, default = (
            some[index] if index < len(some) else ""
            for some in (annotations.types, annotations.groups, annotations.defaults)
        )
        kind, _, own_default = type_.partition("|")  # double|1.5
        columns.append(_Column(name, kind, group == "true", default or own_default, index))
    for constant in annotations.constants:
        type_, name, value = constant if len(constant) == 3 else (constant[0], *constant[-2:])
        columns.append(_Column(name, type_, True, value, None))
    names = [column.name for column in columns if column.name]
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise LineError(f"the header has the column {twice!r} twice")
    return columns


def _typed(columns: list[_Column], type_: str) -> _Column | None:
    return next((column for column in columns if column.type == type_), None)


def _time_of(columns: list[_Column]) -> _Column:
    named = [column for name in TIMES for column in columns if column.name == name]
    typed = [c for c in columns if c.type.startswith("dateTime") and c.name not in UNREAD]
    if not (named or typed):
        raise LineError(
            "the table has no column of times (_time): a result of an aggregate that is not over "
            "windows has none"
        )
    return (named or typed)[0]


def _is_tag_of_answer(column: _Column, *, is_pivoted: bool) -> bool:
    # Texts that are not of the group key are tags that were taken out of it, or pivoted fields.
    is_text = column.type in ("string", "") and column.name[:1] != "_"
    return column.is_in_group or (is_text and not is_pivoted)


def _is_said_to_be_tag(column: _Column, *, is_pivoted: bool) -> bool:
    return column.type == "tag"


def _cell(text: str, column: _Column) -> Cell:
    kind = column.type.partition(":")[0]
    where = f"column {column.name!r}: "
    if kind in ("", "string", "tag", "field"):
        return _guessed(text) if kind in ("", "field") else Cell(ValueKind.TEXT, text)
    if kind == "boolean":
        if text.lower() not in TRUTHS:
            raise LineError(f"{where}expected true or false, got {text!r}")
        return Cell(ValueKind.INTEGER, TRUTHS[text.lower()])
    if kind in ("long", "unsignedLong"):
        if not INTEGER.fullmatch(text):
            raise LineError(f"{where}expected a whole number, got {text!r}")
        if not -LIMIT <= int(text) < LIMIT:
            raise LineError(f"{where}{text} does not fit 64 bits with a sign")
        return Cell(ValueKind.INTEGER, int(text))
    if kind == "double":
        if not FLOAT.fullmatch(text):
            raise LineError(f"{where}expected a number, got {text!r}")
        return Cell(ValueKind.FLOAT, float(text))
    if kind == "base64Binary":
        return Cell(ValueKind.TEXT, _text_of_base64(text, where))
    raise LineError(f"{where}values of type {column.type!r} cannot be stored")


def _guessed(text: str) -> Cell:
    return (
        Cell(ValueKind.FLOAT, float(text)) if FLOAT.fullmatch(text) else Cell(ValueKind.TEXT, text)
    )


def _text_of_base64(text: str, where: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        raise LineError(f"{where}bytes that are no UTF-8 cannot be stored") from None


def _nanoseconds(text: str, column: _Column, unit: int) -> int:
    match = INSTANT.fullmatch(text)
    if match is not None:
        try:
            moment = datetime.fromisoformat(match[1] + match[3])
        except ValueError as exc:
            raise LineError(f"column {column.name!r}: {text!r} is no time: {exc}") from None
        return int(moment.timestamp()) * 10**9 + int((match[2] or "").ljust(9, "0"))
    if INTEGER.fullmatch(text):
        if not -LIMIT < int(text) * unit < LIMIT:
            raise LineError(f"column {column.name!r}: {text} does not fit 64 bits of nanoseconds")
        return int(text) * unit
    raise LineError(f"column {column.name!r}: expected a time as in RFC 3339, got {text!r}")

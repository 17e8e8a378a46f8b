"""How numbers are written: their decimal sign, and what stands between groups of three digits.

A reading that all numbers of a file allow is the file's. Where several do, and give other values,
the user has to say which. Pure functions over the fields of columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from siridb_fast.errors import FileError
from siridb_fast.files.csv.given import CsvGiven

__all__ = ["Cell", "Reading", "are_plain", "beyond_floats", "is_number", "settle_numbers"]

BLANKS = " \u00a0\u202f\u2009"
SHAPES = str.maketrans("23456789", "11111111")  # numbers of one shape have the same readings
EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
PLAIN = re.compile(r"(?:-?[0-9]++(?:\.[0-9]++)?+\n)++")


class Cell(NamedTuple):
    """One field, without blanks around it, and its line; ten thousands of them are made."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read numbers."""

    decimal: str = "."
    thousands: str | None = None

    def __str__(self) -> str:
        parts = [f"decimal={self.decimal!r} (--decimal {self.decimal})"]
        if self.thousands is not None:
            parts += [f"thousands={self.thousands!r} (--thousands {_shell(self.thousands)})"]
        return " and ".join(parts)

    @property
    def group(self) -> str:
        """What stands between groups of digits, as characters of a class of a pattern."""
        if self.thousands == " ":
            return BLANKS
        return "'\u2019" if self.thousands == "'" else re.escape(self.thousands or "")

    @property
    def pattern(self) -> str:
        """What a number is, read so."""
        digits = r"[0-9]+"
        if self.thousands is not None:
            digits = rf"(?:[1-9][0-9]{{0,2}}(?:[{self.group}][0-9]{{3}})+|[0-9]+)"
        point = re.escape(self.decimal)
        number = rf"(?:{digits}(?:{point}[0-9]*)?|{point}[0-9]+){EXPONENT}"
        return rf"[+-]?(?:{number}|[iI]nf(?:inity)?)"

    def fits(self, text: str) -> bool:
        """Tell whether a text is a number, read so."""
        return _compiled(self).fullmatch(text) is not None

    def value(self, text: str) -> float:
        """Return the number that a text is, which fits."""
        if self.thousands is not None:
            text = re.sub(f"[{self.group}]", "", text)
        return float(text.replace(self.decimal, "."))


READINGS = (
    Reading(),
    Reading(","),
    Reading(".", ","),
    Reading(",", "."),
    Reading(".", " "),
    Reading(",", " "),
    Reading(".", "'"),
    Reading(",", "'"),
)


def is_number(text: str) -> bool:
    """Tell whether a text is a number, however it is read."""
    return _any_reading().fullmatch(text) is not None


def are_plain(texts: Iterable[str]) -> bool:
    """Tell whether texts are all numbers of digits and a point, for which there may be no other.

    Ten times as fast as `is_number` of each. Most columns of most files are so.
    """
    lines = [f"{text}\n" for text in texts]
    joined = "".join(lines)
    return PLAIN.fullmatch(joined) is not None and joined.count("\n") == len(lines)


def beyond_floats(text: str) -> str | None:
    """Return what is wrong with a number that no float is as large as; None if it is none."""
    try:
        is_beyond = math.isinf(float(text)) and any(map(str.isdigit, text))
    except ValueError:
        return None
    return f"the number {text!r} is larger than all floats" if is_beyond else None


def settle_numbers(
    columns: Mapping[str, Sequence[Cell]], given: CsvGiven, delimiter: str, file: str
) -> Reading:
    """Return how the numbers of columns are written.

    Raises:
        FileError: No one way reads them all, or several do and give other numbers.
    """
    is_free = delimiter != ";" and given.decimal is None and given.thousands is None
    if is_free and are_plain([cell.text for cells in columns.values() for cell in cells]):
        return Reading()
    allowed = [one for one in _allowed(given) if one.decimal != one.thousands]
    fits_by_shape: dict[str, frozenset[int]] = {}
    left = frozenset(range(len(allowed)))
    for name, cells in columns.items():
        for cell in cells:
            shape = cell.text.translate(SHAPES)
            if shape not in fits_by_shape:
                fits = (n for n, reading in enumerate(allowed) if reading.fits(cell.text))
                fits_by_shape[shape] = frozenset(fits)
            if not left <= fits_by_shape[shape]:
                before, left = left, left & fits_by_shape[shape]
                if not left:
                    raise _contradiction(cell, name, allowed[min(before)], given, file)
    return _chosen(columns, [allowed[n] for n in sorted(left)], given, delimiter, file)


def _chosen(
    columns: Mapping[str, Sequence[Cell]],
    left: Sequence[Reading],
    given: CsvGiven,
    delimiter: str,
    file: str,
) -> Reading:
    if delimiter != ";" and left[0] == Reading() and given.decimal is None:
        return left[0]  # a point is one, unless the comma is wanted for decimals
    _refuse_ambiguous(columns, left, file)
    return left[0]


def _allowed(given: CsvGiven) -> Iterable[Reading]:
    # The plain ones first: with what is not needed nothing is read.
    if given.decimal is not None and given.thousands is not None:
        return [Reading(given.decimal, given.thousands)]
    if given.thousands is not None:
        decimals = (",",) if given.thousands == "." else (".",) if given.thousands == "," else ".,"
        return [Reading(decimal, given.thousands) for decimal in decimals]
    return [one for one in READINGS if given.decimal in (None, one.decimal)]


def _refuse_ambiguous(
    columns: Mapping[str, Sequence[Cell]], left: Sequence[Reading], file: str
) -> None:
    for name, cells in columns.items():
        for cell in cells:
            values = {reading.value(cell.text): reading for reading in reversed(left)}
            if len(values) > 1:
                ways = "; ".join(f"{way} reads {value:.15g}" for value, way in values.items())
                text = f"{cell.text!r} may be one number or another, say which: {ways}"
                raise FileError(text, file=file, line=cell.line, column=name)


def _contradiction(
    cell: Cell, name: str, reading: Reading, given: CsvGiven, file: str
) -> FileError:
    if given.decimal is not None or given.thousands is not None:
        text = f"{cell.text!r} is no number with {reading}"
    else:
        text = f"{cell.text!r} is no number as the numbers before it are written ({reading})"
    text += (
        f"; decimal= (--decimal) and thousands= (--thousands) say how numbers are written, and "
        f"types={{{name!r}: 'string'}} (--type {name}=string) that these are texts"
    )
    return FileError(text, file=file, line=cell.line, column=name)


@cache
def _any_reading() -> re.Pattern[str]:
    return re.compile("|".join(reading.pattern for reading in READINGS))


@cache
def _compiled(reading: Reading) -> re.Pattern[str]:
    return re.compile(reading.pattern)


def _shell(text: str) -> str:
    return f'"{text}"' if text in " '" else text

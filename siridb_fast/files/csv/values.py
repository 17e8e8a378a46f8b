"""Texts of CSV fields → typed Arrow columns, and which of them do not fit.

Numbers: blanks around them and a plus sign are fine; an empty field and the usual spellings of
nothing (`MISSING`) are missing, and so is NaN. Text: only an empty field without quotes is
missing.

A column that nobody knows is of floats if its first value is a number or half of them are (the
others are bad then, rather than all of them text), or if it has none; else of texts.

This module needs pyarrow (see `siridb_fast.files.open`). It knows nothing of lines and files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from siridb_fast.files.arrow_constants import arrow_null, arrow_texts, arrow_values
from siridb_fast.files.arrow_masks import are_true

__all__ = [
    "EXPECTED",
    "MISSING",
    "NUMBER",
    "TIMES",
    "Conversion",
    "convert",
    "decide_type",
    "failing",
    "is_plain",
    "without_nan",
    "without_rows",
]

MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"]
MISSING += ["1.#QNAN", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"]
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?[iI]nf(inity)?$"
TIMES = {unit: pa.timestamp(unit, "UTC") for unit in ("ns", "us")}
ARROW_TYPES = {
    "integer": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    **TIMES,
}
EXPECTED = {
    "integer": "an integer of 64 bits",
    "float": "a number",
    "bool": "true, false, 1 or 0",
}

Convert = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of a column: ``values``, null in the rows ``bad``, which did not fit."""

    values: pa.Array
    bad: Sequence[int]
    is_direct: bool = False  # they are as pyarrow takes them
    reason: Callable[[int], str] | None = None  # what is wrong with a row, where it is known


def convert(texts: pa.Array, kind: str, *, every: bool = True) -> Conversion:
    """Convert a column to a kind of `ARROW_TYPES` but that of times (see `times.py`).

    Unless ``every``, stop at the first bad row.
    """
    if kind == "string":
        return Conversion(texts, [], is_direct=True)
    to_kind = _converter(kind)
    if (values := _attempt(to_kind, texts)) is not None:
        bad = _beyond(texts, values)
        return Conversion(without_nan(without_rows(values, bad)), bad, is_direct=True)
    texts = _tidied(texts)
    bad = failing(texts, to_kind, every=every)
    if bad:
        texts = without_rows(texts, bad if every else [*range(bad[0], len(texts))])
    values = to_kind(texts)
    if beyond := _beyond(texts, values):
        bad, values = sorted({*bad, *beyond}), without_rows(values, beyond)
    return Conversion(without_nan(values), bad)


def decide_type(texts: pa.Array) -> str:
    """Return the kind that suits a column that nobody knows: float or string.

    It is of numbers if its first value is one, or half of them are.
    """
    if _attempt(_converter("float"), texts) is not None:
        return "float"
    present = _tidied(texts).drop_null()
    is_number = pc.match_substring_regex(present, NUMBER)
    if not len(present) or is_number[0].as_py() or 2 * pc.sum(is_number).as_py() >= len(present):
        return "float"
    return "string"


def is_plain(texts: pa.Array, kind: str) -> bool:
    """Tell whether pyarrow takes texts as they are for a kind of times, with zones or without."""
    if _attempt(_converter(kind), texts) is not None:
        return True
    return (
        kind in TIMES and _attempt(lambda some: some.cast(pa.timestamp(kind)), texts) is not None
    )


def without_nan(values: pa.Array) -> pa.Array:
    """Return values of which NaN is null."""
    if not pa.types.is_floating(values.type):
        return values
    is_nan = pc.is_nan(values)
    if not pc.any(is_nan).as_py():
        return values
    return pc.if_else(is_nan, arrow_null(values.type), values)


def failing(texts: pa.Array, to_kind: Convert, *, every: bool, start: int = 0) -> list[int]:
    """Return the rows that cannot be converted, or the first of them, by halving."""
    if _attempt(to_kind, texts) is not None:
        return []
    if len(texts) == 1:
        return [start]
    half = len(texts) // 2
    bad = failing(texts.slice(0, half), to_kind, every=every, start=start)
    if bad and not every:
        return bad
    return bad + failing(texts.slice(half), to_kind, every=every, start=start + half)


def _beyond(texts: pa.Array, values: pa.Array) -> list[int]:
    """Return the rows whose numbers are beyond all floats, which become infinite."""
    if not pa.types.is_floating(values.type):
        return []
    is_infinite = are_true(pc.is_inf(values))
    if not is_infinite.any():
        return []
    has_digits = are_true(pc.match_substring_regex(texts, r"\d"))
    return [int(row) for row in np.flatnonzero(is_infinite & has_digits)]


def _attempt(to_kind: Convert, texts: pa.Array) -> pa.Array | None:
    try:
        return to_kind(texts)
    except pa.ArrowInvalid:  # says that a value does not fit, not which
        return None


def _converter(kind: str) -> Convert:
    return lambda texts: pc.cast(texts, ARROW_TYPES[kind])


def _tidied(texts: pa.Array) -> pa.Array:
    """Return the texts without blanks around them and plus signs; null for `MISSING`."""
    trimmed = pc.utf8_trim_whitespace(texts)
    is_missing = pc.is_in(trimmed, value_set=arrow_texts(MISSING))
    present = pc.if_else(is_missing, arrow_null(pa.string()), trimmed)
    return pc.replace_substring_regex(present, r"^\+([\d.])", r"\1")


def without_rows(texts: pa.Array, rows: list[int]) -> pa.Array:
    """Return a column that is null in some rows."""
    if not rows:
        return texts
    is_bad = pc.is_in(
        arrow_values(np.arange(len(texts))), value_set=arrow_values(np.array(rows, np.int64))
    )
    return pc.if_else(is_bad, arrow_null(texts.type), texts)

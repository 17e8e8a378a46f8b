"""What is wrong with lines of a CSV file, in words that name the value and what to do.

Knows nothing of how a fault was found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from siridb_fast.files.arrow_constants import arrow_texts
from siridb_fast.files.csv.guess_numbers import is_number
from siridb_fast.files.csv.values import EXPECTED, convert

__all__ = [
    "SKIP_HINT",
    "Fault",
    "is_rounded",
    "mixed_hint",
    "odd_row",
    "rounded_value",
    "unfit_value",
]

SKIP_HINT = "; to go on: leave out such lines with skip_bad (--skip-bad)"
INTEGER = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one line; ``column`` is None if it is the line as such."""

    line: int
    text: str
    column: str | None = None


def odd_row(row: Any, lines: npt.NDArray[np.int64]) -> Fault:
    """Return that of a row of too few or too many fields, as pyarrow describes it."""
    text = f"expected {row.expected_columns} fields, got {row.actual_columns}: {_shown(row.text)}"
    return Fault(int(lines[row.number - 1]), text)


def unfit_value(text: str, name: str, kind: str, *, may_leave_out: bool) -> str:
    """Return what is wrong with a field that is no value of the kind of its column.

    Args:
        text: The field.
        name: Of its column.
        kind: Of its column.
        may_leave_out: Other lines fit, so that leaving this one out is some help.
    """
    reason = f"expected {EXPECTED[kind]}, got {_shown(text)}"
    if kind == "integer" and not convert(arrow_texts([text]), "float").bad:
        return (
            f"{reason}; to go on: types={{{name!r}: 'float'}} (--type {name}=float) for all of "
            "the file: what is stored of it as integers is to be dropped first"
        )
    if may_leave_out:
        reason += SKIP_HINT
    return reason + _hint(text, name, kind)


def mixed_hint(name: str) -> str:
    """Return how to say that a column has the numbers of some series and the texts of others."""
    return (
        f"; types={{{name!r}: 'mixed'}} (--type {name}=mixed) takes numbers of some series and "
        "texts of others"
    )


def rounded_value(text: str, name: str) -> str:
    """Return what is wrong with an integer that is not exact as a float."""
    return (
        f"the integer {text} is not exact as a float; types={{{name!r}: 'integer'}} "
        f"(--type {name}=integer) keeps integers of 64 bits, {name}=float rounds them"
    )


def is_rounded(text: str | None) -> bool:
    """Tell whether a text is an integer that no float is equal to."""
    if text is None or INTEGER.fullmatch(text.strip()) is None:
        return False
    try:
        return int(float(text)) != int(text)
    except (OverflowError, ValueError):  # beyond all floats, or more digits than Python takes
        return True


def _hint(value: str, name: str, kind: str) -> str:
    # Which option may be what is missing.
    if kind in ("integer", "float") and is_number(value):
        return "; decimal= (--decimal) and thousands= (--thousands) say how it is written"
    return "; nulls= (--null) says what stands for a missing value" if kind == "float" else ""


def _shown(text: str, limit: int = 80) -> str:
    return repr(text) if len(text) <= limit else f"{text[:limit]!r}…"

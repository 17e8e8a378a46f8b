"""The long form of points of several types: ``series``, ``time``, and a column for each type.

Queries write it, and files that have it are known by the names of their columns. Each row has a
value in one of the columns of values. Dead letters have all of them, and why the point is there.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["REASONS", "SERIES", "TIME", "TYPED_VALUES", "VALUE", "is_long_form", "reasons_in"]

SERIES, TIME, VALUE = "series", "time", "value"
REASONS = ("reason", "error", "refused_at")
TYPED_VALUES = {"value_float": "float", "value_integer": "integer", "value_text": "string"}


def is_long_form(names: Collection[str]) -> bool:
    """Tell whether columns are those of the long form of points, of one type or of several."""
    values = {*names} - {SERIES, TIME}
    is_typed = bool(values) and values <= TYPED_VALUES.keys()
    return len(names) == len(values) + 2 and (is_typed or values == {VALUE})


def reasons_in(names: Collection[str]) -> tuple[str, ...]:
    """Return the columns of dead letters that no points come of; none of any other file."""
    return REASONS if {*names} == {SERIES, TIME, *TYPED_VALUES, *REASONS} else ()

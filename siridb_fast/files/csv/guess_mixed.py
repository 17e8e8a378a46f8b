"""Columns that have the numbers of some series and the texts of others.

Pure functions over the fields of columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from siridb_fast.files.csv.guess_numbers import Cell, are_plain, is_number

__all__ = ["NO_STATES", "is_mixed"]

NO_STATES = {"unavailable", "unknown"}  # what home automation writes, whatever else a series has


def is_mixed(column: Sequence[Cell], keys: Sequence[Sequence[Cell]]) -> bool:
    """Tell whether a column has numbers in lines of some series, and texts in those of others.

    Args:
        column: Its fields that are not missing.
        keys: Those of the columns that name the series.
    """
    if are_plain([cell.text for cell in column]):
        return False
    named = [{cell.line: cell.text for cell in key} for key in keys]
    kinds: dict[tuple[str | None, ...], set[bool]] = {}
    for cell in column:
        if cell.text not in NO_STATES:
            series = tuple(key.get(cell.line) for key in named)
            kinds.setdefault(series, set()).add(is_number(cell.text))
    return all(len(found) == 1 for found in kinds.values()) and (
        {is_one for found in kinds.values() for is_one in found} == {True, False}
    )

"""Points of one series: a pair of columns, or a list of points.

Two lists of two items each can be either: two points, or two columns. Nobody guesses then, since a
timestamp must not be stored as a value. Knows these forms; knows nothing of what is in columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from siridb_fast.errors import ColumnError

__all__ = ["is_pair_of_lists", "refuse_points"]


def is_pair_of_lists(name: object, points: Sequence[Any]) -> bool:
    """Tell whether what an insert is given is a pair of two Python lists ``(timestamps, values)``.

    A list of two points is none: that is the reference driver's form.

    Raises:
        ColumnError: It can be read both ways, or is a pair in the form of points.
    """
    if len(points) != 2 or not _are_lists(points):
        return False
    lengths = {len(one) for one in points}
    if isinstance(points, tuple):
        if lengths == {2}:
            raise ColumnError(
                "two lists of two items each may be two points or two columns: points are a list, "
                "[[timestamp, value], …], columns a pair with an array, (numpy.array(timestamps), "
                "values)",
                series=str(name),
            )
        return True
    if min(lengths) > 2:
        raise ColumnError(
            "points are [[timestamp, value], …] or a tuple (timestamps, values); got a list of "
            f"lists of {max(lengths):,} items",
            series=str(name),
        )
    return False


def refuse_points(name: object, pair: object) -> None:
    """Refuse a list of two points where a pair of columns is wanted.

    Raises:
        ColumnError: It can be read both ways.
    """
    if isinstance(pair, list) and _are_lists(pair) and [len(one) for one in pair] == [2, 2]:
        raise ColumnError(
            "a list of two lists of two items each may be two points or two columns: columns are "
            "a tuple, (timestamps, values); points, [[timestamp, value], …], are for insert()",
            series=str(name),
        )


def _are_lists(pair: Sequence[Any]) -> TypeGuard[Sequence[Sequence[Any]]]:
    return all(isinstance(one, (list, tuple)) for one in pair)

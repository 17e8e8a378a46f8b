"""Columns of a wide file in groups, each of which is read in a pass of its own.

What a reader keeps in memory of each open column is told to this module, which knows no format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["column_groups", "suitable_columns"]


LONG_RUN = 32_768  # points of a series that fill packages by themselves


def column_groups(
    kept: Sequence[str],
    values: Sequence[str],
    sizes: Mapping[str, int],
    max_bytes: int,
    max_columns: int,
) -> list[tuple[str, ...]]:
    """Return ``values`` in their order, in groups that stay within ``max_bytes``.

    Args:
        kept: Columns that are read with each group.
        values: Columns that are read once.
        sizes: What is in memory of each column while it is read.
        max_bytes: For a group and what is kept; a column that is larger is a group by itself.
        max_columns: In a group.
    """
    room = max_bytes - sum(sizes[name] for name in kept)
    groups: list[tuple[str, ...]] = []
    group: list[str] = []
    size = 0
    for name in values:
        size += sizes[name]
        if group and (size > room or len(group) == max_columns):
            groups.append(tuple(group))
            group, size = [], sizes[name]
        group.append(name)
    return [*groups, tuple(group)]


def suitable_columns(rows: int, batch_bytes: int) -> int:
    """Return how many columns of numbers may share batches of this size and come in long runs.

    A server takes those fastest. ``rows`` is how many there are.
    """
    return max(1, batch_bytes // (8 * max(1, min(rows, LONG_RUN))))

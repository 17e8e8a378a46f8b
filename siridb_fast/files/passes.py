"""The columns of a wide file, split into passes: each reads some of them, over all rows.

This module gets what a reader takes in memory for each open column; it knows no format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["columns_per_pass", "split_passes"]

FULL_RUN = 32_768  # points of a series that fill packages by themselves


def split_passes(
    common: Sequence[str],
    values: Sequence[str],
    sizes: Mapping[str, int],
    max_bytes: int,
    max_columns: int,
) -> list[tuple[str, ...]]:
    """Return ``values`` in their order, in passes that stay within ``max_bytes``.

    Args:
        common: Columns that are read in each pass.
        values: Columns that are read once.
        sizes: What is in memory of each column while it is read.
        max_bytes: Of a pass and the common columns; a larger column is a pass by itself.
        max_columns: Of a pass.
    """
    room = max_bytes - sum(sizes[name] for name in common)
    passes: list[tuple[str, ...]] = []
    current: list[str] = []
    size = 0
    for name in values:
        size += sizes[name]
        if current and (size > room or len(current) == max_columns):
            passes.append(tuple(current))
            current, size = [], sizes[name]
        current.append(name)
    return [*passes, tuple(current)]


def columns_per_pass(rows: int, batch_bytes: int) -> int:
    """Return how many columns of numbers may share batches of this size and come in full runs.

    A server takes those fastest. ``rows`` is how many there are.
    """
    return max(1, batch_bytes // (8 * max(1, min(rows, FULL_RUN))))

"""Columns of a wide file in groups, each of which is read in a pass of its own.

What a reader keeps in memory of each open column is told to this module, which knows no format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["column_groups"]


def column_groups(
    kept: Sequence[str], values: Sequence[str], sizes: Mapping[str, int], max_bytes: int
) -> list[tuple[str, ...]]:
    """Return ``values`` in their order, in groups that stay within ``max_bytes``.

    Args:
        kept: Columns that are read with each group.
        values: Columns that are read once.
        sizes: What is in memory of each column while it is read.
        max_bytes: For a group and what is kept; a column that is larger is a group by itself.
    """
    room = max_bytes - sum(sizes[name] for name in kept)
    groups: list[tuple[str, ...]] = []
    group: list[str] = []
    size = 0
    for name in values:
        size += sizes[name]
        if group and size > room:
            groups.append(tuple(group))
            group, size = [], sizes[name]
        group.append(name)
    return [*groups, tuple(group)]

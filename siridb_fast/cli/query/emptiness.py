"""What a select has not found, in words: a typo in a name is no series without points.

The server answers a name that does not exist with nothing, and a series that has no points in the
time with an empty list. Knows nothing of connections and printing.
"""

from __future__ import annotations

from collections.abc import Collection

from siridb_fast.query.select import Select, parse_select

__all__ = ["what_is_missing"]

SHOWN = 5


def what_is_missing(query: str, found: Collection[str | bytes], *, has_points: bool) -> str | None:
    """Return what to tell the user of an answer that lacks something; None if it lacks nothing.

    Args:
        query: A select.
        found: The names in its answer.
        has_points: Whether there is any point in it.
    """
    if not found:
        return f"no series matched: {query}"
    select = parse_select(query)
    absent = [] if select is None else _absent(select, found)
    if absent:
        more = f" and {len(absent) - SHOWN:,} more" if len(absent) > SHOWN else ""
        return f"there is no series {', '.join(map(repr, absent[:SHOWN]))}{more}"
    return None if has_points else f"no points: {query}"


def _absent(select: Select, found: Collection[str | bytes]) -> list[str]:
    # With a condition a series may be left out, and a merge has a name of its own.
    names = None if select.where or select.merge else select.listed_names()
    if names is None:
        return []
    texts = {
        name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
        for name in found
    }
    if "prefix" in select.methods or "suffix" in select.methods:
        return [name for name in names if not any(name in text for text in texts)]
    return [name for name in names if name not in texts]

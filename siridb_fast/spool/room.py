"""Whether packages fit into a spool.

Knows sizes; knows nothing of files.
"""

from __future__ import annotations

from pathlib import Path

from siridb_fast.errors import SpoolError, SpoolFullError
from siridb_fast.spool.schema import LONGEST_PAYLOAD

__all__ = ["check_room"]


def check_room(path: Path, sizes: list[int], used: int, max_bytes: int) -> None:
    """Check that packages of these sizes fit into a spool that has so many bytes already.

    Raises:
        SpoolError: One is too long for any spool.
        SpoolFullError: There is no room for all.
    """
    longest = max(sizes, default=0)
    if longest > LONGEST_PAYLOAD:
        raise SpoolError(
            f"{path}: expected at most {LONGEST_PAYLOAD:,} bytes a package, got {longest:,}"
        )
    if used + sum(sizes) > max_bytes:
        raise SpoolFullError(
            f"{path}: no room for {sum(sizes):,} bytes more: {used:,} bytes are there, and "
            f"max_bytes is {max_bytes:,}"
        )

"""What `siridb-fast spool drop` does: the points of a spool or of a journal are given up.

The file stays, empty, for the next writer. Knows nothing of how an operator is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from siridb_fast.errors import SpoolError
from siridb_fast.journal.file import JournalFile, is_journal
from siridb_fast.spool.reader import SpoolReader
from siridb_fast.spool.store import Spool

__all__ = ["drop"]


def drop(path: Path, confirm: Callable[[str], None]) -> int:
    """Remove all points of a file; return how many there were.

    Args:
        path: Of a spool, or of a journal.
        confirm: Is told what will be lost, and raises if that is not wanted; called while no
            writer can open the file.

    Raises:
        SpoolError: There is none, it is something else, or a writer has it open.
    """
    if not path.exists():
        raise SpoolError(f"{path}: there is no such spool")
    return _drop_journal(path, confirm) if is_journal(path) else _drop_spool(path, confirm)


def _drop_spool(path: Path, confirm: Callable[[str], None]) -> int:
    with SpoolReader(path) as reader:  # of a damaged file it tells without a change
        points = reader.snapshot().points
    if not points:
        return 0
    with Spool(path) as spool:
        points, last = spool.points, 0
        confirm(f"{points:,} points of {spool.dbname!r} in {spool.packages:,} packages")
        while rows := spool.read(last):
            last = rows[-1].id
            spool.remove(row.id for row in rows)
    return points


def _drop_journal(path: Path, confirm: Callable[[str], None]) -> int:
    journal, is_dropped = JournalFile(path, None, None), False
    try:
        frames = journal.frames()
        points = sum(frame.points for frame in frames)
        if points:
            told = (
                f"up to {points:,} points of {journal.header.database!r}, as far as they are not"
            )
            confirm(f"{told} in the database or in the spool beside it")
        journal.begin(frames)
        is_dropped = True
    finally:
        journal.close(next_segment=journal.header.next_segment if is_dropped else None)
    return points

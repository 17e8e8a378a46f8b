"""What a killed writer has left in its journal goes into the spool, as packages in doubt.

Nobody knows which of these points were sent: the next writer looks each of them up, and sends what
the database does not have. What the spool has already is left out. It can be done again after a
crash in the middle of it. Runs in any thread, without an event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from siridb_fast.columns._decode import decode_points
from siridb_fast.columns.column import point_column
from siridb_fast.columns.payloads import cut_payloads
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery.missing_points import missing_of
from siridb_fast.errors import ColumnError
from siridb_fast.journal.file import JournalFile
from siridb_fast.journal.remains import Columns, portions, read_remains
from siridb_fast.spool.store import NewPackage, Spool

__all__ = ["Recovery", "move_to_spool"]

PORTION_BYTES = 64 * 1024 * 1024  # of the journal, that are in memory at once
SENT_RULES = ColumnRules()  # what was accepted is in the database's precision

NumpyArray = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How many points went into the spool, and how many could not be read."""

    points: int
    lost: int


def move_to_spool(journal: JournalFile, spool: Spool) -> Recovery:
    """Put the points of a journal that may not be delivered into the spool; empty the journal.

    Raises:
        SpoolError, OSError: The disk does not take it; nothing is lost by that.
    """
    frames = journal.frames()
    mark = min((frame.spool_mark for frame in frames), default=0)
    last = spool.last_id
    points = lost = 0
    for some in portions(frames, PORTION_BYTES):
        remains = read_remains(journal.records(some))
        lost += remains.lost
        for columns in remains.columns.values():
            _leave_out_spooled(columns, spool, mark, last)
            rows = list(_packages(columns))
            if rows:
                spool.put_rows(rows, is_bounded=False)
            stored = sum(row.points for row in rows)
            points += stored
            lost += sum(len(timestamps) for timestamps, _ in columns.values()) - stored
    journal.begin(frames)
    return Recovery(points, lost)


def _leave_out_spooled(columns: Columns, spool: Spool, mark: int, last: int) -> None:
    # The points that packages of these rows have, as often as they are there.
    after = mark
    while columns and after < last:
        rows = [row for row in spool.read(after) if row.id <= last]
        if not rows:
            return
        after = rows[-1].id
        for row in rows:
            stored = {
                name: pair for name, pair in decode_points(row.payload).items() if name in columns
            }
            ours = {name: columns[name] for name in stored}
            for name, mask in missing_of(ours, stored).items():
                timestamps, values = columns.pop(name)
                if mask.any():
                    columns[name] = timestamps[mask], values[mask]


def _packages(columns: Columns) -> Iterator[NewPackage]:
    parts = []
    for name, (timestamps, values) in columns.items():
        if values.dtype.kind == "O":
            texts = [one.decode() if isinstance(one, bytes) else one for one in values.tolist()]
            values = np.array(texts, object)
        try:
            parts.append(point_column(name, timestamps, values, SENT_RULES))
        except ColumnError:  # no writer made that: the name is damaged, and the sum right
            continue
    for payload in cut_payloads(parts) if parts else ():
        yield NewPackage(bytes(payload.buffer), payload.points, is_sent=True)

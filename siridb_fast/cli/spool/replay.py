"""What `siridb-fast spool replay` does: a writer that has nothing to write but its spool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from siridb_fast.connection.config import Config
from siridb_fast.delivery.report import Report
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.spool.reader import SpoolReader
from siridb_fast.writer.writer import BatchWriter

__all__ = ["Replayed", "replay"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a spool's points, and how many are still there."""

    report: Report
    left: int

    @property
    def is_complete(self) -> bool:
        """Tell whether all of them were delivered."""
        return self.report.is_complete and not self.left


@dataclass(frozen=True, slots=True)
class _Target:
    config: Config


async def replay(
    path: Path,
    config: Config,
    connect_timeout: float | None,
    timeout: float,
    max_rate: float | None = None,
) -> Replayed:
    """Deliver the points of a spool, and remove them from it.

    Args:
        path: Of the file; it has to be there.
        config: The database.
        connect_timeout: Seconds to connect; None as `BatchWriter.open`.
        timeout: Seconds to deliver.
        max_rate: Points a second at most.

    Raises:
        SpoolError: It is no spool, not of this database, or a writer has it open.
        SiriDBError, OSError: No server can be reached.
    """
    with SpoolReader(path) as reader:
        reader.snapshot()
    spool = SpoolOptions(path, max_bytes=1 << 50, max_rate=max_rate)
    writer = BatchWriter(_Target(config), spool=spool)
    await writer.open(connect_timeout)
    report = await writer.close(timeout)
    return Replayed(report, writer.stats().spooled)

"""A null writer: points go in by the plain calls of a writer, and nothing leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.writer._point_intake import PointIntake

__all__ = ["NullWriter"]

BUFFER_POINTS = 64  # of a series, in a server with the usual buffer_size
ROOM = 1 << 30


class NullWriter:
    """An intake that nothing leaves unless it is emptied; all of its series are settled."""

    def __init__(
        self, names: Iterable[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.coalescer = Coalescer(
            clock=clock,
            max_buffered=ROOM,
            linger=3600.0,
            package_bytes=1_000_000,
            max_idle=1_000_000,
        )
        self.coalescer.notify = lambda: None
        self.intake = PointIntake(self.coalescer, ColumnRules(time_precision=None), casts=False)
        self.coalescer.open(BUFFER_POINTS)
        for name in names:
            series = self.coalescer.series(name)
            self.coalescer.pin(series, "float")
            self.coalescer.resolve_type(series, None)

    def empty(self) -> None:
        """Let everything leave."""
        self.coalescer.flush(self._clock())
        while self.coalescer.take(self._clock(), Batch()):
            pass
        assert self.coalescer.points == 0

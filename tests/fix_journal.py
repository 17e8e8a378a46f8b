"""A journal without a writer: points go into a coalescer's log, and from there to a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siridb_fast.batching._append import append_column, append_texts
from siridb_fast.batching._batch import Batch
from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._point_log import PointLog
from siridb_fast.journal._appender import JournalAppender
from siridb_fast.journal._frames import find_frames
from siridb_fast.journal.file import JournalFile
from siridb_fast.journal.remains import Frame, Remains, live_frames, read_remains

__all__ = ["Recorder", "frames_in", "remains_of"]

GENEROUS = 60.0


class Recorder:
    """What a writer does for its journal."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 1 << 30,
        segment_bytes: int = 1 << 24,
        database: str = "db",
        time_precision: str = "s",
    ) -> None:
        self.file = JournalFile(path, database, time_precision)
        self.file.begin(self.file.frames())
        header = self.file.header
        self.log = PointLog(header.next_segment, segment_bytes)
        self.events = threading.Event()
        self.appender = JournalAppender(
            self.log,
            self.file.file,
            self.file.units,
            header.journal,
            header.opening,
            0.001,
            max_bytes,
            self.events.set,
        )
        self.coalescer = Coalescer(
            clock=time.monotonic,
            max_buffered=1 << 30,
            linger=1,
            package_bytes=1_000_000,
            max_idle=1_000_000,
        )
        self.coalescer.notify = lambda: None
        self.coalescer.open(51, self.log)
        self._thread = threading.Thread(target=self.appender.run, daemon=True)
        self._thread.start()

    def write(self, name: str, timestamps: Sequence[int], values: Sequence[Any]) -> None:
        """Append points of one series, whose type is that of the first value, or was."""
        series, stamps = self.coalescer.series(name), np.array(timestamps, np.int64)
        type_ = {int: "integer", float: "float", bytes: "string"}[type(values[0])]
        self.coalescer.pin(series, type_)
        if type_ == "string":
            append_texts(self.coalescer, series, stamps, list(values))
        else:
            bits = np.array(values).view(np.int64)
            append_column(self.coalescer, series, stamps, bits)

    def send_all(self) -> None:
        """Let all points leave, as if there were a server."""
        for series in self.coalescer.take_unresolved():
            self.coalescer.resolve_type(series, None)
        self.coalescer.flush(time.monotonic())
        while self.coalescer.take(time.monotonic(), Batch()):
            pass

    def sync(self) -> None:
        """Wait until all that was written is on disk."""
        deadline = time.monotonic() + GENEROUS
        while self.appender.bytes_written < self.appender.bytes_accepted:
            self.events.clear()
            self.appender.watch()
            self.appender.hurry()
            self.events.wait(0.1)
            assert time.monotonic() < deadline

    def wait_for_error(self) -> None:
        """Wait until the disk did not take something."""
        deadline = time.monotonic() + GENEROUS
        while not self.appender.error_number:
            self.appender.watch()
            self.events.wait(0.1)
            assert time.monotonic() < deadline

    def stop(self) -> None:
        """End the thread, and close the file as the end of a process does."""
        self.appender.stop()
        self._thread.join(GENEROUS)
        assert not self._thread.is_alive()
        self.file.close(next_segment=None)

    def close(self) -> None:
        """Close it in order: all points have their fate."""
        self.appender.stop()
        self._thread.join(GENEROUS)
        self.file.close(next_segment=self.log.segment + 1)


def frames_in(path: Path) -> list[Frame]:
    """Return the frames in a file that count, whoever has it open."""
    return live_frames(find_frames(path.read_bytes(), 0))


def remains_of(path: Path) -> Remains:
    """Return what a journal has left, as its next writer reads it."""
    file = JournalFile(path, "db", "s")
    try:
        return read_remains(file.records(file.frames()))
    finally:
        file.close(next_segment=None)

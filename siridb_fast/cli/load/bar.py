"""The bar of a load. What draws it is imported in a thread, once the load is under way.

Where nobody would see it, it is not imported.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING

from siridb_fast.cli.output.plain_table import may_be_terminal
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.options import LoadOptions, Progress
from siridb_fast.loading.sources import Portion

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["LoadBar"]


class LoadBar:
    """The bar of one load, if stderr is a terminal; it has to be closed.

    Args:
        source: Of the load; the bar is about the bytes of its files.
    """

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._bar: tuple[Bar, TaskID] | None = None
        self._last: Progress | None = None  # that was reported
        self._is_seen = may_be_terminal(sys.stderr)
        self._making = Thread(target=self._make, name="siridb_fast bar")

    def close(self) -> None:
        """Leave the bar as it is, for what is printed below it."""
        if self._making.ident is not None:
            self._making.join()
        if self._bar is not None:
            self._bar[0].stop()

    def shown_in(self, options: LoadOptions) -> LoadOptions:
        """Return the options of a load that moves the bar."""
        return replace(options, progress=self._show)

    def watched(self, source: FileSource) -> Iterator[Portion]:
        """Yield the portions of a source, and move the bar."""
        began = time.monotonic()
        if self._is_seen:
            self._make()
        for portion in source:
            self._move(Progress(0, source.bytes_read, 0, None, time.monotonic() - began))
            yield portion

    def _show(self, progress: Progress) -> None:
        # The servers have something to do from the first delivery on.
        if self._is_seen and progress.points and self._making.ident is None:
            self._making.start()
        self._move(progress)

    def _move(self, progress: Progress) -> None:
        self._last = progress
        if self._bar is None:
            return
        bar, task = self._bar
        bad = self._source.bad_so_far
        bar.update(
            task,
            completed=self._source.bytes_read,
            points=progress.points,
            bytes=progress.bytes,
            seconds=progress.seconds,
            bad_lines=f"{bad:,} bad lines" if bad else "",
        )

    def _make(self) -> None:
        from siridb_fast.cli.load.drawn_bar import new_bar

        bar, task = new_bar(self._source.size)
        bar.start()
        self._bar = bar, task
        if self._last is not None:
            self._move(self._last)  # there may be no other

"""Which files of a load are to be loaded, from where on: from the manifest, or by comparing.

A file of which nothing is noted, though a load is to go on, was perhaps loaded by another user or
by a container that is gone; one that was changed since has other rows than those that are noted.
Of both, each point is compared with the database before it is sent: all their rows may be stored.
One that was only appended to, as its checksum tells, goes on behind the rows that are stored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from siridb_fast.errors import FileError, SiriDBError
from siridb_fast.loading.notes import EVERY_ROW, Entry, Notes

__all__ = ["KnownFiles", "Start"]

logger = logging.getLogger("siridb_fast")


class Start(Enum):
    """What becomes of files that are known from an earlier load."""

    FRESH = "fresh"  # there must be none
    RESUME = "resume"  # go on where it ended
    COMPARE = "compare"  # load what the database does not have, whatever is noted
    RESTART = "restart"  # load all of them again


class KnownFiles:
    """The files of a load, and how far each of them is.

    Args:
        files: All that are meant; none is open yet.
        manifest: Of the load; it is closed with this.
        start: What becomes of files that are known.

    Raises:
        FileError: A file was loaded before and ``start`` is `Start.FRESH`; or the manifest cannot
            be written.
    """

    def __init__(self, files: Sequence[Path], manifest: Notes, start: Start) -> None:
        self._manifest = manifest
        self._start = start
        self._may_withdraw = start is Start.RESTART  # nothing of it is known to be stored
        self._compared: set[Path] = set()
        self._new: set[Path] = set()  # to be loaded from the start, without comparing
        self.has_begun = False  # with points that leave
        self.done: list[Path] = []
        self.todo: list[Path] = []
        self.unknown: list[Path] = []  # of those to do, where others may be known
        self.changed: list[Path] = []  # of those to do
        self.grown: list[Path] = []  # the same
        try:
            self._look_at(files)
        except BaseException:
            manifest.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._close()
        except SiriDBError as error:
            if exc is None:
                raise
            exc.add_note(f"what was delivered last is not noted: {error}")

    @property
    def has_done(self) -> bool:
        """Tell whether some of the files were loaded before."""
        return bool(self.done)

    def dialect_of(self, file: Path) -> str:
        """Return how a file is read of which something is loaded, as it was noted; else ''."""
        return "" if file in self._compared else self._manifest.dialect_of(file)

    def begin(
        self, file: Path, passes: str = "", dialect: str = "", *, may_grow: bool = False
    ) -> tuple[int, int]:
        """Begin with a file; return up to which row it is stored, and up to which it may be.

        Raises:
            FileError: It is known since another load of it has ended.
        """
        is_anew = file in self._compared
        entry = self._manifest.claim(file, passes, dialect, is_anew=is_anew, may_grow=may_grow)
        if self._start is Start.FRESH:
            _refuse_known(file, entry)
        if entry.is_changed:
            self._compared.add(file)
        return (0, EVERY_ROW) if file in self._compared else (entry.delivered, entry.started)

    def announce(self, files: Sequence[Path]) -> None:
        """Note that any row of some files may be about to leave, of those that are new."""
        new = [file for file in files if file in self._new]
        self._manifest.announce(new)

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave."""
        if not self.has_begun and self._may_withdraw:
            self._manifest.begin_restart()
        self.has_begun = True
        self._manifest.start(file, EVERY_ROW if file in self._compared else rows)

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored.

        With the first of them is forgotten what was stored before a load anew.
        """
        if self._may_withdraw:
            self._end_restart(is_kept=True)
        self._manifest.deliver(file, rows)

    def finish(self, file: Path) -> None:
        """Note that all of a file is stored."""
        self._manifest.finish(file)

    def note_nothing_stored(self) -> None:
        """Note that no point was stored: what was known before a load anew stands."""
        if not self._may_withdraw:
            return
        try:
            self._end_restart(is_kept=False)
        except SiriDBError as error:  # then it is the load anew that goes on
            logger.warning("it cannot be noted that nothing was stored: %s", error)
        else:
            self.has_begun = False

    def _close(self) -> None:
        try:
            if self._may_withdraw:
                self._end_restart(is_kept=self.has_begun)
        finally:
            self._manifest.close()

    def _look_at(self, files: Sequence[Path]) -> None:
        self._manifest.take_versions(files)
        if self._start is Start.RESTART:
            self.todo += files
            self._new.update(files)
            self._manifest.restart(files)
        elif self._start is Start.COMPARE:
            self.todo += files
            self._compared.update(files)
        else:
            for file, entry in zip(files, self._manifest.look_up(files), strict=True):
                self._sort(file, entry)
            if self._start is Start.RESUME:
                self._compared.update(self.unknown, self.changed)
            else:
                self._new.update(files)

    def _end_restart(self, *, is_kept: bool) -> None:
        self._may_withdraw = False
        if is_kept:
            self._manifest.keep_restart()
        else:
            self._manifest.withdraw_restart()

    def _sort(self, file: Path, entry: Entry | None) -> None:
        if self._start is Start.FRESH:
            _refuse_known(file, entry)
        elif entry is None:
            self.unknown.append(file)
        elif entry.is_changed:
            self.changed.append(file)
        elif entry.has_grown:
            self.grown.append(file)
        elif entry.is_done:
            self.done.append(file)
            return
        self.todo.append(file)


def _refuse_known(file: Path, entry: Entry | None) -> None:
    if entry is None or not (entry.is_done or entry.started):
        return
    is_whole = entry.is_done or entry.has_grown
    state = "was loaded already" if is_whole else "was loaded in part"
    if entry.has_grown:
        state += ", and has grown since"
    if entry.is_changed:
        state += ", and was changed since"
    raise FileError(
        f"it {state}; --resume loads what is left, --restart loads all of it, which stores points "
        "twice that are still there",
        file=str(file),
    )

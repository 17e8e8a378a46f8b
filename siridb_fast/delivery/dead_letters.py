"""`DeadLetters`: what was refused goes into a file that `load` reads.

The surface, and what becomes of errors: none gets into the writer. The forms of the files are in
`letter_lines` and `letter_tables`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from siridb_fast.concurrency.fork import Unpicklable
from siridb_fast.delivery.letter import Letter
from siridb_fast.delivery.letter_lines import LetterLines
from siridb_fast.delivery.report import Failure
from siridb_fast.errors import ConfigError, SiriDBError

__all__ = ["DeadLetters"]

LINES, TABLES = (".ndjson", ".jsonl"), (".parquet",)
DISK_ERRORS = (OSError, ValueError, MemoryError, SiriDBError)  # of Arrow too

logger = logging.getLogger("siridb_fast")


class LetterFile(Protocol):
    """Letters in files of one form."""

    path: Path
    written: int
    waiting: int

    def write(self, letter: Letter) -> None:
        """Take the points of a failure."""

    def flush(self) -> None:
        """Write what waits."""

    def close(self) -> None:
        """Forget what waits, and close the file."""


class DeadLetters(Unpicklable):
    """A file of the points that a writer could not deliver, for its ``on_error=``.

    Each point has the columns that `siridb_fast.load` and ``siridb-fast load`` read without
    options (``series``, ``time``, ``value_float``, ``value_integer``, ``value_text``), and three
    that say why it is there: ``reason``, ``error`` (a class) and ``refused_at`` (UTC). Times are
    ISO 8601, or integers where the database's precision is not known, or after the year 9999.

    A path that ends in ``.ndjson`` or ``.jsonl`` is a file of lines that is appended to, also by
    the next process: each failure is in it when this returns, and survives the death of the
    process. ``.parquet`` (`siridb_fast[arrow]`) cannot be appended to: points wait in memory until
    100,000 are together, or the first of them is a minute old when another failure comes, or until
    `flush`, `close` or the end of the program; then they are a file of their own, the first one
    ``letters.parquet``, the next ``letters-2.parquet``. What waits is lost with the process.

    Points in doubt may be stored, and whoever loads them stores those twice. So they are in a file
    of their own, ``in-doubt-letters.ndjson``: ``siridb-fast load --compare`` sends those of it
    that are missing. With ``in_doubt=False`` they are counted and left out.

    Nothing is raised into the writer: what the disk does not take is counted as ``lost``, and
    logged once until it works again. Calls may come from any thread, and from many writers, and
    write in that thread; of several processes each needs a file of its own. A context manager:
    leaving it closes the files, so put the writer inside.

    Args:
        path: Of the file, in a folder that is there.
        in_doubt: Keep the points that may be stored, in a file of their own.

    Raises:
        ConfigError: The path has another suffix, or its folder is not there.
        FileError: The file is there, and holds something else.
        ImportError: Parquet is asked for, and there is no pyarrow.
        OSError: A file that is there cannot be read.

    Example::

        with siridb_fast.DeadLetters("letters.ndjson") as letters:
            with client.writer(on_error=letters) as writer:
                writer.write("plant.flow", datetime.now(UTC), 21.5)
        print(letters.written, letters.lost)
    """

    _clock = staticmethod(time.time)

    def __init__(self, path: str | os.PathLike[str], *, in_doubt: bool = True) -> None:
        if not isinstance(in_doubt, bool):
            raise ConfigError(f"in_doubt is true or false, got {in_doubt!r}")
        self._path = _checked_path(path)
        apart = self._path.with_name(f"in-doubt-{self._path.name}")
        self._refused = _file_at(self._path)
        self._in_doubt = _file_at(apart) if in_doubt else None
        self._lock = threading.RLock()  # a signal's handler may come in between
        self._failing: set[LetterFile] = set()  # since that was logged
        self._is_closed = False
        self._lost = self._left_out = 0
        # Also at the end of the program, for those who forget to close it.
        weakref.finalize(self, _close, self._files, os.getpid())

    def __repr__(self) -> str:
        return f"<DeadLetters in {str(self._path)!r}: {self.written:,} points written>"

    def __call__(self, failure: Failure) -> None:
        """Take the points of a failure, as ``on_error`` gets it; never raises."""
        with self._lock:
            file = self._in_doubt if failure.fate == "in_doubt" else self._refused
            if file is None:
                self._left_out += failure.points
                return
            if not self._try(file, lambda: self._write(file, failure)):
                self._lost += failure.points

    @property
    def path(self) -> Path:
        """The file; that of points in doubt is beside it."""
        return self._path

    @property
    def written(self) -> int:
        """How many points are in the files, without those that were there before."""
        return self._refused.written + (self._in_doubt.written if self._in_doubt else 0)

    @property
    def waiting(self) -> int:
        """How many points wait in memory for a file of Parquet."""
        return self._refused.waiting + (self._in_doubt.waiting if self._in_doubt else 0)

    @property
    def left_out(self) -> int:
        """How many points in doubt were not to be written."""
        return self._left_out

    @property
    def lost(self) -> int:
        """How many points could not be written."""
        return self._lost

    def flush(self) -> None:
        """Write what waits in memory; what the disk does not take goes on waiting."""
        with self._lock:
            for file in self._files:
                if file.waiting:
                    self._try(file, file.flush)

    def close(self) -> None:
        """Write what waits, and close the files; what comes later is lost, and counted."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self.flush()
            self._lost += self.waiting
            for file in self._files:
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _files(self) -> list[LetterFile]:
        return [file for file in (self._refused, self._in_doubt) if file is not None]

    def _write(self, file: LetterFile, failure: Failure) -> None:
        if self._is_closed:
            raise SiriDBError("they are closed")
        file.write(Letter.of(failure, self._clock()))

    def _try(self, file: LetterFile, do: Callable[[], None]) -> bool:
        # Log the first error of a file, and its end.
        try:
            do()
        except DISK_ERRORS as exc:
            level = logging.DEBUG if file in self._failing else logging.ERROR
            logger.log(level, "dead letters in %s are not written: %s", file.path, exc)
            self._failing.add(file)
            return False
        if file in self._failing:
            self._failing.discard(file)
            logger.warning("dead letters in %s are written again", file.path)
        return True


def _checked_path(path: str | os.PathLike[str]) -> Path:
    found = Path(path)
    if found.suffix.lower() not in (*LINES, *TABLES):
        known = ", ".join((*LINES, *TABLES))
        raise ConfigError(f"dead letters: a path ends in one of {known}, got {str(found)!r}")
    if not found.parent.is_dir():
        raise ConfigError(f"dead letters: there is no folder {str(found.parent)!r}")
    return found


def _file_at(path: Path) -> LetterFile:
    if path.suffix.lower() in LINES:
        return LetterLines(path)
    try:
        from siridb_fast.delivery.letter_tables import LetterTables
    except ImportError as exc:
        text = "dead letters in Parquet need pyarrow: pip install siridb_fast[arrow]"
        raise ImportError(text, name="pyarrow") from exc
    return LetterTables(path)


def _close(files: list[LetterFile], pid: int) -> None:
    for file in files if os.getpid() == pid else ():  # a fork has the same letters
        with suppress(*DISK_ERRORS):
            file.flush()
            file.close()

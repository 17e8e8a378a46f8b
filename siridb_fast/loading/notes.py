"""What is asked of a manifest, wherever it is kept: of each file, which rows are stored.

Of each file two numbers are noted: rows up to ``delivered`` are stored for certain, rows up to
``started`` may be. The second is written down before a row leaves, all else with what is written
down next, so that after any end of the process the rows between them are all that is in doubt. A
file that is read in several ``passes``, each over some of its columns, counts its rows anew in
each of them: row 5 of the second pass over 100 rows is row 105. So they have to be the same when
it goes on.

A load of files anew is noted as an attempt of its own (`Notes.restart`), and takes the place of
what was noted before once a point of it is stored. If none was, what was noted before stands; if
nobody can tell, since the process was killed, the load anew is the one that goes on.

Knows nothing of files of SQLite, servers or event loops.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from siridb_fast.loading.file_versions import checksum_of, version_of

__all__ = ["EVERY_ROW", "Entry", "FileVersion", "Notes", "entry_of", "job_key"]

EVERY_ROW = 1 << 62


def job_key(dbname: str, **columns: object) -> str:
    """Return what distinguishes loads of one file: the database's name, and the columns' roles."""
    return json.dumps({"dbname": dbname, **columns}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file as it was before it was opened.

    Attributes:
        size: In bytes.
        mtime_ns: When it was changed.
        checksum: Of all of it; None: nobody needs it, or it was changed meanwhile.
    """

    size: int
    mtime_ns: int
    checksum: int | None = None

    def summed(self, file: Path) -> FileVersion:
        """Return the same with a checksum, if the file is the same still."""
        checksum = checksum_of(file, self.size)
        is_same = version_of(file) == (self.size, self.mtime_ns)
        return replace(self, checksum=checksum if is_same else None)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one file.

    Attributes:
        delivered: Rows up to this one are stored.
        started: Rows up to this one may be.
        is_done: All of it is stored.
        is_changed: It is not the file any more that it was then, or its rows are counted
            otherwise, so that nobody knows which of them are stored.
        has_grown: What it was then is the same, and something was appended. Its last row may have
            been half a line, so it is one of those that may be stored.
    """

    delivered: int
    started: int
    is_done: bool
    is_changed: bool = False
    has_grown: bool = False

    def grown(self) -> Entry:
        """Return what is known of it once something was appended."""
        last = max(0, self.delivered - 1)
        return Entry(last, max(self.started, self.delivered), is_done=False, has_grown=True)


def entry_of(known: Entry, noted: FileVersion, file: Path) -> Entry:
    """Return what is known of a file as it is now.

    Args:
        known: Of the file as it was noted.
        noted: How it was then.
        file: That may have been changed since.
    """
    size, mtime_ns = version_of(file)
    if (size, mtime_ns) == (noted.size, noted.mtime_ns):
        return known
    if noted.checksum is None or checksum_of(file, noted.size) != noted.checksum:
        return replace(known, is_changed=True)
    return known if size == noted.size else known.grown()


class Notes(Protocol):
    """What is noted of loads into one database, with the same roles of columns.

    One thread reads files and calls `dialect_of`, `claim` and `announce`, another one calls
    `start`, `deliver` and `finish`. Each call raises a `SiriDBError` if what is noted cannot be
    read or written.
    """

    def close(self) -> None:
        """Write down what is not yet, and close."""

    def take_versions(self, files: Sequence[Path]) -> None:
        """Remember files as they are now, before one is opened; so they are noted.

        What is appended while they are read is then a change, and is not taken for loaded.
        """

    def look_up(self, files: Sequence[Path]) -> list[Entry | None]:
        """Return what is known of files; None of those of which nothing was ever loaded so."""

    def restart(self, files: Sequence[Path]) -> None:
        """Ask for files to be loaded anew, together; what is known of them stays for now."""

    def begin_restart(self) -> None:
        """Note that the first point is about to leave of what is loaded anew."""

    def keep_restart(self) -> None:
        """Let what is loaded anew, which has stored points, take the place of what was known."""

    def withdraw_restart(self) -> None:
        """Forget what was to be loaded anew: it has stored nothing."""

    def dialect_of(self, file: Path) -> str:
        """Return how a file is read of which something is loaded, as it was noted; else ''."""

    def claim(
        self,
        file: Path,
        passes: str = "",
        dialect: str = "",
        *,
        is_anew: bool = False,
        may_grow: bool = False,
    ) -> Entry:
        """Begin or go on with a file; return what was known of it.

        Nothing is written down before a row of it leaves.

        Args:
            file: Of the load.
            passes: Tells how its rows are counted.
            dialect: How it is read, so that it is read so again.
            is_anew: Take all that is known of it for no more than a part that may be stored.
            may_grow: Rows may be appended to it; then it is noted so that this can be told.
        """

    def announce(self, files: Sequence[Path]) -> None:
        """Note with the next row that leaves that any row of some files may; of new ones alone."""

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave."""

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored; written down with what comes next."""

    def finish(self, file: Path) -> None:
        """Note that all of a file is stored; written down with what comes next."""

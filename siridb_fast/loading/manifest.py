"""What of loads of files was delivered: noted in SQLite, so that a load can go on.

What is noted, and when, is said in `notes`. The rows of an attempt anew lie beside those before.
Whoever calls has the locks of the files (`file_locks`). Knows nothing of formats, servers or event
loops.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from siridb_fast.errors import FileError
from siridb_fast.loading.database_id import DatabaseId, Sameness
from siridb_fast.loading.earlier_manifest import EarlierEntry, entries_beside
from siridb_fast.loading.file_versions import name_of, version_of
from siridb_fast.loading.manifest_file import (
    Attempt,
    bring_back,
    connect_to,
    is_there,
    prepare,
    unwritable,
)
from siridb_fast.loading.noted_databases import find_database
from siridb_fast.loading.notes import EVERY_ROW, Entry, FileVersion, entry_of

__all__ = ["Manifest"]

KEY = "database = ? AND job = ? AND file = ? AND attempt = ?"
SELECT = (
    "SELECT size, mtime_ns, checksum, passes, delivered, started, is_done, dialect "  # noqa: S608
    "FROM files "
    f"WHERE {KEY} AND (started OR is_done)"
)
INSERT = (
    "INSERT OR REPLACE INTO files "
    "(database, job, file, attempt, size, mtime_ns, checksum, passes, dialect, owner) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
BRING_OVER = (
    "UPDATE files SET size = ?, mtime_ns = ?, delivered = ?, started = ?, is_done = ? "  # noqa: S608
    f"WHERE {KEY}"
)


class Manifest:
    """What is noted of loads into one database, with the same roles of columns.

    Args:
        path: Of the SQLite file.
        job: What `job_key` gives.
        database: That is loaded into.

    Raises:
        FileError: It cannot be written, or is none.
    """

    def __init__(self, path: Path, job: str, database: DatabaseId) -> None:
        self._path = path
        self._job = job
        self._database = database
        self._attempt = Attempt.NOTED
        self._owner = os.urandom(8).hex()  # of attempts anew
        self._versions: dict[str, FileVersion] = {}  # by file: as it was before it was opened
        self._claimed: dict[str, tuple[Any, ...]] = {}  # by file: what is not written down yet
        self._known_before: dict[str, Entry] = {}  # of those of them that have grown
        self._announced: set[str] = set()  # all rows of them may leave, as is written down
        self._delivered: dict[str, int] = {}  # the same
        self._finished: set[str] = set()  # the same
        self._lock = threading.Lock()  # one thread reads, another one hears of deliveries
        self._earlier: dict[Path, dict[tuple[str, str], EarlierEntry]] = {}  # by folder
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._base = connect_to(path)
            try:
                with self._base:  # one transaction, for each waits for the disk
                    self._base.execute("BEGIN IMMEDIATE")
                    prepare(self._base, path)
                    noted = find_database(self._base, database)
                self._opened = path.stat()
            except BaseException:
                self._base.close()
                raise
        except (sqlite3.Error, OSError) as exc:
            raise unwritable(path, exc) from None
        self._id, self._unsure = noted.id, noted.unsure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Of the SQLite file."""
        return self._path

    def close(self) -> None:
        """Write down what is not yet, and close."""
        try:
            self._write(None)
        finally:
            self._base.close()

    def take_versions(self, files: Sequence[Path]) -> None:
        """Remember files as they are now, before one is opened; so they are noted."""
        self._versions |= {name_of(file): FileVersion(*version_of(file)) for file in files}

    def look_up(self, files: Sequence[Path]) -> list[Entry | None]:
        """Return what is known of files; None of those of which nothing was ever loaded so.

        Raises:
            FileError: One was loaded into a database of this name, and nobody can tell whether it
                is this one.
        """
        with self._transaction():
            self._base.execute("BEGIN IMMEDIATE")
            return [self._looked_up(file) for file in files]

    def restart(self, files: Sequence[Path]) -> None:
        """Ask for files to be loaded anew, together; what is known of them stays for now."""
        with self._transaction():
            self._base.execute("BEGIN IMMEDIATE")
            for file in files:
                self._settle_ended(file)
            self._attempt = Attempt.ASKED
            for file in files:
                self._insert(file, "", "")

    def begin_restart(self) -> None:
        """Note that the first point is about to leave of what is loaded anew."""
        with self._transaction():
            self._rename(Attempt.ASKED, Attempt.BEGUN, self._owner)
        self._attempt = Attempt.BEGUN

    def keep_restart(self) -> None:
        """Let what is loaded anew, which has stored points, take the place of what was known."""
        with self._transaction():
            self._take_place(self._owner)
        self._attempt = Attempt.NOTED

    def withdraw_restart(self) -> None:
        """Forget what was to be loaded anew: it has stored nothing."""
        with self._transaction():
            self._base.execute(
                "DELETE FROM files WHERE database = ? AND job = ? AND attempt != ? AND owner = ?",
                (self._id, self._job, Attempt.NOTED.value, self._owner),
            )
        self._delivered.clear()
        self._finished.clear()
        self._attempt = Attempt.NOTED

    def dialect_of(self, file: Path) -> str:
        """Return how a file is read of which something is loaded, as it was noted; else ''."""
        with self._transaction():
            row = self._base.execute(SELECT, self._key(file)).fetchone()
        return "" if row is None else str(row[-1])

    def claim(
        self,
        file: Path,
        passes: str = "",
        dialect: str = "",
        *,
        is_anew: bool = False,
        may_grow: bool = False,
    ) -> Entry:
        """Begin or go on with a file; return what was known of it."""
        if name_of(file) in self._announced:
            return Entry(0, 0, is_done=False)
        with self._transaction():
            entry = self._found(file, passes)
        has_grown = entry is not None and entry.has_grown
        if entry is not None and not (is_anew or entry.is_changed or has_grown):
            return entry
        self._claimed[name_of(file)] = self._row(file, passes, dialect, may_grow=may_grow)
        if entry is None:
            return Entry(0, 0, is_done=False)
        if has_grown and not is_anew:
            self._known_before[name_of(file)] = entry
            return entry
        return Entry(0, EVERY_ROW, is_done=False, is_changed=True)

    def announce(self, files: Sequence[Path]) -> None:
        """Note with the next row that leaves that any row of some files may; of new ones alone."""
        self._claimed |= {name_of(file): self._row(file, "", "") for file in files}
        self._announced |= {name_of(file) for file in files}

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave."""
        name = name_of(file)
        if name not in self._announced or name in self._claimed:
            self._write(file, rows)

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored; written down with what comes next."""
        self._delivered[name_of(file)] = rows

    def finish(self, file: Path) -> None:
        """Note that all of a file is stored; written down with what comes next."""
        self._finished.add(name_of(file))

    # ---- inside

    def _looked_up(self, file: Path) -> Entry | None:
        self._settle_ended(file)
        entry = self._found(file)
        if entry is None:
            self._bring_over(file)
            entry = self._found(file)
        if entry is None:
            self._refuse_unsure(file)
        return entry

    def _bring_over(self, file: Path) -> None:
        # What an earlier version of this package noted beside the file.
        folder = file.parent
        if folder not in self._earlier:
            self._earlier[folder] = entries_beside(folder)
        known = self._earlier[folder].get((self._job, file.name))
        if known is None:
            return
        before = DatabaseId(self._database.name, known.hosts, known.servers)
        sameness = self._database.compared(before)
        if sameness is Sameness.UNKNOWN:
            raise _of_unsure_database(file, known.hosts)
        if sameness is Sameness.SAME:
            self._insert(file, known.passes, known.dialect)
            numbers = (known.size, known.mtime_ns, known.delivered, known.started, known.is_done)
            self._base.execute(BRING_OVER, (*numbers, *self._key(file)))

    def _refuse_unsure(self, file: Path) -> None:
        for key, hosts in self._unsure.items():
            values = (key, *self._key(file)[1:])
            if self._base.execute(SELECT, values).fetchone() is not None:
                raise _of_unsure_database(file, hosts)

    def _insert(self, file: Path, passes: str, dialect: str) -> None:
        self._base.execute(INSERT, self._row(file, passes, dialect))

    def _row(
        self, file: Path, passes: str, dialect: str, *, may_grow: bool = False
    ) -> tuple[Any, ...]:
        version = self._versions.get(name_of(file)) or FileVersion(*version_of(file))
        version = version.summed(file) if may_grow else version
        told = (version.size, version.mtime_ns, version.checksum, passes, dialect)
        return (*self._key(file), *told, self._owner)

    def _settle_ended(self, file: Path) -> None:
        # Of processes that were killed, for nobody else has the lock of the file: what they had
        # begun anew may be stored.
        owners = self._base.execute(
            "SELECT owner FROM files WHERE database = ? AND job = ? AND file = ? "
            "AND attempt != ? AND owner != ?",
            (*self._key(file)[:3], Attempt.NOTED.value, self._owner),
        ).fetchall()
        for (owner,) in owners:
            self._take_place(owner)
            self._base.execute(
                "DELETE FROM files WHERE database = ? AND job = ? AND attempt = ? AND owner = ?",
                (self._id, self._job, Attempt.ASKED.value, owner),
            )

    def _take_place(self, owner: str) -> None:
        both = (self._id, self._job)
        self._base.execute(
            "DELETE FROM files WHERE database = ? AND job = ? AND attempt = ? AND file IN (SELECT "
            "file FROM files WHERE database = ? AND job = ? AND attempt = ? AND owner = ?)",
            (*both, Attempt.NOTED.value, *both, Attempt.BEGUN.value, owner),
        )
        self._rename(Attempt.BEGUN, Attempt.NOTED, owner)

    def _rename(self, before: Attempt, after: Attempt, owner: str) -> None:
        self._base.execute(
            "UPDATE files SET attempt = ? "
            "WHERE database = ? AND job = ? AND attempt = ? AND owner = ?",
            (after.value, self._id, self._job, before.value, owner),
        )

    def _found(self, file: Path, passes: str | None = None) -> Entry | None:
        row = self._base.execute(SELECT, self._key(file)).fetchone()
        if row is None:
            return None
        known = Entry(row[4], row[5], bool(row[6]))
        if passes not in (None, row[3]):
            return replace(known, is_changed=True)
        return entry_of(known, FileVersion(*row[:3]), file)

    def _key(self, file: Path) -> tuple[Any, ...]:
        return (self._id, self._job, name_of(file), self._attempt.value)

    def _write(self, file: Path | None, started: int = 0) -> None:
        # All that is not written down yet, and how far a file is; the latter makes the row of it.
        delivered, finished = dict(self._delivered), set(self._finished)
        name = None if file is None else name_of(file)
        claimed = {
            each: row
            for each, row in list(self._claimed.items())
            if name is not None and (each == name or each in self._announced)
        }
        with self._transaction():
            for each in claimed:
                row = claimed[each]
                self._base.execute(INSERT, (*row[:3], self._attempt.value, *row[4:]))
                if each in self._announced:
                    self._update("started = ?", EVERY_ROW, each)
                elif each in self._known_before:
                    self._update("started = ?", self._known_before[each].started, each)
                    self._update("delivered = ?", self._known_before[each].delivered, each)
            for each, rows in delivered.items():
                self._update("delivered = max(delivered, ?)", rows, each)
            for each in finished:
                self._update("started = delivered, is_done = ?", 1, each)
            if name is not None:
                self._update("started = max(started, ?)", started, name)
        for each in claimed:
            del self._claimed[each]
            self._known_before.pop(each, None)
        self._finished -= finished
        for each, rows in delivered.items():
            if self._delivered.get(each) == rows:
                del self._delivered[each]

    def _update(self, change: str, value: int, name: str) -> None:
        self._base.execute(
            f"UPDATE files SET {change} WHERE {KEY}",  # noqa: S608 - three texts
            (value, self._id, self._job, name, self._attempt.value),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # Whoever fills the disk, or holds the file for long, is named as the reader of it is.
        try:
            with self._lock:
                self._keep_file()
                with self._base:
                    yield
        except sqlite3.Error as exc:
            raise unwritable(self._path, exc) from None

    def _keep_file(self) -> None:
        if not is_there(self._path, self._opened):
            bring_back(self._path, self._base)
            self._base.close()
            self._base = connect_to(self._path)
            self._opened = self._path.stat()


def _of_unsure_database(file: Path, hosts: str) -> FileError:
    return FileError(
        f"it was loaded, or in part, by way of {hosts}, and this user may not see whether that is "
        "the same database (the right 'list' is missing); go on with that URL, or load all of it "
        "with --restart if this is another database",
        file=str(file),
    )

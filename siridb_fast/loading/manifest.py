"""What of a load of files was delivered: noted in SQLite, beside the files, so that it can go on.

Of each file two numbers are noted: rows up to ``delivered`` are stored for certain, rows up to
``started`` may be. The second is written down before a row leaves, the first with what is written
down next, so that after any end of the process the rows between them are all that is in doubt. A
file that is read in several ``passes``, each over some of its columns, counts its rows anew in
each of them: row 5 of the second pass over 100 rows is row 105. So they have to be the same when
it goes on.

A load of files anew is noted under a name of its own (`Manifest.restart`), and takes the place of
what was noted before once a point of it is stored. If none was, what was noted before stands; if
nobody can tell, since the process was killed, the load anew is the one that goes on.

Knows nothing of formats, servers or event loops.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from siridb_fast.errors import FileError
from siridb_fast.loading.manifest_file import bring_back, connect_to, is_there, unwritable

__all__ = ["MANIFEST_NAME", "Entry", "Manifest", "job_key"]

MANIFEST_NAME = "siridb-load.sqlite"
VERSION = 4  # of the manifest; as SQLite's user_version
ASKED, BEGUN = " anew, asked for", " anew, begun"  # behind a job: what may take its place
UPGRADED = (2, 3)  # versions that are made the newest, by the columns that they lack
ADDED = {
    "servers": "ALTER TABLE files ADD COLUMN servers TEXT NOT NULL DEFAULT ''",
    "dialect": "ALTER TABLE files ADD COLUMN dialect TEXT NOT NULL DEFAULT ''",
}
SCHEMA = """
CREATE TABLE files (
    job TEXT NOT NULL, file TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, passes TEXT NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0, started INTEGER NOT NULL DEFAULT 0,
    is_done INTEGER NOT NULL DEFAULT 0, hosts TEXT NOT NULL, owner TEXT,
    servers TEXT NOT NULL DEFAULT '', dialect TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, file))
"""


def job_key(dbname: str, **columns: object) -> str:
    """Return what distinguishes loads of one file: the database, and the columns' roles."""
    return json.dumps({"dbname": dbname, **columns}, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one file."""

    delivered: int
    started: int
    is_done: bool


class Manifest:
    """The files of one folder, in one load.

    Args:
        path: Of the SQLite file.
        job: What `job_key` gives.
        hosts: Of the database. By other hosts, it is not known to be the same one.
        servers: The uuids of its servers, if they are known. With none that it had before, it is
            another one, or was made anew.

    Raises:
        FileError: It cannot be written, or is none.
    """

    def __init__(self, path: Path, job: str, hosts: str = "", servers: Sequence[str] = ()) -> None:
        self._path = path
        self._job = job
        self._noted_as = job  # or with ASKED or BEGUN
        self._hosts = hosts
        self._servers = frozenset(servers)
        try:
            self._delivered: dict[str, int] = {}  # by file: what is not written down yet
            self._written: dict[str, int] = {}  # of that, in the transaction under way
            self._lock = threading.Lock()  # one thread reads, another one hears of deliveries
            self._base = connect_to(path)
            try:
                self._prepare()
                self._opened = path.stat()
            except (sqlite3.Error, OSError):
                self._base.close()
                raise
        except (sqlite3.Error, OSError) as exc:
            raise unwritable(path, exc) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Of the SQLite file."""
        return self._path

    def close(self) -> None:
        """Give up the files, and close."""
        try:
            with self._transaction():
                self._write_delivered()
                own = (_owner(os.getpid()),)
                self._base.execute("UPDATE files SET owner = NULL WHERE owner = ?", own)
        finally:
            self._base.close()

    def look_up(self, file: Path) -> Entry | None:
        """Return what is known of a file; None if nothing of it was ever loaded so.

        Raises:
            FileError: The file has changed since.
        """
        with self._transaction():
            self._settle_ended()
            return self._found(file)

    def restart(self, files: Sequence[Path]) -> None:
        """Ask for files to be loaded anew, together; what is known of them stays for now.

        Raises:
            FileError: Another process is at one of them.
        """
        with self._transaction():
            self._base.execute("BEGIN IMMEDIATE")
            self._settle_ended()
            self._noted_as = self._job + ASKED
            for file in files:
                self._refuse_owned(file)
                self._insert(file, "")
                self._own(file)

    def begin_restart(self) -> None:
        """Note that the first point is about to leave of what is loaded anew."""
        with self._transaction():
            self._rename(self._job + ASKED, self._job + BEGUN, _owner(os.getpid()))
        self._noted_as = self._job + BEGUN

    def keep_restart(self) -> None:
        """Let what is loaded anew, which has stored points, take the place of what was known."""
        with self._transaction():
            self._take_place(_owner(os.getpid()))
        self._noted_as = self._job

    def withdraw_restart(self) -> None:
        """Forget what was to be loaded anew: it has stored nothing."""
        with self._transaction():
            for state in (ASKED, BEGUN):
                self._base.execute(
                    "DELETE FROM files WHERE job = ? AND owner = ?",
                    (self._job + state, _owner(os.getpid())),
                )
        self._delivered.clear()
        self._noted_as = self._job

    def dialect_of(self, file: Path) -> str:
        """Return how a file is read of which something is loaded, as it was noted; else ''."""
        with self._transaction():
            row = self._base.execute(
                "SELECT dialect FROM files WHERE job = ? AND file = ? AND (started OR is_done)",
                (self._noted_as, file.name),
            ).fetchone()
        return "" if row is None else str(row[0])

    def claim(self, file: Path, passes: str = "", dialect: str = "") -> Entry:
        """Begin or go on with a file, for this process alone.

        Args:
            file: In the folder of the manifest.
            passes: Tells how its rows are counted.
            dialect: How it is read, so that it is read so again.

        Raises:
            FileError: Another process is at it; or it was loaded in part in other passes.
        """
        with self._transaction():
            self._base.execute("BEGIN IMMEDIATE")
            self._refuse_owned(file)
            if self._found(file) is None:
                key = (self._noted_as, file.name)
                self._base.execute("DELETE FROM files WHERE job = ? AND file = ?", key)
            self._insert(file, passes, dialect)
            self._check_passes(file, passes)
            self._own(file)
            return self._found(file) or Entry(0, 0, is_done=False)

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave."""
        self._set("started = max(started, ?)", rows, file)

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored; written down with what comes next."""
        self._delivered[file.name] = rows

    def finish(self, file: Path) -> None:
        """Note that all of a file is stored."""
        self._set("is_done = ?", 1, file)

    def _prepare(self) -> None:
        with self._base:
            self._base.execute("BEGIN IMMEDIATE")
            if self._value("SELECT count(*) FROM sqlite_master") == 0:
                self._base.execute(SCHEMA)
                self._base.execute(f"PRAGMA user_version = {VERSION}")
            if (old := self._value("PRAGMA user_version")) in UPGRADED:
                for change in [*ADDED.values()][UPGRADED.index(old) :]:
                    self._base.execute(change)
                self._base.execute(f"PRAGMA user_version = {VERSION}")
        version = self._value("PRAGMA user_version")
        if version != VERSION:
            if not version:
                raise FileError("it is a database of another program", file=str(self._path))
            age = "an older" if isinstance(version, int) and version < VERSION else "a newer"
            raise FileError(
                f"the manifest is of version {version}, expected {VERSION}: it was written by "
                f"{age} siridb-fast, and only that one can go on with the load; "
                "if it is deleted, all is loaded from the start",
                file=str(self._path),
            )

    def _refuse_owned(self, file: Path) -> None:
        owners = self._base.execute(
            "SELECT owner FROM files WHERE job IN (?, ?, ?) AND file = ? AND owner NOT NULL",
            (self._job, self._job + ASKED, self._job + BEGUN, file.name),
        ).fetchall()
        for (owner,) in owners:
            if _is_other(owner):
                pid = owner.partition(" ")[0]
                raise FileError(f"process {pid} is loading it", file=str(file))

    def _insert(self, file: Path, passes: str, dialect: str = "") -> None:
        status = file.stat()
        self._base.execute(
            "INSERT OR IGNORE INTO files (job, file, size, mtime_ns, hosts, passes, dialect) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(self._noted_as, file.name, status.st_size, status.st_mtime_ns),
                *(self._hosts, passes, dialect),
            ),
        )

    def _own(self, file: Path) -> None:
        key = (self._noted_as, file.name)
        self._base.execute(
            "UPDATE files SET owner = ? WHERE job = ? AND file = ?", (_owner(os.getpid()), *key)
        )
        if self._servers:
            self._base.execute(
                "UPDATE files SET servers = ? WHERE job = ? AND file = ?",
                (" ".join(sorted(self._servers)), *key),
            )

    def _settle_ended(self) -> None:
        # Of processes that were killed: what they had begun anew may be stored.
        owners = self._base.execute(
            "SELECT DISTINCT owner FROM files WHERE job IN (?, ?)",
            (self._job + ASKED, self._job + BEGUN),
        ).fetchall()
        for (owner,) in owners:
            if owner is None or not _lives(owner):
                self._take_place(owner)
                self._base.execute(
                    "DELETE FROM files WHERE job = ? AND owner IS ?", (self._job + ASKED, owner)
                )

    def _take_place(self, owner: str | None) -> None:
        self._base.execute(
            "DELETE FROM files WHERE job = ? AND file IN "
            "(SELECT file FROM files WHERE job = ? AND owner IS ?)",
            (self._job, self._job + BEGUN, owner),
        )
        self._rename(self._job + BEGUN, self._job, owner)

    def _rename(self, before: str, after: str, owner: str | None) -> None:
        self._base.execute(
            "UPDATE files SET job = ? WHERE job = ? AND owner IS ?", (after, before, owner)
        )

    def _check_passes(self, file: Path, passes: str) -> None:
        found = self._value(
            "SELECT passes FROM files WHERE job = ? AND file = ?", (self._noted_as, file.name)
        )
        if found != passes:
            raise FileError(
                "it was loaded in part by another version of siridb-fast, in other passes over "
                f"its columns ({found}, now {passes}); that version can go on, --restart loads "
                "all of it",
                file=str(file),
            )

    def _value(self, query: str, values: tuple[str, ...] = ()) -> object:
        return self._base.execute(query, values).fetchone()[0]

    def _found(self, file: Path) -> Entry | None:
        row = self._base.execute(
            "SELECT size, mtime_ns, delivered, started, is_done, hosts, servers FROM files "
            "WHERE job = ? AND file = ?",
            (self._noted_as, file.name),
        ).fetchone()
        if row is None or not (row[3] or row[4]):
            return None
        status = file.stat()
        if (row[0], row[1]) != (status.st_size, status.st_mtime_ns):
            raise FileError(
                "it was changed since it was loaded, or in part; --restart loads all of it",
                file=str(file),
            )
        if row[5] != self._hosts:
            raise FileError(
                f"it was loaded, or in part, by way of {row[5]}; go on with that URL, or load all "
                "of it with --restart if this is another database",
                file=str(file),
            )
        if row[6] and self._servers and self._servers.isdisjoint(row[6].split()):
            raise FileError(
                "it was loaded, or in part, into another database of this name, or before that "
                "was made anew; --restart loads all of it",
                file=str(file),
            )
        return Entry(row[2], row[3], bool(row[4]))

    def _set(self, change: str, value: int, file: Path) -> None:
        with self._transaction():
            self._write_delivered()
            self._update(change, value, file.name)

    def _write_delivered(self) -> None:
        self._written = dict(self._delivered)
        for name, rows in self._written.items():
            self._update("delivered = max(delivered, ?)", rows, name)

    def _update(self, change: str, value: int, name: str) -> None:
        self._base.execute(
            f"UPDATE files SET {change} WHERE job = ? AND file = ?",  # noqa: S608 - three texts
            (value, self._noted_as, name),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # Whoever fills the disk, or holds the file for long, is named as the reader of it is.
        try:
            with self._lock:
                self._written = {}
                self._keep_file()
                with self._base:
                    yield
                for name, rows in self._written.items():
                    if self._delivered.get(name) == rows:
                        del self._delivered[name]
        except sqlite3.Error as exc:
            raise unwritable(self._path, exc) from None

    def _keep_file(self) -> None:
        if not is_there(self._path, self._opened):
            bring_back(self._path, self._base)
            self._base.close()
            self._base = connect_to(self._path)
            self._opened = self._path.stat()


def _owner(pid: int) -> str:
    # A process, and when it began, where that can be known: pids are used again.
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return str(pid)
    return f"{pid} {fields[19]}"


def _is_other(owner: str) -> bool:
    # a process that lives, and is not this one
    return int(owner.partition(" ")[0]) != os.getpid() and _lives(owner)


def _lives(owner: str) -> bool:
    pid = int(owner.partition(" ")[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _owner(pid) == owner

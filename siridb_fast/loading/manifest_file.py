"""The file of a manifest: its tables, and whether it still has its name while a load has it open.

Whoever deletes it would have the next load begin anew. Knows SQLite; nothing of what is noted.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from enum import Enum
from pathlib import Path

from siridb_fast.errors import FileError
from siridb_fast.loading.state_folder import state_folder

__all__ = [
    "Attempt",
    "bring_back",
    "connect_to",
    "default_path",
    "is_there",
    "prepare",
    "unwritable",
]

FILE_NAME = "loads.sqlite"
BUSY_TIMEOUT = 30.0  # seconds, for another load that writes at the same moment
VERSION = 6  # as SQLite's user_version
WITHOUT_CHECKSUM = 5  # of that version; those before it lay beside the files (earlier_manifest)
SCHEMA = """
CREATE TABLE databases (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, hosts TEXT NOT NULL, servers TEXT NOT NULL);
CREATE TABLE files (
    database INTEGER NOT NULL REFERENCES databases, job TEXT NOT NULL, file TEXT NOT NULL,
    attempt TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, passes TEXT NOT NULL,
    dialect TEXT NOT NULL, owner TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
    started INTEGER NOT NULL DEFAULT 0, is_done INTEGER NOT NULL DEFAULT 0, checksum INTEGER,
    PRIMARY KEY (database, job, file, attempt))
"""


class Attempt(Enum):
    """Of what a row of ``files`` is: the load that goes on, or one anew, which may replace it."""

    NOTED = ""
    ASKED = "asked for"
    BEGUN = "begun"


def default_path() -> Path:
    """Return the file of this user, which has all loads."""
    return state_folder() / FILE_NAME


def connect_to(path: Path) -> sqlite3.Connection:
    """Open it, or make it; what is committed survives the end of the machine.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    base = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False)
    try:
        base.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        base.close()
        raise
    return base


def prepare(base: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new file, or bring earlier ones up to date; in a transaction.

    Raises:
        FileError: It has others.
        sqlite3.Error: It cannot be written.
    """
    if base.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
        for statement in SCHEMA.split(";"):
            base.execute(statement)
        base.execute(f"PRAGMA user_version = {VERSION}")
    if _version_of(base) == WITHOUT_CHECKSUM:
        base.execute("ALTER TABLE files ADD COLUMN checksum INTEGER")
        base.execute(f"PRAGMA user_version = {VERSION}")
    version = _version_of(base)
    if version == VERSION:
        return
    if not version:
        raise FileError("it is a database of another program", file=str(path))
    if version < VERSION:
        text = (
            f"it is a manifest of version {version}, which is read where it lies, beside its "
            "files; name another file for what is noted now"
        )
    else:
        text = (
            f"it is a manifest of version {version}, expected {VERSION}: it was written by a "
            "newer siridb-fast, and only that one can go on with its loads"
        )
    raise FileError(text, file=str(path))


def _version_of(base: sqlite3.Connection) -> int:
    (version,) = base.execute("PRAGMA user_version").fetchone()
    return int(version)


def is_there(path: Path, opened: os.stat_result) -> bool:
    """Tell whether a file that was opened has its name, or nothing has.

    Raises:
        FileError: Another file has its name.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise unwritable(path, exc) from None
    if not os.path.samestat(found, opened):
        raise FileError("another file has taken the place of the manifest", file=str(path))
    return True


def bring_back(path: Path, base: sqlite3.Connection) -> None:
    """Write a file anew that was deleted while it was open; all of it can still be read.

    Raises:
        FileError: It cannot be written.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with closing(sqlite3.connect(draft)) as copy:
            base.backup(copy)
        os.link(draft, path)
        draft.unlink()
    except OSError as exc:
        raise unwritable(path, exc) from None


def unwritable(path: Path, exc: sqlite3.Error | OSError) -> FileError:
    """Return what tells the caller that the manifest cannot be written, and why."""
    reason = exc.strerror if isinstance(exc, OSError) else exc
    text = f"the manifest cannot be written: {reason}; --manifest names another file"
    return FileError(text, file=str(path))

"""The file of a spool: its tables, its settings, its checksums, and whether it is sound.

Knows SQLite and the shape of the tables; nothing of locks, limits and what packages are for.
Rules: a row is believed only if its checksum is right. What was sent is noted in a table of its
own, because changing a row writes all of it anew, payload and all.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from siridb_fast.errors import SpoolError, SpoolFullError
from siridb_fast.spool.log_replay import PAGE_SIZE

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = [
    "APPLICATION_ID",
    "LONGEST_PAYLOAD",
    "PACKAGES_ROOT",
    "PRIVATE",
    "SETTINGS_ROOT",
    "VERSION",
    "VERSIONS",
    "DamagedSpoolError",
    "NewPackage",
    "Precision",
    "Settings",
    "Spooled",
    "Sync",
    "checksum",
    "connect",
    "create",
    "insert",
    "is_damage",
    "is_full",
    "keep_private",
    "log_path",
    "note_sent",
    "package_of",
    "read_packages",
    "read_settings",
    "set_up",
    "settings_of",
    "side_files",
    "size_of",
    "unusable",
    "upgrade",
    "write_settings",
]

Precision = str | int
Sync = Literal["normal", "full"]

PRIVATE = 0o600
VERSION = 2
VERSIONS = 1, VERSION  # that are read; whoever opens one to write makes it the newest
APPLICATION_ID = 0x53695370  # "SiSp"
LOG_BYTES = 16 * 1024 * 1024  # of the write-ahead log, before it goes into the file
LOG_FILE_BYTES = 4 * LOG_BYTES  # that stay allocated for the log
BUSY_TIMEOUT = 5.0  # seconds, for whoever reads the file at the same moment
LONGEST_PAYLOAD = 256 * 1024 * 1024
SIDES = ("-wal", "-shm")
PACKAGES_ROOT, SETTINGS_ROOT = 3, 4  # pages; SQLite gives them in the order of SCHEMA
SCHEMA = """
CREATE TABLE packages (
    id INTEGER PRIMARY KEY, points INTEGER NOT NULL, written_at REAL NOT NULL,
    size INTEGER NOT NULL, checksum INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE settings (
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL, dbname TEXT, time_precision,
    opened_in TEXT, sync TEXT NOT NULL, checksum INTEGER NOT NULL, servers TEXT);
CREATE TABLE sent (id INTEGER PRIMARY KEY, server TEXT);
"""
SELECT = """
SELECT p.id, points, written_at, size, checksum, payload, s.id IS NOT NULL, {server}
FROM packages AS p LEFT JOIN sent AS s ON s.id = p.id WHERE p.id > ? AND p.id <= ? ORDER BY p.id
"""
DAMAGE = {
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_MISMATCH,
}  # fmt: skip
UNREADABLE = {
    sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS,
}  # fmt: skip

FULL = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}  # fmt: skip


class DamagedSpoolError(SpoolError):
    """The file is not what was written to it."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """One package on disk.

    ``payload`` is the sealed package, ``written_at`` is wall clock, in seconds. ``is_sent``: it
    may have been sent, so that after a restart it is in doubt; ``server`` is the uuid of the one
    that it was sent to, None if nobody knows.
    """

    id: int
    payload: bytes
    points: int
    written_at: float
    is_sent: bool
    server: str | None = None


@dataclass(frozen=True, slots=True)
class NewPackage:
    """A package that is to be on disk; as `Spooled`."""

    payload: PayloadBytes
    points: int
    is_sent: bool = False
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a spool is for; ``opened_in`` is the machine's boot, None after an orderly end.

    ``servers`` are the uuids of the servers of the database, with blanks between: if it has none
    of them any more, it is another one of that name.
    """

    dbname: str | None = None
    time_precision: Precision | None = None
    opened_in: str | None = None
    sync: Sync = "normal"
    servers: str | None = None

    def completed_by(self, other: Settings) -> Settings:
        """Return these, with what others say of the database where these say nothing."""
        return replace(
            self,
            servers=other.servers if self.servers is None else self.servers,
            dbname=other.dbname if self.dbname is None else self.dbname,
            time_precision=(
                other.time_precision if self.time_precision is None else self.time_precision
            ),
        )


def log_path(path: Path) -> Path:
    """Return the path of the write-ahead log of a spool."""
    return side_files(path)[0]


def side_files(path: Path) -> tuple[Path, Path]:
    """Return the paths of the files beside a spool: the write-ahead log and the shared memory."""
    log, memory = (path.with_name(path.name + side) for side in SIDES)
    return log, memory


def create(path: Path) -> None:
    """Make an empty file that nobody else can read, whatever the umask is."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
    path.chmod(PRIVATE)


def keep_private(path: Path) -> None:
    """Let nobody else read what is there already; SQLite gives new files beside it the same."""
    for name in (path, *side_files(path)):
        if name.exists():
            name.chmod(PRIVATE)


def connect(
    path: Path, *, is_writer: bool, sync: Sync = "normal", is_immutable: bool = False
) -> sqlite3.Connection:
    """Open the file, for one thread at a time; a reader changes nothing.

    If it ``is_immutable``, nobody writes and there is no log, and none is made.

    Raises:
        sqlite3.Error: It cannot be opened, or is none.
    """
    mode = "rw" if is_writer else "ro&immutable=1" if is_immutable else "ro"
    base = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_PAYLOAD + 1024)
        if is_writer:
            if path.stat().st_size == 0:  # the second writes, even if nothing changes
                base.execute(f"PRAGMA page_size = {PAGE_SIZE}")
                base.execute("PRAGMA auto_vacuum = INCREMENTAL")
            base.execute("PRAGMA journal_mode = WAL").fetchall()
            base.execute(f"PRAGMA synchronous = {sync}")
            base.execute("PRAGMA secure_delete = OFF").fetchall()
            # A transaction that spills rewrites its own frames in the log: killed in the middle of
            # that, it would seem a damaged one that had been committed.
            base.execute("PRAGMA cache_spill = OFF").fetchall()
            base.execute(f"PRAGMA wal_autocheckpoint = {LOG_BYTES // PAGE_SIZE}").fetchall()
            base.execute(f"PRAGMA journal_size_limit = {LOG_FILE_BYTES}").fetchall()
    except sqlite3.Error:
        base.close()
        raise
    return base


def set_up(base: sqlite3.Connection, settings: Settings) -> None:
    """Make the tables in an empty file."""
    base.executescript(f"BEGIN IMMEDIATE; {SCHEMA}")
    base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    base.execute(f"PRAGMA user_version = {VERSION << 16 | VERSION}")
    write_settings(base, settings)
    base.execute("COMMIT")


def upgrade(base: sqlite3.Connection) -> None:
    """Make a file of an older version one of the newest, in the transaction that is under way."""
    if _user_version(base) < VERSION:
        base.execute("ALTER TABLE settings ADD COLUMN servers TEXT")
        base.execute("ALTER TABLE sent ADD COLUMN server TEXT")
        base.execute(f"PRAGMA user_version = {VERSION << 16 | VERSION}")


def write_settings(base: sqlite3.Connection, settings: Settings) -> None:
    """Store the settings."""
    values = (VERSION, *astuple(settings))
    row = (*values[:-1], _sum(values), values[-1])  # in the order of SCHEMA
    base.execute("REPLACE INTO settings VALUES (1, ?, ?, ?, ?, ?, ?, ?)", row)


def read_settings(base: sqlite3.Connection) -> Settings:
    """Return the settings.

    Raises:
        DamagedSpoolError: There are none.
    """
    servers = "" if _user_version(base) == 1 else ", servers"
    row = base.execute(
        "SELECT version, dbname, time_precision, opened_in, sync, checksum"  # noqa: S608 - two
        f"{servers} FROM settings WHERE id = 1"
    ).fetchone()
    return settings_of(row or ())


def settings_of(values: tuple[object, ...]) -> Settings:
    """Return what a row holds: version, dbname, precision, opened_in, sync, checksum, servers.

    The last one is not in version 1.

    Raises:
        DamagedSpoolError: It is not what was written.
    """
    if len(values) not in (6, 7) or values[5] != _sum((*values[:5], *values[6:])):
        raise DamagedSpoolError("its settings are damaged")
    _, dbname, precision, opened_in, sync, _, *rest = values
    servers = rest[0] if rest else None
    return Settings(dbname, precision, opened_in, sync, servers)  # type: ignore[arg-type]  # the sum is right


def insert(base: sqlite3.Connection, number: int, package: NewPackage, written_at: float) -> None:
    """Put a package into the file, in the transaction that is under way."""
    payload, points = package.payload, package.points
    total = checksum(number, points, written_at, payload)
    base.execute(
        "INSERT INTO packages VALUES (?, ?, ?, ?, ?, ?)",
        (number, points, written_at, size_of(payload), total, payload),
    )
    if package.is_sent:
        note_sent(base, number, package.server)


def note_sent(base: sqlite3.Connection, number: int, server: str | None) -> None:
    """Note whom a package is sent to, if it is there, in the transaction that is under way."""
    base.execute(
        "REPLACE INTO sent SELECT id, ? FROM packages WHERE id = ?",
        (server, number),
    )


def read_packages(base: sqlite3.Connection, after: int, limit_bytes: int) -> list[Spooled]:
    """Return the packages behind an id, one at least if there is any, the others up to a size.

    Raises:
        DamagedSpoolError: One of them is not what was written.
    """
    size = 0
    last = after
    sizes = base.execute("SELECT id, size FROM packages WHERE id > ? ORDER BY id", (after,))
    for number, length in sizes:
        size += _number(length)
        if size > limit_bytes and last > after:
            break
        last = number
    sizes.close()
    select = SELECT.format(server="NULL" if _user_version(base) == 1 else "s.server")
    return [package_of(row) for row in base.execute(select, (after, last))]


def package_of(row: tuple[object, ...]) -> Spooled:
    """Return what a row holds.

    Args:
        row: Id, points, written_at, size, checksum, payload, is it sent, to which server.

    Raises:
        DamagedSpoolError: It is not what was written.
    """
    number, points, written_at, size, found, payload, is_sent, server = row
    if not (
        isinstance(number, int)
        and isinstance(points, int)
        and isinstance(written_at, (int, float))
        and isinstance(payload, bytes)
        and isinstance(server, (str, NoneType))
        and size == len(payload)
        and found == checksum(number, points, float(written_at), payload)
    ):
        raise DamagedSpoolError(f"package {number} is damaged")
    return Spooled(number, payload, points, float(written_at), bool(is_sent), server)


def checksum(number: int, points: int, written_at: float, payload: PayloadBytes) -> int:
    """Return what shows whether a row is what was written."""
    return zlib.crc32(payload, zlib.crc32(struct.pack("<qqd", number, points, written_at)))


def size_of(payload: PayloadBytes) -> int:
    """Return the bytes of a payload."""
    return memoryview(payload).nbytes


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged, rather than not to be used now."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF in DAMAGE or code in UNREADABLE


def is_full(error: Exception) -> bool:
    """Return whether an error says that the disk has no room."""
    return getattr(error, "sqlite_errorcode", None) in FULL


def unusable(path: Path, error: sqlite3.Error) -> SpoolError:
    """Return what tells the caller of an error that is none of the file."""
    if is_full(error):
        return SpoolFullError(f"{path}: the disk has no room: {error}")
    return SpoolError(f"{path}: {error}")


def _sum(values: tuple[object, ...]) -> int:
    return zlib.crc32(repr(values).encode())


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise DamagedSpoolError("a package's size is damaged")
    return value


def _user_version(base: sqlite3.Connection) -> int:
    (version,) = base.execute("PRAGMA user_version").fetchone()
    return int(version) & 0xFFFF

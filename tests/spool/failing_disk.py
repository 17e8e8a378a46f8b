"""A disk that fails from some statement of SQLite on, until it is mended."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

__all__ = ["ERRORS", "FailingDisk", "on_disk"]

ERRORS = {
    "full": sqlite3.SQLITE_FULL,
    "full, by the system": sqlite3.SQLITE_IOERR_WRITE,
    "read-only": sqlite3.SQLITE_READONLY,
    "locked": sqlite3.SQLITE_BUSY,
    "gone": sqlite3.SQLITE_CANTOPEN,
    "unreadable": sqlite3.SQLITE_IOERR_READ,
}


class FailingDisk:
    """Counts statements; those from number `fails_from` on raise an error of this code."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.statements = 0
        self.fails_from: int | None = None
        self.failures = 0

    def fail_after(self, statements: int) -> None:
        """Fail from now on, after so many statements more."""
        self.fails_from, self.failures = self.statements + statements, 0

    def mend(self) -> None:
        """Fail no more."""
        self.fails_from = None

    def count(self, statement: str) -> None:
        """Count a statement, or raise an error in its place."""
        if statement == "ROLLBACK":  # needs no disk
            return
        self.statements += 1
        if self.fails_from is not None and self.statements > self.fails_from:
            self.failures += 1
            error = sqlite3.OperationalError(f"made to fail at {statement.strip()[:40]}")
            error.sqlite_errorcode = self.code
            raise error


class Connection(sqlite3.Connection):
    """A connection of SQLite to a disk that may fail."""

    disk: FailingDisk

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        self.disk.count(sql)
        return super().execute(sql, *args)

    def executescript(self, sql: str) -> sqlite3.Cursor:
        self.disk.count(sql)
        return super().executescript(sql)

    def __exit__(self, *exc_info: Any) -> bool:  # type: ignore[override]  # or None, like any
        if exc_info[0] is None:
            try:
                self.disk.count("COMMIT")
            except sqlite3.Error:
                self.rollback()
                raise
        return super().__exit__(*exc_info)


@contextmanager
def on_disk(code: int) -> Iterator[FailingDisk]:
    """Let all connections that are made from now on be to one disk."""
    disk = FailingDisk(code)
    kind = type("ConnectionToDisk", (Connection,), {"disk": disk})
    with mock.patch("sqlite3.connect", partial(sqlite3.connect, factory=kind)):
        yield disk

"""The errors of siridb_fast, in one tree.

A fault belongs to one of four parties: the caller, the server (it said no), the connection,
or the peer's protocol. Every class is also the built-in error that the reference driver's README
promises under its name, so ``except OverflowError`` and ``except IndexError`` go on working.

Classes with ↻ are ``retriable``: the same request may succeed, at another server after a
`ServerError`, later after the others. `siridb_fast.delivery.verdicts` reads from that what an
error means for a package on its way, and knows which errors leave it in doubt.

::

    SiriDBError
    ├── the caller
    │   ├── BufferFullError ↻                        a writer has no room for more points
    │   ├── ColumnError (ValueError)                 points that cannot be sent as they are
    │   ├── ConfigError (ValueError)                 a URL or an option that makes no sense
    │   ├── ConflictError                            another value is stored at the same time
    │   ├── FileError (ValueError)                   a file that cannot be read as it is
    │   ├── ForkedError (RuntimeError)               a client or writer of a parent process
    │   ├── PackageTooLargeError (ValueError)        one package over the server's limit
    │   ├── PackingOverflowError (OverflowError)     an integer outside 64 bits
    │   ├── SpoolError (OSError)                     a spool that cannot be used
    │   │   ├── SpoolFullError ↻                     no room for more packages on disk
    │   │   └── SpoolLockedError                     another writer has the spool
    │   ├── TableError (ValueError)                  an answer that fits no frame or table
    │   ├── UnpackError (ValueError)                 bytes that are not qpack
    │   └── WriterClosedError                        a writer that is closed, or not open yet
    ├── the server said no
    │   ├── DatabaseChangedError                     not what points were converted for any more
    │   ├── PointsChangedError                       stored, but as values of another type
    │   ├── DeliveryError                            a writer closed with points not delivered
    │   ├── InsertError                              66: the package is refused
    │   ├── QueryError                               65: the query is refused
    │   │   └── SelectLimitError                     65: more points than are selected at once
    │   ├── ServerError ↻                            67: this server cannot, another may
    │   ├── PoolError ↻                              68: a pool has no server; later
    │   ├── AuthenticationError                      71, 72
    │   │   ├── UserAuthError                        69: the user has no right to do this
    │   │   └── UnknownDatabaseError (IndexError)    73
    │   └── ServerMessageError (RuntimeError)        64, 70, 75
    ├── the connection
    │   ├── ConnectionLost ↻ (ConnectionError)
    │   └── RequestTimeout (TimeoutError)
    └── the peer's protocol
        ├── ProtocolError                            the byte stream makes no sense
        └── UnknownPackageError (TypeError)          a package type that nobody knows

This module knows nothing of sockets or qpack, and imports nothing of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from siridb_fast.errors.undelivered import DeliveryReport

__all__ = [
    "AuthenticationError",
    "BufferFullError",
    "ColumnError",
    "ConfigError",
    "ConflictError",
    "ConnectionLost",
    "DatabaseChangedError",
    "DeliveryError",
    "FileError",
    "ForkedError",
    "InsertError",
    "PackageTooLargeError",
    "PackingOverflowError",
    "PointsChangedError",
    "PoolError",
    "ProtocolError",
    "QueryError",
    "RequestTimeout",
    "SelectLimitError",
    "ServerError",
    "ServerMessageError",
    "SiriDBError",
    "SpoolError",
    "SpoolFullError",
    "SpoolLockedError",
    "TableError",
    "UnknownDatabaseError",
    "UnknownPackageError",
    "UnpackError",
    "UserAuthError",
    "WriterClosedError",
]


class SiriDBError(Exception):
    """Base of every error that this package raises on purpose.

    ``retriable`` tells whether the same request may succeed later or at another server; it is the
    same for all errors of a class.
    ``points_inserted`` counts the points of the same insert that the server had acknowledged
    before, in packages of their own: 0 unless the arrays were so long that they were cut.
    """

    retriable: ClassVar[bool] = False
    points_inserted = 0


class ColumnError(SiriDBError, ValueError):
    """Refuse an array before a byte is sent; name the series and the index, where there is one."""

    def __init__(self, text: str, *, series: str | None = None, index: int | None = None) -> None:
        where = "" if series is None else f"series {_shorten(series)}"
        if index is not None:
            where += f"{', ' if where else ''}index {index}"
        super().__init__(f"{where}: {text}" if where else text)
        self.text = text
        self.series = series
        self.index = index

    def __reduce__(self) -> tuple[object, ...]:
        return (_column_error, (self.text, self.series, self.index))


class BufferFullError(SiriDBError):
    """Refuse points for which a writer has no room; nothing of the call was taken.

    In a coroutine, ``await writer.drain()`` before the next call.
    """

    retriable = True


class WriterClosedError(SiriDBError):
    """Refuse points for a writer that is closed, or not open yet."""


class ForkedError(SiriDBError, RuntimeError):
    """A client or writer of the parent process was used in a child of a fork."""


class ConfigError(SiriDBError, ValueError):
    """Refuse a URL or an option that makes no sense."""


class ConflictError(SiriDBError):
    """Refuse points at whose time the database has another value (``on_conflict="refuse"``).

    ``timestamps``, ``values`` and ``stored`` have an item for each point, in the order of the
    `Failure` that has them. The text of the error is that of the first.
    """

    def __init__(
        self,
        series: str,
        timestamps: Sequence[int],
        values: Sequence[object],
        stored: Sequence[object],
    ) -> None:
        self.series = series
        self.timestamps = timestamps
        self.values = values
        self.stored = stored
        super().__init__(conflict_text(series, timestamps[0], values[0], stored[0]))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.series, self.timestamps, self.values, self.stored))


class FileError(SiriDBError, ValueError):
    """Refuse a file; name it, and the line (the first is 1) and the column, where there is one."""

    def __init__(
        self, text: str, *, file: str, line: int | None = None, column: str | None = None
    ) -> None:
        where = file if line is None else f"{file}:{line}"
        if column is not None:
            where += f": column {_shorten(column)}"
        super().__init__(f"{where}: {text}")
        self.text = text
        self.file = file
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[object, ...]:
        return (_file_error, (self.text, self.file, self.line, self.column))


class PackageTooLargeError(SiriDBError, ValueError):
    """Refuse a package over the server's limit, for which it would close the connection."""


class PackingOverflowError(SiriDBError, OverflowError):
    """Refuse an integer that does not fit in 64 bits, signed."""


class SpoolError(SiriDBError, OSError):
    """Report a spool that cannot be opened, read or written; the text names its file."""


class SpoolFullError(SpoolError):
    """Refuse packages for which a spool or its disk has no room; nothing of the call was taken."""

    retriable = True


class SpoolLockedError(SpoolError):
    """Refuse a spool that another writer has open; ``pid`` is its process, None if not known."""

    def __init__(self, path: str, pid: int | None = None) -> None:
        owner = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path}: {owner} writes to this spool, and only one can at a time")
        self.path = path
        self.pid = pid

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.path, self.pid))


class UnpackError(SiriDBError, ValueError):
    """Refuse bytes that are not qpack, or not the qpack that was expected.

    ``offset`` is the byte where it went wrong.
    """

    def __init__(self, text: str, offset: int | None = None) -> None:
        super().__init__(text if offset is None else f"{text} (at byte {offset})")
        self.text = text
        self.offset = offset

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.text, self.offset))


class TableError(SiriDBError, ValueError):
    """Refuse to put an answer into a frame or table that would change its values."""


class InsertError(SiriDBError):
    """Report that the server refused an insert."""


class PointsChangedError(SiriDBError):
    """Report that the server has stored points of a new series as values of another type.

    Another client had made the series at the same moment. ``sent`` and ``stored`` are the types.
    """

    def __init__(self, text: str, *, series: str, sent: str, stored: str) -> None:
        super().__init__(f"series {_shorten(series)}: {text}")
        self.text = text
        self.series = series
        self.sent = sent
        self.stored = stored

    def __reduce__(self) -> tuple[object, ...]:
        return (_points_changed_error, (self.text, self.series, self.sent, self.stored))


class DatabaseChangedError(SiriDBError):
    """Refuse points for a database that is not what it was when they were converted for it."""


class DeliveryError(SiriDBError):
    """Report that a writer was left with points that were not delivered.

    ``report`` is the writer's last `Report`: what was delivered, what was refused and why, what is
    in doubt.
    """

    def __init__(self, text: str, report: DeliveryReport) -> None:
        super().__init__(text)
        self.report = report

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (str(self), self.report), self.__dict__)


class QueryError(SiriDBError):
    """Report that the server refused a query."""


class SelectLimitError(QueryError):
    """Report that a select passed the server's ``select_points_limit`` (one million at first)."""


class ServerError(SiriDBError):
    """Report that this server cannot take the request now; another server may."""

    retriable = True


class PoolError(SiriDBError):
    """Report that a pool has no server to take the request; it may have one later."""

    retriable = True


class AuthenticationError(SiriDBError):
    """Report wrong credentials, or a request on a connection that is not authenticated."""


class UserAuthError(AuthenticationError):
    """Report that the user has no right to do this."""


class UnknownDatabaseError(AuthenticationError, IndexError):
    """Report that the server has no database of this name."""


class ServerMessageError(SiriDBError, RuntimeError):
    """Report a general error message of the server."""


class ConnectionLost(SiriDBError, ConnectionError):
    """Report a connection that broke.

    ``in_doubt`` is true if a request had been sent and not answered: the server may or may not
    have carried it out.
    """

    retriable = True

    def __init__(self, text: str, *, in_doubt: bool = False) -> None:
        super().__init__(text)
        self.in_doubt = in_doubt


class RequestTimeout(SiriDBError, TimeoutError):
    """Report that no answer came in time; the server may still carry the request out."""


class ProtocolError(SiriDBError):
    """Report a byte stream that no SiriDB server sends."""


class UnknownPackageError(SiriDBError, TypeError):
    """Report an answer of a package type that nobody knows."""


def _shorten(series: str, limit: int = 80) -> str:
    shown = repr(series)
    return shown if len(shown) <= limit else f"{shown[:limit]}… ({len(series)} characters)"


def conflict_text(series: str, timestamp: int, value: object, stored: object) -> str:
    """Return what a `ConflictError` says of one point."""
    return (
        f"series {_shorten(series)}: at {timestamp} it has {_shown(stored)}, so {_shown(value)} "
        "is refused (on_conflict='refuse')"
    )


def _shown(value: object) -> str:
    return _shorten(value) if isinstance(value, str) else repr(value)


def _column_error(text: str, series: str | None, index: int | None) -> ColumnError:
    return ColumnError(text, series=series, index=index)


def _file_error(text: str, file: str, line: int | None, column: str | None) -> FileError:
    return FileError(text, file=file, line=line, column=column)


def _points_changed_error(text: str, series: str, sent: str, stored: str) -> PointsChangedError:
    return PointsChangedError(text, series=series, sent=sent, stored=stored)

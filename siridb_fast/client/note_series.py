"""The series in which a manifest keeps its notes: a writer appends to them, a client reads them.

A note has to be there after the server was killed, too, which loses the last point that it has
acknowledged: so the writer is a safe one. Knows nothing of what is noted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from siridb_fast.client.blocking import BlockingClient, BlockingWriter
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.config import Config
from siridb_fast.delivery.report import Report
from siridb_fast.errors import ConfigError, SiriDBError, UserAuthError
from siridb_fast.loading.note_journal import PREFIX
from siridb_fast.query.select import name_batches, quote

__all__ = ["NoteSeries"]

PATIENCE = 120.0  # seconds in which a server comes back, as the delivery_timeout of a writer
PAUSE = 0.2
SENTINEL = f"{PREFIX}.sentinel"

T = TypeVar("T")


class NoteSeries:
    """See `siridb_fast.loading.note_journal.NoteStore`. Calls may come from any thread.

    Args:
        config: Where the database is.
        timeout: For connecting.

    Raises:
        SiriDBError, OSError: No server can be reached, or none lets the user in.
    """

    def __init__(self, config: Config, timeout: float | None = None) -> None:
        self._config = config
        self._client = BlockingClient.from_config(config, timeout=timeout)
        self._writer: BlockingWriter | None = None  # once something is noted
        self._is_closed = threading.Event()
        self._last: dict[str, int] = {}  # by series: the time of its last point

    def read(self, names: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """Return all values of those of some series that exist."""
        found: dict[str, Sequence[int]] = {}
        for some in name_batches(names):
            query = f"select * from {_listed(some)}"  # noqa: S608 - quoted
            arrays = self._patiently(partial(self._client.query_arrays, query, all_points=True))
            found |= {name: values.tolist() for name, (_, values) in arrays.items()}
        return found

    def counts(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return how many points those of some series have that exist."""
        found: dict[str, int] = {}
        for some in name_batches(names):
            query = f"select count() from {_listed(some)}"  # noqa: S608 - quoted
            answer = self._patiently(partial(self._client.query, query))
            found |= {name: points[0][1] if points else 0 for name, points in answer.items()}
        return found

    def append(self, name: str, values: Sequence[int], timeout: float | None) -> None:
        """Append values; they survive the end of this process and of the server's.

        Raises:
            UserAuthError: The user may not.
            SiriDBError: They were not delivered, or not in time.
        """
        writer = self._opened()
        # Their order is that of their times. Of a database in seconds these run ahead.
        start = max(_now(writer), self._last.get(name, 0) + 1)
        self._last[name] = start + len(values) - 1
        with _needing("insert"):
            writer.write_arrays(name, range(start, start + len(values)), values)
            _require_delivered(writer.flush(timeout))

    def close(self) -> None:
        """Let go of the database."""
        self._is_closed.set()
        try:
            if self._writer is not None:
                self._writer.close(0)
        finally:
            self._client.close()

    def _patiently(self, ask: Callable[[], T]) -> T:
        # A server that is started anew is waited for, as the writer of the points does.
        deadline = time.monotonic() + PATIENCE
        with _needing("select"):
            while True:
                try:
                    return ask()
                except SiriDBError as exc:
                    is_over = self._is_closed.is_set() or time.monotonic() > deadline
                    if is_over or not exc.retriable:
                        raise
                self._is_closed.wait(PAUSE)

    def _opened(self) -> BlockingWriter:
        if self._writer is None:
            try:
                with _needing("count"):
                    self._writer = BlockingWriter(
                        self._config,
                        handle_sigterm=False,
                        durability="safe",
                        sentinel=SENTINEL,
                        connections=1,
                    )
            except ConfigError as exc:
                raise _lacking("show", exc) from None
        return self._writer


@contextmanager
def _needing(right: str) -> Iterator[None]:
    try:
        yield
    except UserAuthError as exc:
        raise _lacking(right, exc) from None


def _lacking(right: str, exc: Exception) -> UserAuthError:
    return UserAuthError(
        f"a manifest in the database needs the rights insert, select, show and count, and this "
        f"user has not the right {right!r}: {exc}"
    )


def _require_delivered(report: Report) -> None:
    if report.is_complete:
        return
    failure = (*report.rejected, *report.in_doubt, *report.changed)[0]
    if isinstance(failure.error, UserAuthError):
        raise failure.error
    # It is no `DeliveryError`, which tells what became of the points that are loaded.
    raise SiriDBError(f"what was delivered cannot be noted in the database: {failure}")


def _now(writer: BlockingWriter) -> int:
    precision = writer.time_precision
    assert precision is not None  # noqa: S101 - a safe writer needs it
    return time.time_ns() // TimePrecision(precision).nanoseconds


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names))

"""A null transport: writers and loads without a socket, with all they do up to sealed packages.

Inside of `no_sockets` every writer that is opened, also that of a load, has an engine whose
packages go nowhere: each counts as delivered as soon as it is sealed, and its memory is used again
for the next. All else is as always: reading, checks, runs, packages, accounts. The database is one
in nanoseconds that holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import siridb_fast.writer.engine
from siridb_fast import NANOSECOND
from siridb_fast.connection.connection import Connection
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.states import PackageEvent
from siridb_fast.query.database_facts import DatabaseFacts
from siridb_fast.query.server_queries import ServerQueries
from siridb_fast.writer.engine import Engine

__all__ = ["NOWHERE", "no_sockets"]

NOWHERE = "siridb://iris:siri@nowhere/dbtest"
BUFFER_POINTS = 64  # of a series, in a server with the usual buffer_size


@contextmanager
def no_sockets() -> Iterator[None]:
    """Give no writer that is opened meanwhile a socket; `NOWHERE` is a URL for them."""
    with mock.patch.object(siridb_fast.writer.engine, "Engine", NullEngine):
        yield


class NullEngine(Engine):
    """An engine that is never connected, and need not be."""

    def __init__(self, config: Any, options: Any, coalescer: Any, **_: Any) -> None:
        super().__init__(config, options, coalescer)
        self._facts = DatabaseFacts(time_precision=NANOSECOND, buffer_size=16 * BUFFER_POINTS)
        self.accounts.buffer_points = BUFFER_POINTS
        self.queries = NullQueries(self._cluster)
        self._dispatcher = NullDispatcher(
            self._cluster,
            self._packages,
            self._send_queue,
            self.queries,
            delivery_timeout=options.delivery_timeout,
            max_rate=None,
            notify=self.notify,
            on_checked=self._on_checked,
        )
        self.admission = self._new_admission()

    async def connect(self, timeout: float | None = None) -> None:
        """Do nothing."""

    def check(self) -> None:
        """Seal what should leave; every series is new to the database."""
        self._wakeup.begin()
        if self._is_running:
            for series in self._coalescer.take_unresolved():
                self._coalescer.resolve_type(series, None)
            self._dispatcher.check()


class NullDispatcher(Dispatcher):
    """One whose packages are delivered when they are sealed."""

    def check(self) -> None:
        """Seal packages as long as there is something to send."""
        while (package := self._send_queue.next()) is not None:
            self._packages.move(package, PackageEvent.SENT)
            self._packages.move(package, PackageEvent.STORED)
        self._on_checked()


class NullQueries(ServerQueries):
    """One that knows without asking."""

    async def expirations(self) -> tuple[int | None, int | None]:
        """Tell that nothing is ever forgotten."""
        return None, None

    async def servers(self, *, at: Connection | None = None) -> list[str]:
        """Tell that nobody knows them."""
        return []

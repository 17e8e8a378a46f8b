"""Getting to know a database over the first connection to it, before anything is written there.

Knows what a writer has to know, and how to ask for it; knows nothing of what follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from siridb_fast.columns.time_units import UNITS
from siridb_fast.connection.config import OnDoubt
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import ConfigError
from siridb_fast.query.server_queries import ServerQueries
from siridb_fast.writer.greeting import Processes
from siridb_fast.writer.options import WriterOptions

__all__ = ["Facts", "Handshake"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a writer has to know of its database.

    ``time_precision`` is None if it is neither given nor may be asked for. ``may_select`` and
    ``pools`` are asked for only where they matter, and True and 1 elsewhere.
    """

    time_precision: int | None
    buffer_points: int
    may_select: bool
    pools: int


class Handshake:
    """Meets every new connection of one writer, before that is used.

    Args:
        asking: Asks.
        options: Of the writer.
        on_doubt: Of the writer.
        tell: Called once, with what the first connection has told.
    """

    def __init__(
        self,
        asking: ServerQueries,
        options: WriterOptions,
        on_doubt: OnDoubt,
        tell: Callable[[Facts], None],
    ) -> None:
        self._asking = asking
        self._options = options
        self._verifies = on_doubt == "verify"
        self._is_safe = options.durability == "safe"
        self._processes = Processes() if self._verifies or self._is_safe else None
        self._tell = tell
        self._is_over = False
        self._first = asyncio.Lock()

    def known_processes(self) -> Iterable[ServerProcess]:
        """Return the last known process of each host."""
        return self._processes.known if self._processes is not None else ()

    async def greet(self, connection: Connection) -> None:
        """Ask which process is behind it, and if it is the first, what the database is like.

        Raises:
            ConfigError: The database is of another time precision than the writer was told, or
                does not tell what the options need.
            SiriDBError: There was no answer.
        """
        if self._processes is not None:
            await self._processes.greet(connection)
        async with self._first:
            if not self._is_over:
                self._tell(await self._facts(connection))
                self._is_over = True

    async def _facts(self, connection: Connection) -> Facts:
        precision, buffer_points = await self._asking.settings(at=connection)
        told = self._options.time_precision
        if told is not None and precision is not None and told != precision:
            raise ConfigError(
                f"time_precision= is {UNITS[told]}, but that of the database is {UNITS[precision]}"
            )
        if self._is_safe and precision is None:
            raise ConfigError("durability='safe' needs the right to show, or time_precision=")
        return Facts(
            time_precision=precision,
            buffer_points=buffer_points,
            may_select=not self._verifies
            or await self._asking.may_select(self._options.sentinel, at=connection),
            pools=await self._asking.pools(at=connection) if self._is_safe else 1,
        )

"""What every new connection of a writer is asked before it is used.

The first one is asked what the database is like; each, which run of which server is behind it:
a server that was restarted has forgotten what it was working on, and may have lost what it had
acknowledged. Knows what to ask; knows nothing of what follows from the answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from siridb_fast.columns.time_units import UNITS
from siridb_fast.connection.config import OnDoubt
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import ConfigError, UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.query.server_queries import ServerQueries
from siridb_fast.writer.options import WriterOptions

__all__ = ["DatabaseFacts", "Handshake"]

PROCESS_TIMEOUT = 10.0
PROCESS_QUERY = "show uuid, uptime, received_points, pool"

logger = logging.getLogger("siridb_fast")


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What a writer has to know of its database.

    ``time_precision`` is None if it is neither given nor may be asked for. ``may_select`` and
    ``pools`` are asked for only where they matter, and True and 1 elsewhere.
    """

    time_precision: int | None
    buffer_points: int
    may_select: bool
    pools: int


class Handshake:
    """That of one writer with each of its new connections.

    Args:
        queries: Asks the server at the end of a connection.
        options: Of the writer.
        on_doubt: Of the writer.
        on_facts: Called once, with what the first connection has answered.
    """

    def __init__(
        self,
        queries: ServerQueries,
        options: WriterOptions,
        on_doubt: OnDoubt,
        on_facts: Callable[[DatabaseFacts], None],
    ) -> None:
        self._queries = queries
        self._options = options
        self._verifies = on_doubt == "verify"
        self._is_safe = options.durability == "safe"
        self._processes: dict[str, ServerProcess] = {}  # by host, the last known
        self._may_ask_processes = self._verifies or self._is_safe
        self._on_facts = on_facts
        self._has_facts = False
        self._facts_lock = asyncio.Lock()

    def known_processes(self) -> Iterable[ServerProcess]:
        """Return the last known process of each host."""
        return self._processes.values()

    async def run(self, connection: Connection) -> None:
        """Ask which process is behind it, and if it is the first, what the database is like.

        Raises:
            ConfigError: The database is of another time precision than ``time_precision``, or
                is not known though the options need it.
            SiriDBError: There was no answer.
        """
        if self._may_ask_processes:
            await self._identify_process(connection)
        async with self._facts_lock:
            if not self._has_facts:
                self._on_facts(await self._ask_facts(connection))
                self._has_facts = True

    async def _ask_facts(self, connection: Connection) -> DatabaseFacts:
        precision, buffer_points = await self._queries.settings(at=connection)
        given = self._options.time_precision
        if given is not None and precision is not None and given != precision:
            raise ConfigError(
                f"time_precision= is {UNITS[given]}, but that of the database is "
                f"{UNITS[precision]}"
            )
        if self._is_safe and precision is None:
            raise ConfigError("durability='safe' needs the right to show, or time_precision=")
        return DatabaseFacts(
            time_precision=precision,
            buffer_points=buffer_points,
            may_select=not self._verifies
            or await self._queries.may_select(self._options.sentinel, at=connection),
            pools=await self._queries.pools(at=connection) if self._is_safe else 1,
        )

    async def _identify_process(self, connection: Connection) -> None:
        # Note which process the connection leads to; none if the user may not ask.
        before = self._processes.get(connection.name)
        received = before.received if before is not None else 0  # more may come while this asks
        try:
            seen = await _process_behind(connection)
        except UserAuthError as exc:
            self._may_ask_processes = False
            logger.warning("a restart of a server will not be noticed: %s", exc)
            return
        if seen is None:
            return
        known = self._processes.get(connection.name)
        if known is not before:
            received = 0
        if known is None or not seen.may_be(known, received):
            if known is not None:
                known.is_over = True
                logger.warning("%s was restarted", connection.name)
            self._processes[connection.name] = known = seen
        connection.process = known


async def _process_behind(connection: Connection) -> ServerProcess | None:
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    payload = packb((PROCESS_QUERY, None))
    answer = await connection.request(_wire.REQ_QUERY, payload, PROCESS_TIMEOUT, is_urgent=True)
    shown = {item["name"]: item["value"] for item in answer.get("data", ())}
    if len(shown) < len(PROCESS_QUERY.split(",")):
        logger.warning("%s does not tell which process it is: %r", connection.name, answer)
        return None
    return ServerProcess(
        uuid=shown["uuid"],
        pool=shown["pool"],
        earliest=asked_at - shown["uptime"] - 1,
        latest=loop.time() - shown["uptime"],
        received=shown["received_points"],
    )

"""What every new connection of a writer is asked before it is used.

Who is behind it: which run of which server, since a server that was restarted has forgotten what
it was working on and may have lost what it had acknowledged. And what its database is, since that
may have been made anew, or be another one: of another time precision it gets no points. Knows what
to ask; knows nothing of what follows from the answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from siridb_fast.columns.time_units import UNITS
from siridb_fast.connection.config import OnDoubt
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import ConfigError, DatabaseChangedError, UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.query.database_facts import (
    FACTS_QUERY,
    DatabaseFacts,
    require_precision,
    shown,
)
from siridb_fast.query.server_queries import ServerQueries
from siridb_fast.writer.late_points import require_rights
from siridb_fast.writer.options import WriterOptions

__all__ = ["Handshake"]

FACTS_TIMEOUT = 30.0

MAY_BE_LOST = "; what it had acknowledged in its last moments may be lost"

logger = logging.getLogger("siridb_fast")


class Handshake:
    """That of one writer with each of its new connections.

    Args:
        queries: Asks the server at the end of a connection.
        options: Of the writer.
        on_doubt: Of the writer.
        on_facts: Called with what each new connection has told, before that is used.
        is_bound: No host may become another server, nor its database be made anew.
    """

    def __init__(
        self,
        queries: ServerQueries,
        options: WriterOptions,
        on_doubt: OnDoubt,
        on_facts: Callable[[DatabaseFacts], None],
        *,
        is_bound: bool = False,
    ) -> None:
        self._queries = queries
        self._options = options
        self._verifies = on_doubt == "verify"
        self._is_safe = options.durability == "safe"
        self._processes: dict[str, ServerProcess] = {}  # by uuid, the last known
        self._facts: dict[str, DatabaseFacts] = {}  # by host, likewise
        self._time_precision: int | None = None  # that the points of the writer are converted for
        self._may_show = True
        self._on_facts = on_facts
        self._is_bound = is_bound

    def known_processes(self) -> Iterable[ServerProcess]:
        """Return the last known process of each server."""
        return self._processes.values()

    @property
    def buffer_points(self) -> int:
        """How many points of a series the servers buffer: those that buffer most."""
        return max(facts.buffer_points for facts in self._facts.values())

    async def run(self, connection: Connection) -> None:
        """Ask which process is behind it, and what its database is like.

        Raises:
            ConfigError: The database is of another time precision than the writer was told, or
                does not tell what the options need.
            DatabaseChangedError: It is of another time precision than it was.
            SiriDBError: There was no answer.
        """
        facts = self._completed(DatabaseFacts.of(await self._ask(connection)))
        self._require_fit(facts, connection.name)
        facts = await self._with_rights(facts, connection)
        before = self._facts.get(connection.name)
        if before is not None and None not in (before.uuid, facts.uuid):
            await self._compare_servers(before.uuid, facts.uuid, connection)
        self._facts[connection.name] = facts
        self._on_facts(facts)

    async def _compare_servers(
        self, before: str | None, uuid: str | None, connection: Connection
    ) -> None:
        # Behind one address there may be several of the same database.
        if before == uuid or before in await self._queries.servers(at=connection):
            return
        text = f"{connection.name} is another server now, or its database was made anew"
        if self._is_bound:
            raise DatabaseChangedError(f"{text}: what it has acknowledged may not be there")
        logger.warning("%s", text)

    def _completed(self, facts: DatabaseFacts) -> DatabaseFacts:
        # By what the options say, and by what was told before.
        options = self._options
        precisions = facts.time_precision, self._time_precision, options.time_precision
        return replace(
            facts,
            time_precision=next((one for one in precisions if one is not None), None),
            buffer_size=options.buffer_size or facts.buffer_size,
        )

    async def _with_rights(self, facts: DatabaseFacts, connection: Connection) -> DatabaseFacts:
        # And with what only some options need.
        queries, sentinel = self._queries, self._options.sentinel
        may_select = not self._verifies or await queries.may_select(sentinel, at=connection)
        if self._options.late is not None:
            await require_rights(queries, facts, sentinel, connection, may_select=may_select)
        pools = await queries.pools(at=connection) if self._is_safe else 1
        return replace(facts, may_select=may_select, pools=pools)

    def _require_fit(self, facts: DatabaseFacts, host: str) -> None:
        given, found = self._options.time_precision, facts.time_precision
        if given is not None and found is not None and given != found:
            raise ConfigError(
                f"time_precision= is {UNITS[given]}, but that of the database is "
                f"{UNITS[found]} ({host})"
            )
        if self._is_safe and found is None:
            raise ConfigError("durability='safe' needs the right to show, or time_precision=")
        require_precision(self._time_precision, found, host)
        if self._time_precision is None:
            self._time_precision = found

    async def _ask(self, connection: Connection) -> dict[str, Any]:
        # Note which process the connection leads to; nothing is told if the user may not ask.
        loop = asyncio.get_running_loop()
        # More may come while this asks.
        received = {process: process.received for process in self._processes.values()}
        asked_at = loop.time()
        payload = packb((FACTS_QUERY, None))
        try:
            answer = shown(
                await connection.request(_wire.REQ_QUERY, payload, FACTS_TIMEOUT, is_urgent=True)
            )
        except UserAuthError as exc:
            if self._may_show:
                logger.warning("a restart of a server will not be noticed: %s", exc)
                logger.warning(
                    "the database's time precision and buffer size are unknown: %s", exc
                )
            self._may_show = False
            return {}
        self._may_show = True
        if {"uuid", "pool", "uptime", "received_points"} <= answer.keys():
            seen = ServerProcess(
                uuid=answer["uuid"],
                pool=answer["pool"],
                earliest=asked_at - answer["uptime"] - 1,
                latest=loop.time() - answer["uptime"],
                received=answer["received_points"],
            )
            self._take_process(connection, seen, received)
        else:
            logger.warning("%s does not tell which process it is: %r", connection.name, answer)
        return answer

    def _take_process(
        self,
        connection: Connection,
        seen: ServerProcess,
        received: dict[ServerProcess, int],
    ) -> None:
        # ``received`` is what the known processes had received before it was asked.
        known = self._processes.get(seen.uuid)
        if known is None or not seen.may_be(known, received.get(known, 0)):
            if known is not None:
                known.is_over = True
                logger.warning(
                    "%s was restarted%s", connection.name, "" if self._is_safe else MAY_BE_LOST
                )
            self._processes[seen.uuid] = known = seen
        connection.process = known

"""ServerQueries whoever is behind a new connection which run of which server it is.

A server that was restarted has forgotten what it was working on, and may have lost what it had
acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from siridb_fast.connection.connection import Connection
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.errors import UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb

__all__ = ["Processes"]

TIMEOUT = 10.0
QUESTION = "show uuid, uptime, received_points, pool"

logger = logging.getLogger("siridb_fast")


class Processes:
    """The process behind each connection of a writer."""

    def __init__(self) -> None:
        self._of_hosts: dict[str, ServerProcess] = {}
        self._may_ask = True

    @property
    def known(self) -> Iterable[ServerProcess]:
        """The last known one of each host."""
        return self._of_hosts.values()

    async def greet(self, connection: Connection) -> None:
        """Note which process a new connection leads to; none if the user may not ask."""
        if not self._may_ask:
            return
        before = self._of_hosts.get(connection.name)
        received = before.received if before is not None else 0  # more may come while this asks
        try:
            seen = await _process_behind(connection)
        except UserAuthError as exc:
            self._may_ask = False
            logger.warning("a restart of a server will not be noticed: %s", exc)
            return
        if seen is None:
            return
        known = self._of_hosts.get(connection.name)
        if known is not before:
            received = 0
        if known is None or not seen.may_be(known, received):
            if known is not None:
                known.is_over = True
                logger.warning("%s was restarted", connection.name)
            self._of_hosts[connection.name] = known = seen
        connection.process = known


async def _process_behind(connection: Connection) -> ServerProcess | None:
    loop = asyncio.get_running_loop()
    asked_at = loop.time()
    payload = packb((QUESTION, None))
    answer = await connection.request(_wire.REQ_QUERY, payload, TIMEOUT, is_urgent=True)
    shown = {item["name"]: item["value"] for item in answer.get("data", ())}
    if len(shown) < len(QUESTION.split(",")):
        logger.warning("%s does not tell which process it is: %r", connection.name, answer)
        return None
    return ServerProcess(
        uuid=shown["uuid"],
        pool=shown["pool"],
        earliest=asked_at - shown["uptime"] - 1,
        latest=loop.time() - shown["uptime"],
        received=shown["received_points"],
    )

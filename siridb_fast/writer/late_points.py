"""What a writer has to know to tell late points, which its database may have already.

The newest time of each series is asked for together with its type, whenever that is. As long as a
former writer's packages are in the spool nobody knows how new they are, so all points are late.
Knows the right questions; knows nothing of how points are compared.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._late import note_newest
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.errors import ConfigError
from siridb_fast.query.database_facts import DatabaseFacts
from siridb_fast.query.server_queries import ServerQueries
from siridb_fast.writer.options import WriterOptions, require_verify

if TYPE_CHECKING:
    from siridb_fast.delivery.dispatcher import Dispatcher

__all__ = ["LatePoints", "late_points_of", "require_rights"]

CALM_TIMEOUT = 2.0  # seconds that servers may go on with what a former process had sent
CALM_INTERVAL = 0.02

logger = logging.getLogger("siridb_fast")


async def require_rights(
    queries: ServerQueries,
    facts: DatabaseFacts,
    series: str,
    connection: Connection,
    *,
    may_select: bool,
) -> None:
    """Refuse a user who may not ask what the database has.

    Args:
        queries: Asks the server at the end of a connection.
        facts: That it has told.
        series: Any name of one.
        connection: That one.
        may_select: Whether the user has the right to select.

    Raises:
        ConfigError: Names the rights that are missing.
    """
    rights = {
        "select": may_select,
        "list": await queries.may_list_series(series, at=connection),
        "show": facts.uuid is not None,
    }
    missing = " and ".join(right for right, is_given in rights.items() if not is_given)
    if missing:
        raise ConfigError(
            f"late='compare' needs the right to {missing}, which the user does not have "
            f"({connection.name})"
        )


def late_points_of(
    options: WriterOptions,
    on_doubt: str,
    coalescer: Coalescer,
    cluster: Cluster,
    queries: ServerQueries,
) -> LatePoints | None:
    """Return what a writer of these options has to know; None if it compares no points.

    Raises:
        ConfigError: It would not find out whether a package in doubt is stored.
    """
    if options.late is None:
        return None
    require_verify(on_doubt)
    return LatePoints(coalescer, queries, cluster)


class LatePoints:
    """What one writer knows of its series.

    Args:
        coalescer: Has the series.
        queries: Asks the database.
        cluster: Its connections.
    """

    def __init__(self, coalescer: Coalescer, queries: ServerQueries, cluster: Cluster) -> None:
        self._coalescer = coalescer
        self._queries = queries
        self._cluster = cluster
        self._is_calm = False
        self._is_former_left: Callable[[], bool] | None = None

    def stand_behind(self, dispatcher: Dispatcher) -> None:
        """Let what is in the spool go first; until then all points are late."""
        disk_queue, comparer = dispatcher.disk_queue, dispatcher.doubts.late
        assert disk_queue is not None  # noqa: S101 - there is a spool
        assert comparer is not None  # noqa: S101 - it is of the same options
        comparer.is_disk_drained = disk_queue.is_drained
        if not disk_queue.is_drained():
            self._is_former_left = disk_queue.is_drained

    def take_end_of_former(self) -> bool:
        """Tell once that they have: what is known of series has to be asked for again."""
        if self._is_former_left is None or not self._is_former_left():
            return False
        self._is_former_left = None
        return True

    async def types_of(self, names: Sequence[str]) -> dict[str, str]:
        """Return the types of those series that exist, and note their newest times."""
        if not self._is_calm:
            await self._wait_until_calm()
        found = await self._queries.series_ends(names)
        for name in names if self._is_former_left is None else ():
            series = self._coalescer.find(name)
            if series is not None:
                note_newest(series, found[name][1] if name in found else None)
        return {name: type_ for name, (type_, _) in found.items()}

    async def _wait_until_calm(self) -> None:
        # A process that was killed may have left a package with a server, which still works on it.
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CALM_TIMEOUT
        while loop.time() < deadline:
            at = self._cluster.select(try_inactive=True)
            if at is None or max((await self._queries.tasks_by_server(at=at)).values()) <= 1:
                break
            await asyncio.sleep(CALM_INTERVAL)
        else:
            logger.debug("servers work on something for others; late points are told all the same")
        self._is_calm = True

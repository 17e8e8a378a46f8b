"""The queries of a writer, over its own connections.

Knows their texts and what their answers mean; knows nothing of points that are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.failover import request_with_failover
from siridb_fast.errors import PoolError, ProtocolError, ServerError, UserAuthError
from siridb_fast.protocol.pools import MAX_POOLS
from siridb_fast.query.catalog import Catalog, quote
from siridb_fast.query.paging import PointArrays
from siridb_fast.query.run import RequestSender, run_query, run_select

__all__ = ["COUNT_POOLS", "ServerQueries", "pools_of"]

QUERY_TIMEOUT = 30.0
COUNT_POOLS = "count pools"


class ServerQueries:
    """The queries of one writer. With ``at``, the server at the end of that connection answers.

    Args:
        cluster: Its connections.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._catalog = Catalog(partial(run_query, self._sender()))

    @property
    def may_list(self) -> bool:
        """Tell whether the user may list series, as far as is known."""
        return self._catalog.may_list

    async def series_types(
        self, names: Sequence[str], *, at: Connection | None = None
    ) -> dict[str, str]:
        """Return the types of those series that exist."""
        if at is None:
            return await self._catalog.fetch_types(names, QUERY_TIMEOUT)
        catalog = Catalog(partial(run_query, self._sender(at)))
        return await catalog.fetch_types(names, QUERY_TIMEOUT)

    async def series_ends(self, names: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return type and newest timestamp of those series that exist.

        Raises:
            UserAuthError: The user may not list.
        """
        return await self._catalog.fetch_ends(names, QUERY_TIMEOUT)

    async def may_list_series(self, series: str, *, at: Connection) -> bool:
        """Tell whether the user has the right to list; any name of a series will do."""
        try:
            text = f"list series name {quote(series)} limit 1"
            await run_query(self._sender(at), text, QUERY_TIMEOUT)
        except UserAuthError:
            return False
        except (PoolError, ServerError):
            pass  # as above
        return True

    async def expirations(self) -> tuple[int | None, int | None]:
        """Return after how long numbers and texts are forgotten, in the time precision."""
        return await self._catalog.expirations(QUERY_TIMEOUT)

    async def select(self, query: str, *, at: Connection | None = None) -> PointArrays:
        """Return the answer to a select."""
        return (await run_select(self._sender(at), query, QUERY_TIMEOUT)).points

    async def may_select(self, series: str, *, at: Connection) -> bool:
        """Tell whether the user has the right to select; any name of a series will do."""
        try:
            query = f"select count() from {quote(series)}"  # noqa: S608
            await run_query(self._sender(at), query, QUERY_TIMEOUT)
        except UserAuthError:
            return False
        except (PoolError, ServerError):
            pass  # the right is looked at before the servers are, one of which is missing
        return True

    async def active_tasks(self, *, at: Connection) -> int:
        """Return how many requests a server works on, this one included."""
        answer = await run_query(self._sender(at), "show active_tasks", QUERY_TIMEOUT)
        tasks: int = answer["data"][0]["value"]
        return tasks

    async def servers(self, *, at: Connection | None = None) -> list[str]:
        """Return the uuids of all servers of the database, sorted; none if one may not list."""
        try:
            answer = await run_query(self._sender(at), "list servers uuid", QUERY_TIMEOUT)
        except UserAuthError:
            return []
        return sorted(uuid for (uuid,) in answer.get("servers", ()))

    async def pools_by_server(self, *, at: Connection) -> dict[str, int]:
        """Return the pool of each server of the database, by uuid; none if one may not list."""
        try:
            answer = await run_query(self._sender(at), "list servers uuid, pool", QUERY_TIMEOUT)
        except UserAuthError:
            return {}
        return dict(answer["servers"])

    async def tasks_by_server(self, *, at: Connection) -> dict[str, int]:
        """Return how many requests each server works on, by uuid, this one included.

        A server that does not answer the one that is asked is left out.
        """
        query = "list servers uuid, active_tasks"
        return dict((await run_query(self._sender(at), query, QUERY_TIMEOUT))["servers"])

    async def pools(self, *, at: Connection) -> int:
        """Return how many pools the cluster has."""
        return pools_of(await run_query(self._sender(at), COUNT_POOLS, QUERY_TIMEOUT))

    def _sender(self, at: Connection | None = None) -> RequestSender:
        # Urgent: a query does not wait until packages of points leave room in the window.
        if at is None:
            return partial(request_with_failover, self._cluster, is_urgent=True)
        return partial(at.request, is_urgent=True)


def pools_of(answer: Any) -> int:
    """Return how many pools the answer to `COUNT_POOLS` tells.

    Raises:
        ProtocolError: It tells no number that can be.
    """
    pools = answer.get("pools") if isinstance(answer, dict) else None
    if not isinstance(pools, int) or not 1 <= pools <= MAX_POOLS:
        raise ProtocolError(f"expected 1 to {MAX_POOLS} pools, the server answers {answer!r}")
    return pools

"""What a writer asks of its database, over its own connections.

Knows the queries; knows nothing of points that are written.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from siridb_fast.columns._decode import decode_points
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.connection import Connection
from siridb_fast.connection.failover import request_with_failover
from siridb_fast.errors import UserAuthError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.query.catalog import Catalog, quote
from siridb_fast.query.paging import PointArrays

__all__ = ["ASSUMED_BUFFER_POINTS", "ServerQueries"]

ASSUMED_BUFFER_POINTS = 1023  # of a server that may not be asked: right up to 16 KiB a series

QUERY_TIMEOUT = 30.0
BUFFERED_POINT_BYTES = 16  # in the server's buffer of a series


class ServerQueries:
    """The questions of one writer.

    Args:
        cluster: Its connections.
        time_precision: Of the database, where it is known; then it is not asked for.
        buffer_size: Bytes that the server buffers of a series, likewise.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        time_precision: int | None = None,
        buffer_size: int | None = None,
    ) -> None:
        self._cluster = cluster
        self._time_precision = time_precision
        self._buffer_size = buffer_size
        self._catalog = Catalog(self._ask)

    async def settings(self, *, at: Connection) -> tuple[int | None, int]:
        """Return the time precision if it is known, and how many points a series buffers."""
        precision, buffer_size = self._time_precision, self._buffer_size
        if precision is None or buffer_size is None:
            shown = await Catalog(partial(self._ask, at=at)).settings(QUERY_TIMEOUT)
            precision = precision if shown[0] is None else shown[0]
            buffer_size = shown[1] if buffer_size is None else buffer_size
        if buffer_size is None:
            return precision, ASSUMED_BUFFER_POINTS
        return precision, buffer_size // BUFFERED_POINT_BYTES

    async def types(self, names: list[str]) -> dict[str, str]:
        """Return the types of those series that exist."""
        return await self._catalog.look_up(names, QUERY_TIMEOUT)

    async def expirations(self) -> tuple[int | None, int | None]:
        """Return after how long numbers and texts are forgotten, in the time precision."""
        return await self._catalog.expirations(QUERY_TIMEOUT)

    async def arrays(self, query: str, *, at: Connection | None = None) -> PointArrays:
        """Return the answer to a select, of the server at the end of a connection, or of any."""
        answer = await self._send(query, is_raw=True, at=at)
        arrays: PointArrays = decode_points(answer)
        return arrays

    async def may_select(self, series: str, *, at: Connection) -> bool:
        """Tell whether the user has the right to select; any name of a series will do."""
        try:
            await self._send(f"select count() from {quote(series)}", at=at)  # noqa: S608
        except UserAuthError:
            return False
        return True

    async def active_tasks(self, *, at: Connection) -> int:
        """Return how many requests a server works on, this one included."""
        answer = await self._send("show active_tasks", at=at)
        tasks: int = answer["data"][0]["value"]
        return tasks

    async def pools(self, *, at: Connection) -> int:
        """Return how many pools the cluster has."""
        answer = await self._send("count pools", at=at)
        pools: int = answer["pools"]
        return pools

    async def _ask(self, text: str, timeout: float, *, at: Connection | None = None) -> object:
        return await self._send(text, timeout, at=at)

    async def _send(
        self,
        text: str,
        timeout: float = QUERY_TIMEOUT,
        *,
        is_raw: bool = False,
        at: Connection | None = None,
    ) -> Any:
        payload = packb((text, None))
        if at is not None:
            return await at.request(
                _wire.REQ_QUERY, payload, timeout, is_raw=is_raw, is_urgent=True
            )
        return await request_with_failover(
            self._cluster, _wire.REQ_QUERY, payload, timeout, is_raw=is_raw, is_urgent=True
        )

"""Inserts and queries of one database, as all clients have them.

Decides what becomes of answers; how arrays go out is in `inserts`. Knows nothing of servers:
which of them gets a request, and what happens when that fails, is up to what sends it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from siridb_fast.client.inserts import Inserts, Sender
from siridb_fast.client.options import FrameKeywords, FrameOptions, InsertKeywords
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.errors import TableError
from siridb_fast.protocol import _wire
from siridb_fast.query.catalog import Catalog
from siridb_fast.query.paging import Pager, PointArrays, SelectResult
from siridb_fast.query.result_frames import (
    Form,
    arrow_table,
    pandas_frame,
    require_pandas,
    require_pyarrow,
)
from siridb_fast.query.run import (
    check_precision,
    check_query,
    run_query,
    run_select,
)
from siridb_fast.query.select import in_asked_order

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["Database"]

DROP = re.compile(r"\s*drop\b", re.IGNORECASE)


class Database:
    """The requests that make sense to a database.

    Args:
        send: Sends one to a server.
        on_drop: Called when something was dropped.
    """

    def __init__(self, send: Sender, on_drop: Callable[[], None] | None = None) -> None:
        self._send = send
        self._on_drop = on_drop
        self._catalog = Catalog(partial(run_query, send), clock=time.monotonic)
        self._inserts = Inserts(send, self._catalog)

    def forget(self) -> None:
        """Believe nothing of the database any more: there is a new connection to it."""
        self._catalog.forget()

    def accept_any(self) -> None:
        """Take the next database as it is: the client was closed, and may be opened again."""
        self._catalog.forget()
        self._inserts.accept_any()

    async def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> Any:
        """Run a query; return the answer as Python objects."""
        check_query(query)
        try:
            return await run_query(self._send, query, timeout, time_precision)
        finally:
            if is_drop(query):
                self._catalog.forget()
                if self._on_drop is not None:
                    self._on_drop()

    async def query_arrays(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        *,
        all_points: bool = False,
    ) -> PointArrays:
        """Run a select; return the answer as arrays."""
        check_precision(time_precision)
        if time_precision is None:
            return await self._arrays(query, timeout, all_points=all_points)
        arrays, precision = await self._arrays_and_precision(query, timeout, all_points=all_points)
        _convert(arrays, precision, time_precision)
        return arrays

    async def _arrays(
        self, query: str | bytes, timeout: float, *, all_points: bool
    ) -> PointArrays:
        if all_points:
            return await self._all_points(query, timeout)
        return (await run_select(self._send, query, timeout)).points

    async def _arrays_and_precision(
        self, query: str | bytes, timeout: float, *, all_points: bool
    ) -> tuple[PointArrays, int | None]:
        # And it is that of the database which has answered: it may be another one by now.
        while True:
            precision = await self._catalog.time_precision(timeout)
            arrays = await self._arrays(query, timeout, all_points=all_points)
            if precision == await self._catalog.time_precision(timeout):
                return arrays, precision

    async def query_frame(
        self,
        query: str | bytes,
        time_precision: int | None,
        timeout: float,
        keywords: FrameKeywords,
    ) -> pandas.DataFrame:
        """Run a select; return the answer as a frame of pandas."""
        options = FrameOptions(**keywords)
        require_pandas()
        return pandas_frame(*await self._arrays_of_times(query, time_precision, timeout, options))

    async def query_arrow(
        self,
        query: str | bytes,
        time_precision: int | None,
        timeout: float,
        keywords: FrameKeywords,
    ) -> pyarrow.Table:
        """Run a select; return the answer as a table of Arrow."""
        options = FrameOptions(**keywords)
        require_pyarrow()
        return arrow_table(*await self._arrays_of_times(query, time_precision, timeout, options))

    async def insert(self, data: object, timeout: float, keywords: InsertKeywords) -> Any:
        """Insert lists and arrays; return what the server answers, summed up over packages."""
        return await self._inserts.insert(data, timeout, keywords)

    async def insert_packed(self, payload: PayloadBytes, timeout: float) -> Any:
        """Insert what `encode_insert` has made."""
        return await self._send(_wire.REQ_INSERT, payload, timeout)

    async def _arrays_of_times(
        self, query: str | bytes, time_precision: int | None, timeout: float, options: FrameOptions
    ) -> tuple[PointArrays, int, Form]:
        check_precision(time_precision)
        precision = await self._catalog.time_precision(timeout)
        if precision is None:
            raise TableError(
                "the database's time precision is unknown, as the user may not ask for it (the "
                "right 'show'), so timestamps are no times; query_arrays, and --raw-times "
                "of the command line, have them as integers"
            )
        arrays, precision = await self._arrays_and_precision(
            query, timeout, all_points=options.all_points
        )
        if precision is not None and time_precision is not None:
            _convert(arrays, precision, time_precision)
            precision = time_precision
        assert precision is not None  # noqa: S101 - see above
        return in_asked_order(query, arrays), precision, options.form

    async def _all_points(self, query: str | bytes, timeout: float) -> PointArrays:
        check_query(query)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout

        async def select(text: str | bytes) -> SelectResult:
            return await run_select(self._send, text, deadline - loop.time())

        async def run(text: str) -> Any:
            return await run_query(self._send, text, deadline - loop.time())

        return await Pager(select, run).fetch(query)


def is_drop(query: str | bytes) -> bool:
    """Tell whether a query drops something."""
    text = query if isinstance(query, str) else query.decode(errors="replace")
    return DROP.match(text) is not None


def _convert(arrays: PointArrays, given: int | None, wanted: int) -> None:
    if given is None:
        raise TableError(
            "the database's time precision is unknown, as the user may not ask for it (the right "
            "'show'), so there is no way to convert"
        )
    ticks = TimePrecision(given).per_second
    wanted_ticks = TimePrecision(wanted).per_second
    for name, (timestamps, _) in arrays.items():
        if wanted_ticks < ticks:
            timestamps //= ticks // wanted_ticks
            continue
        factor = wanted_ticks // ticks
        if len(timestamps) and int(timestamps.max()) * factor >= 2**63:
            raise ValueError(
                f"series {name!r}: timestamp {timestamps.max()} has over 64 bits when converted"
            )
        timestamps *= factor

"""Inserts and queries of one database, as all clients have them.

Decides what goes into payloads and what answers mean. Knows nothing of servers: which of them gets
a request, and what happens when that fails, is up to what sends it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from siridb_fast.client.options import FrameKeywords, FrameOptions, InsertKeywords, InsertOptions
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.casting import fitted_column
from siridb_fast.columns.insert_data import parts_of, plain_payload
from siridb_fast.columns.payloads import PACKAGE_BYTES, Part, Payload, cut_payloads
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.errors import SiriDBError, TableError
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
    RequestSender,
    check_precision,
    check_query,
    run_query,
    run_select,
)

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["Database"]

INSERTED = re.compile(r"inserted (\d+) point")


DEFAULT_OPTIONS = InsertOptions()


class Database:
    """The requests that make sense to a database.

    Args:
        send: Sends one to a server.
    """

    def __init__(self, send: RequestSender) -> None:
        self._send = send
        self._catalog = Catalog(partial(run_query, send))

    async def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> Any:
        """Run a query; return the answer as Python objects."""
        return await run_query(self._send, query, timeout, time_precision)

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
        if all_points:
            arrays = await self._all_points(query, timeout)
        else:
            arrays = (await run_select(self._send, query, timeout)).points
        if time_precision is not None:
            _convert(arrays, await self._catalog.time_precision(timeout), time_precision)
        return arrays

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
        options = InsertOptions(**keywords) if keywords else DEFAULT_OPTIONS
        payload = plain_payload(data)
        if payload is not None:
            return await self._send(_wire.REQ_INSERT, payload, timeout)
        deadline = asyncio.get_running_loop().time() + timeout
        precision = options.time_precision
        if precision is None:
            precision = await self._catalog.time_precision(timeout)
        rules = options.rules(precision)
        parts = await self._fitted(parts_of(data, rules), options.on_type, rules, deadline)
        columns = [part for part in parts if isinstance(part, PointColumn)]
        if (
            len(columns) < len(parts)
            or sum(column.max_bytes for column in columns) > PACKAGE_BYTES
        ):
            for column in columns:
                column.check()  # all of them, before the first of several packages goes
        inserted = await self._send_in_turn(cut_payloads(parts), deadline)
        self._catalog.remember(_types_created(columns, options.on_missing))
        return {"success_msg": f"Successfully inserted {inserted} point(s)."}

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
                "right 'show'), so timestamps are no times; query_arrays gives them as integers"
            )
        arrays = await self.query_arrays(
            query, time_precision, timeout, all_points=options.all_points
        )
        return arrays, precision if time_precision is None else time_precision, options.form

    async def _all_points(self, query: str | bytes, timeout: float) -> PointArrays:
        check_query(query)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout

        async def select(text: str | bytes) -> SelectResult:
            return await run_select(self._send, text, deadline - loop.time())

        async def run(text: str) -> Any:
            return await run_query(self._send, text, deadline - loop.time())

        return await Pager(select, run).fetch(query)

    async def _fitted(
        self, parts: list[Part], on_type: str, rules: ColumnRules, deadline: float
    ) -> list[Part]:
        # The type of a series is fixed by its first point; later ones are cast without a word.
        columns = [part for part in parts if isinstance(part, PointColumn) and len(part)]
        types = _first_types(columns)
        left = deadline - asyncio.get_running_loop().time()
        known = await self._catalog.series_types(types, left)
        if stale := [name for name in known if known[name] != types[name]]:
            fresh = await self._catalog.series_types(stale, left, is_fresh=True)
            known = {name: known[name] for name in known if name not in stale} | fresh
        types |= known
        return [
            fitted_column(part, types[part.name], on_type, rules)
            if isinstance(part, PointColumn) and len(part)
            else part
            for part in parts
        ]

    async def _send_in_turn(self, payloads: Iterator[Payload], deadline: float) -> int:
        # The next payload is built while one is with the server.
        loop = asyncio.get_running_loop()
        inserted = 0
        sending: asyncio.Task[int] | None = None
        try:
            for payload in payloads:
                if sending is not None:
                    inserted += await sending
                sending = loop.create_task(self._insert_payload(payload, deadline - loop.time()))
                await asyncio.sleep(0)  # so that it is on its way
            if sending is not None:
                inserted += await sending
        except SiriDBError as exc:
            exc.points_inserted = inserted
            raise
        finally:
            if sending is not None:
                sending.cancel()
        return inserted

    async def _insert_payload(self, payload: Payload, timeout: float) -> int:
        with memoryview(payload.buffer) as view:  # open, so that the memory is not used again yet
            answer = await self.insert_packed(view, timeout)
        found = INSERTED.search(str(answer))
        return int(found[1]) if found else payload.points


def _convert(arrays: PointArrays, given: int | None, wanted: int) -> None:
    if given is None:
        raise ValueError("the database's time precision is unknown, so there is no way to convert")
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


def _first_types(columns: list[PointColumn]) -> dict[str, str]:
    types: dict[str, str] = {}
    for column in columns:
        types.setdefault(column.name, column.type)
    return types


def _types_created(columns: list[PointColumn], on_missing: str) -> dict[str, str]:
    # A column without a point, or with missing ones only, has not created its series.
    is_whole = on_missing != "drop"
    return {c.name: c.type for c in columns if len(c) and (is_whole or c.check())}

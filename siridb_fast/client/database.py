"""Inserts and queries of one database, over whatever carries a request to it.

Decides what goes into packages and what answers mean; which server gets a package, and what
happens when it fails, is the carrier's business (``client``, ``reference``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from siridb_fast.columns._decode import decode_points
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.casting import fitted_column
from siridb_fast.columns.insert_data import parts_of, plain_payload
from siridb_fast.columns.payloads import PACKAGE_BYTES, Part, Payload, cut_payloads
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import PRECISIONS, TimePrecision
from siridb_fast.errors import SiriDBError, TableError
from siridb_fast.protocol import _wire
from siridb_fast.protocol._qpack import packb
from siridb_fast.query.catalog import Catalog
from siridb_fast.query.paging import Pager, PointArrays, SelectResult
from siridb_fast.query.result_frames import (
    Form,
    arrow_table,
    check_form,
    pandas_frame,
    require_pandas,
    require_pyarrow,
)

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from siridb_fast.protocol._wire import PayloadBytes

__all__ = [
    "Carrier",
    "Database",
    "FrameKeywords",
    "FrameOptions",
    "InsertKeywords",
    "InsertOptions",
    "PointArrays",
]

INSERTED = re.compile(r"inserted (\d+) point")


class Carrier(Protocol):
    """Carry one request to a server of the database and return what the answer brings."""

    def __call__(
        self, type_: int, payload: PayloadBytes, timeout: float, *, is_raw: bool = False
    ) -> Awaitable[Any]:
        """Send the request; ``timeout`` is in seconds."""


class InsertKeywords(TypedDict, total=False):
    """The keyword options of every `insert`; see `SiriDBClient.insert`."""

    time_precision: int | None
    on_missing: Literal["keep", "drop", "error"]
    on_precision_loss: Literal["error", "floor"]
    on_type: Literal["error", "cast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertOptions:
    """The same, validated: what becomes of arrays that do not fit the database."""

    time_precision: int | None = None
    on_missing: Literal["keep", "drop", "error"] = "keep"
    on_precision_loss: Literal["error", "floor"] = "error"
    on_type: Literal["error", "cast"] = "error"

    def __post_init__(self) -> None:
        if self.on_type not in ("error", "cast"):
            raise ValueError(f"on_type is 'error' or 'cast', got {self.on_type!r}")
        self.rules(self.time_precision)

    def rules(self, time_precision: int | None) -> ColumnRules:
        """Return the rules for reading columns into a database of this precision."""
        return ColumnRules(
            time_precision=time_precision,
            on_missing=self.on_missing,
            on_precision_loss=self.on_precision_loss,
        )


class FrameKeywords(TypedDict, total=False):
    """The keyword options of `query_frame` and `query_arrow`; see `SiriDBClient.query_frame`."""

    form: Form
    all_points: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOptions:
    """The same, validated: the layout of a frame, and whether the point limit is paged around."""

    form: Form = "wide"
    all_points: bool = False

    def __post_init__(self) -> None:
        check_form(self.form)


DEFAULT_OPTIONS = InsertOptions()


class Database:
    """The requests that make sense to a database."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._catalog = Catalog(self._ask)

    async def query(
        self, query: str | bytes, time_precision: int | None = None, timeout: float = 60
    ) -> Any:
        """Run a query; return the answer as Python objects."""
        payload = _packed_query(query, time_precision)
        return await self._carrier(_wire.REQ_QUERY, payload, timeout)

    async def query_arrays(
        self,
        query: str | bytes,
        time_precision: int | None = None,
        timeout: float = 60,
        *,
        all_points: bool = False,
    ) -> PointArrays:
        """Run a select; return the answer as arrays."""
        _check_precision(time_precision)
        if all_points:
            arrays = await self._all_points(query, timeout)
        else:
            arrays = (await self._selected(query, timeout)).points
        if time_precision is not None:
            _convert(arrays, await self._catalog.time_precision(timeout), time_precision)
        return arrays

    async def query_frame(
        self, query: str | bytes, time_precision: int | None, timeout: float, options: FrameOptions
    ) -> pandas.DataFrame:
        """Run a select; return the answer as a frame of pandas."""
        require_pandas()
        return pandas_frame(*await self._timed(query, time_precision, timeout, options))

    async def query_arrow(
        self, query: str | bytes, time_precision: int | None, timeout: float, options: FrameOptions
    ) -> pyarrow.Table:
        """Run a select; return the answer as a table of Arrow."""
        require_pyarrow()
        return arrow_table(*await self._timed(query, time_precision, timeout, options))

    async def insert(self, data: object, timeout: float, keywords: InsertKeywords) -> Any:
        """Insert lists and arrays; return what the server answers, summed up over packages."""
        options = InsertOptions(**keywords) if keywords else DEFAULT_OPTIONS
        payload = plain_payload(data)
        if payload is not None:
            return await self._carrier(_wire.REQ_INSERT, payload, timeout)
        deadline = asyncio.get_running_loop().time() + timeout
        precision = options.time_precision
        if precision is None:
            precision = await self._catalog.time_precision(timeout)
        rules = options.rules(precision)
        parts = await self._typed(parts_of(data, rules), options.on_type, rules, deadline)
        columns = [part for part in parts if isinstance(part, PointColumn)]
        if (
            len(columns) < len(parts)
            or sum(column.max_bytes for column in columns) > PACKAGE_BYTES
        ):
            for column in columns:
                column.check()  # all of them, before the first of several packages goes
        inserted = await self._send_in_turn(cut_payloads(parts), deadline)
        self._catalog.settle(_settled_types(columns, options.on_missing))
        return {"success_msg": f"Successfully inserted {inserted} point(s)."}

    async def insert_packed(self, payload: PayloadBytes, timeout: float) -> Any:
        """Insert what `encode_insert` has made."""
        return await self._carrier(_wire.REQ_INSERT, payload, timeout)

    async def _timed(
        self, query: str | bytes, time_precision: int | None, timeout: float, options: FrameOptions
    ) -> tuple[PointArrays, int, Form]:
        _check_precision(time_precision)
        own = await self._catalog.time_precision(timeout)
        if own is None:
            raise TableError(
                "the database's time precision is unknown, as the user may not ask for it (the "
                "right 'show'), so timestamps are no times; query_arrays gives them as integers"
            )
        arrays = await self.query_arrays(
            query, time_precision, timeout, all_points=options.all_points
        )
        return arrays, own if time_precision is None else time_precision, options.form

    async def _selected(self, query: str | bytes, timeout: float) -> SelectResult:
        payload = _packed_query(query, None)
        answer = await self._carrier(_wire.REQ_QUERY, payload, timeout, is_raw=True)
        return SelectResult(decode_points(answer), len(answer))

    async def _all_points(self, query: str | bytes, timeout: float) -> PointArrays:
        _packed_query(query, None)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout

        async def select(text: str | bytes) -> SelectResult:
            return await self._selected(text, deadline - loop.time())

        async def ask(text: str) -> Any:
            return await self.query(text, timeout=deadline - loop.time())

        return await Pager(select, ask).fetch(query)

    async def _ask(self, query: str, timeout: float) -> Any:
        return await self.query(query, timeout=timeout)

    async def _typed(
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

    async def _send_in_turn(self, packages: Iterator[Payload], deadline: float) -> int:
        # The next package is built while one is with the server.
        loop = asyncio.get_running_loop()
        inserted = 0
        sending: asyncio.Task[int] | None = None
        try:
            for package in packages:
                if sending is not None:
                    inserted += await sending
                sending = loop.create_task(self._send(package, deadline - loop.time()))
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

    async def _send(self, package: Payload, timeout: float) -> int:
        with memoryview(package.buffer) as view:  # held, so that the memory is not used again yet
            answer = await self.insert_packed(view, timeout)
        found = INSERTED.search(str(answer))
        return int(found[1]) if found else package.points


def _packed_query(query: str | bytes, time_precision: int | None) -> bytes:
    if not isinstance(query, (str, bytes)):
        raise TypeError(f"a query is a str or bytes, got {type(query).__name__}")
    _check_precision(time_precision)
    return packb((query, time_precision))


def _check_precision(time_precision: object) -> None:
    if time_precision not in (None, *PRECISIONS):
        raise TypeError(f"time_precision is None or 0..3, got {time_precision!r}")


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


def _settled_types(columns: list[PointColumn], on_missing: str) -> dict[str, str]:
    # A column without a point, or with missing ones only, has not created its series.
    is_whole = on_missing != "drop"
    return {c.name: c.type for c in columns if len(c) and (is_whole or c.check())}

"""Inserts of lists and arrays, as all clients have them.

Arrays are converted for a database of a time precision, with series of types. What is believed of
these is compared again before a byte is sent over a connection that was made since: the database
may be another one. Knows nothing of servers: which of them gets a request is up to what sends it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from siridb_fast.client.options import InsertKeywords, InsertOptions
from siridb_fast.columns._points import PointColumn
from siridb_fast.columns.casting import fitted_column, is_exact_as_float
from siridb_fast.columns.insert_data import parts_of, plain_payload
from siridb_fast.columns.likely_times import LikelyTimes
from siridb_fast.columns.payloads import PACKAGE_BYTES, Part, Payload, cut_payloads
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.columns.time_units import UNITS
from siridb_fast.errors import (
    ConfigError,
    DatabaseChangedError,
    PointsChangedError,
    SiriDBError,
)
from siridb_fast.protocol import _wire
from siridb_fast.query.catalog import Catalog
from siridb_fast.query.database_facts import require_precision

if TYPE_CHECKING:
    from siridb_fast.protocol._wire import PayloadBytes

__all__ = ["Inserts", "Sender"]

INSERTED = re.compile(r"inserted (\d+) point")
CONFIRM_TIMEOUT = 10.0  # seconds to ask for the types of series that are new
DEFAULT_OPTIONS = InsertOptions()

logger = logging.getLogger("siridb_fast")


class Sender(Protocol):
    """Sends one request to a server of the database; returns what the answer brings.

    ``require`` is called before each attempt, once it is known over which connection it goes.
    """

    async def __call__(
        self,
        type_: int,
        payload: PayloadBytes,
        timeout: float,
        *,
        is_raw: bool = False,
        require: Callable[[], None] | None = None,
    ) -> Any:
        """Send the request; ``timeout`` is in seconds."""


class _OutdatedError(SiriDBError):
    """A connection was made since arrays were converted."""


@dataclass(slots=True)
class _Belief:
    """What arrays were converted for."""

    generation: int  # of the catalog
    time_precision: int | None
    types: dict[str, str]  # of series


class Inserts:
    """The inserts of one client.

    Args:
        send: Sends a request to a server.
        catalog: What is known of the database.
    """

    def __init__(self, send: Sender, catalog: Catalog) -> None:
        self._send = send
        self._catalog = catalog
        self._likely_times = LikelyTimes()
        self._time_precision: int | None = None  # of the database that the client was opened for

    def accept_any(self) -> None:
        """Take the next database as it is, whatever it was."""
        self._time_precision = None

    async def insert(self, data: object, timeout: float, keywords: InsertKeywords) -> Any:
        """Insert lists and arrays; return what the server answers, summed up over packages."""
        options = InsertOptions(**keywords) if keywords else DEFAULT_OPTIONS
        payload = plain_payload(data)
        if payload is not None:
            return await self._send(_wire.REQ_INSERT, payload, timeout)
        deadline = asyncio.get_running_loop().time() + timeout
        generation = self._catalog.generation
        belief = _Belief(generation, await self._precision(options, timeout), {})
        rules = options.rules(belief.time_precision)
        given = parts_of(data, rules)
        known = await self._types(_arrays(given), deadline)
        belief.types = _first_types(_arrays(given)) | known
        parts = [_fitted(part, belief.types, options.on_type, rules) for part in given]
        columns = [part for part in parts if isinstance(part, PointColumn)]
        if (
            len(columns) < len(parts)
            or sum(column.max_bytes for column in columns) > PACKAGE_BYTES
        ):
            for column in columns:
                column.check()  # all of them, before the first of several packages goes
        inserted = await self._send_in_turn(cut_payloads(parts), belief, deadline)
        self._note_times(columns, belief.time_precision)
        created = _types_created(columns, options.on_missing)
        new = {name: type_ for name, type_ in created.items() if name not in known}
        if new:
            await self._confirm(new, columns, inserted)
        return {"success_msg": f"Successfully inserted {inserted} point(s)."}

    def _note_times(self, columns: list[PointColumn], time_precision: int | None) -> None:
        for column in columns:
            if self._likely_times.warning is None and column.shown_timestamps.dtype.kind in "iu":
                self._likely_times.note(column.first_sent, column.last_sent, time_precision)

    # ---- what the database is like

    async def _precision(self, options: InsertOptions, timeout: float) -> int | None:
        given = options.time_precision
        found = await self._catalog.time_precision(timeout)
        if given is not None and found is not None and given != found:
            raise ConfigError(
                f"time_precision= is {UNITS[given]}, but that of the database is {UNITS[found]}"
            )
        require_precision(self._time_precision, found)
        if self._time_precision is None:
            self._time_precision = found
        return found if given is None else given

    async def _types(self, columns: list[PointColumn], deadline: float) -> dict[str, str]:
        # The type of a series is fixed by its first point; later ones are cast without a word.
        types = _first_types(columns)
        left = deadline - asyncio.get_running_loop().time()
        known = await self._catalog.series_types(types, left)
        if stale := [name for name in known if known[name] != types[name]]:
            fresh = await self._catalog.series_types(stale, left, is_fresh=True)
            known = {name: known[name] for name in known if name not in stale} | fresh
        return known

    def _require(self, belief: _Belief) -> None:
        if belief.generation != self._catalog.generation:
            raise _OutdatedError("a connection was made meanwhile")

    async def _renew(self, belief: _Belief, deadline: float) -> None:
        # Ask again what the arrays were converted for; it has to be the same.
        generation = self._catalog.generation
        left = deadline - asyncio.get_running_loop().time()
        require_precision(belief.time_precision, await self._catalog.time_precision(left))
        types = await self._catalog.series_types(belief.types, left)
        for name, type_ in types.items():
            if type_ != belief.types[name]:
                raise DatabaseChangedError(
                    f"series {name!r} is of type {type_} now, and was {belief.types[name]} before"
                )
        belief.generation = generation

    async def _confirm(
        self, new: dict[str, str], columns: list[PointColumn], inserted: int
    ) -> None:
        # Another client may have met the same new series at once, with values of another type.
        try:
            types = await self._catalog.series_types(new, CONFIRM_TIMEOUT, is_fresh=True)
        except SiriDBError as exc:
            logger.warning("the types of %d new series are not confirmed: %s", len(new), exc)
            return
        if not self._catalog.may_list:
            self._catalog.remember(new)
        for column in columns:
            sent, stored = column.type, types.get(column.name, column.type)
            is_exact = (sent, stored) == ("integer", "float") and is_exact_as_float(
                column.shown_values
            )
            if column.name in new and sent != stored and not is_exact:
                error = PointsChangedError(
                    f"it was new, and another client has made it one of type {stored}: the "
                    f"server has converted what was sent as {sent}",
                    series=column.name,
                    sent=sent,
                    stored=stored,
                )
                error.points_inserted = inserted
                raise error

    # ---- sending

    async def _send_in_turn(
        self, payloads: Iterator[Payload], belief: _Belief, deadline: float
    ) -> int:
        # The next payload is built while one is with the server.
        loop = asyncio.get_running_loop()
        inserted = 0
        sending: asyncio.Task[int] | None = None
        try:
            for payload in payloads:
                if sending is not None:
                    inserted += await sending
                sending = loop.create_task(self._insert_payload(payload, belief, deadline))
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

    async def _insert_payload(self, payload: Payload, belief: _Belief, deadline: float) -> int:
        loop = asyncio.get_running_loop()
        require = partial(self._require, belief)
        with memoryview(payload.buffer) as view:  # open, so that the memory is not used again yet
            while True:
                left = deadline - loop.time()
                try:
                    answer = await self._send(_wire.REQ_INSERT, view, left, require=require)
                except _OutdatedError:
                    await self._renew(belief, deadline)
                else:
                    break
        found = INSERTED.search(str(answer))
        return int(found[1]) if found else payload.points


def _arrays(parts: list[Part]) -> list[PointColumn]:
    return [part for part in parts if isinstance(part, PointColumn) and len(part)]


def _fitted(part: Part, types: dict[str, str], on_type: str, rules: ColumnRules) -> Part:
    if isinstance(part, PointColumn) and len(part):
        return fitted_column(part, types[part.name], on_type, rules)
    return part


def _first_types(columns: list[PointColumn]) -> dict[str, str]:
    types: dict[str, str] = {}
    for column in columns:
        types.setdefault(column.name, column.type)
    return types


def _types_created(columns: list[PointColumn], on_missing: str) -> dict[str, str]:
    # A column without a point, or with missing ones only, has not created its series.
    is_whole = on_missing != "drop"
    return {c.name: c.type for c in columns if len(c) and (is_whole or c.check())}

"""What the database says of itself: its time precision, and the type of each series.

Each is queried once and remembered; without the right to query it, it is unknown. Knows the texts
of these queries in SiriDB's query language; whoever owns this gives what runs them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.errors import UserAuthError
from siridb_fast.query.select import (
    NAMES_PER_QUERY,
    QUERY_BYTES,
    name_batches,
    quote,
    quoted_bytes,
)

__all__ = ["Catalog", "quote"]

TYPES_TRUSTED = 60.0  # seconds until remembered types are forgotten and queried again
REMEMBERED_TYPES = 1_000_000  # at about 150 bytes each; then all are forgotten and queried again

logger = logging.getLogger("siridb_fast")


class Catalog:
    """What is known of one database.

    Args:
        query: Runs one, of a text and a timeout in seconds.
        clock: Tells seconds: types are not remembered for ever.
    """

    def __init__(
        self,
        query: Callable[[str, float], Awaitable[Any]],
        *,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._query = query
        self._clock = clock
        self._types_since = clock()
        self.generation = 0  # how often all was forgotten
        self._time_precision: int | None = None
        self._types: dict[str, str] = {}
        self._may_show = True
        self.may_list = True

    def forget(self) -> None:
        """Forget all: it may be another database by now, and other rights."""
        self.generation += 1
        self._time_precision = None
        self._types.clear()
        self._may_show = self.may_list = True

    async def time_precision(self, timeout: float) -> int | None:
        """Return SECOND … NANOSECOND, or None if the user may not query it."""
        if self._time_precision is None and self._may_show:
            try:
                answer = await self._query("show time_precision", timeout)
            except UserAuthError as exc:
                self._may_show = False
                logger.warning("the database's time precision is unknown: %s", exc)
            else:
                self._time_precision = TimePrecision.of_unit(answer["data"][0]["value"]).value
        return self._time_precision

    async def expirations(self, timeout: float) -> tuple[int | None, int | None]:
        """Return after how long numbers and texts expire, in the time precision.

        None if never, or if one may not ask.
        """
        if not self._may_show:
            return None, None
        try:
            answer = await self._query("show expiration_num, expiration_log", timeout)
        except UserAuthError:
            return None, None
        found = {item["name"]: item["value"] for item in answer["data"]}
        return found["expiration_num"], found["expiration_log"]

    async def fetch_types(self, names: Iterable[str], timeout: float) -> dict[str, str]:
        """Query types of series, and do not remember them; none comes if one may not list."""
        found: dict[str, str] = {}
        if self.may_list:
            try:
                for text in _queries(names):
                    found.update(await self._list(text, timeout))
            except UserAuthError as exc:
                self.may_list = False
                logger.warning("the types of existing series are unknown: %s", exc)
        return found

    async def fetch_ends(self, names: Iterable[str], timeout: float) -> dict[str, tuple[str, int]]:
        """Query type and newest timestamp of series, of those that exist.

        Raises:
            UserAuthError: The user may not list.
        """
        found: dict[str, tuple[str, int]] = {}
        for text in _queries(names, "type, end"):
            answer = await self._query(text, timeout)
            found.update((name, (kind, end)) for name, kind, end in answer["series"])
        return found

    async def series_types(
        self, names: Iterable[str], timeout: float, *, is_fresh: bool = False
    ) -> dict[str, str]:
        """Return the type of each series that exists: "integer", "float" or "string".

        A series that does not exist yet is left out. What was learnt before is not queried again
        unless it ``is_fresh``. A user who may not list gets what this client itself has inserted.
        """
        if self._clock() > self._types_since + TYPES_TRUSTED:
            self._types.clear()
            self._types_since = self._clock()
        wanted = list(names)
        unknown = wanted if is_fresh else [name for name in wanted if name not in self._types]
        if unknown and self.may_list:
            found = await self.fetch_types(unknown, timeout)
            if self.may_list:
                for name in unknown:
                    self._types.pop(name, None)
                self.remember(found)
        return {name: self._types[name] for name in wanted if name in self._types}

    def remember(self, types: dict[str, str]) -> None:
        """Remember the types of series that an insert has just created, or that were listed."""
        if len(self._types) + len(types) > REMEMBERED_TYPES:
            self._types.clear()
        self._types.update(types)

    async def _list(self, text: str, timeout: float) -> list[tuple[str, str]]:
        answer = await self._query(text, timeout)
        return [(name, kind) for name, kind in answer["series"]]


def _queries(names: Iterable[str], columns: str = "type") -> Iterator[str]:
    # The type of a series whose name is too long for a query stays unknown.
    for batch in name_batches(name for name in names if quoted_bytes(name) < QUERY_BYTES):
        yield f"list series name, {columns} {','.join(map(quote, batch))} limit {NAMES_PER_QUERY}"

"""Selects of any number of points: cut into answers that the server's point limit lets pass.

The limit, ``select_points_limit`` (one million at first), ends a select that comes to more points,
and is checked only before each further series and between pools. So the points of each series are
counted, which costs the server next to nothing, and series are selected in batches; one that is
over the limit itself is selected in windows of time, unless it is of text.

How many queries follow is bounded whatever a server says: each window is narrower than the one
that it is cut from, and so many refusals are the end.

Knows SiriDB's query language through `select`; the callables that it is given send the queries.
Memory: the points so far, and one more answer of 32 MiB or a million points.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from siridb_fast.errors import ProtocolError, QueryError, SelectLimitError
from siridb_fast.query.select import (
    QUERY_BYTES,
    Select,
    name_batches,
    parse_select,
    quote,
)

__all__ = ["Pager", "PointArrays", "SelectResult"]

DEFAULT_LIMIT = 1_000_000
FIRST_PAGE = 20_000  # points, as long as nobody knows how long they are
ANSWER_BYTES = 32 * 1024 * 1024
GROWTH = 8
BUCKETS = 10_000
BUCKETS_PER_WINDOW = 8
LIST_ROWS = 1000  # a list_limit below is refused
MAX_REFUSALS = 500  # of the point limit, in one select: each has made pages half as large
ENDS_OF_TIME = (2**32, 2**63)  # of seconds, of other precisions; no query may name them
LIMIT_TEXT: Final = re.compile(r"selected points \((\d+)\)")

Points = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[Any]]]
PointArrays = dict[str, Points]
SeriesName = str | bytes  # bytes, if it is not UTF-8
NO_POINTS: Final[Points] = (np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class SelectResult:
    """What a select brought: its points, and the bytes they came in."""

    points: PointArrays
    bytes: int


@dataclass(frozen=True, slots=True)
class Size:
    """A series, how many points are to come of it, and the timestamp of the last one."""

    name: str
    points: int
    last: int


@dataclass(frozen=True, slots=True)
class Span:
    """Times ``start <= timestamp < stop`` in which a series has so many points."""

    start: int
    stop: int
    points: int


class Pager:
    """One select, all of whose points are wanted.

    Args:
        select: Runs a select.
        query: Runs another query; returns its answer as dicts and lists.
    """

    def __init__(
        self,
        select: Callable[[str | bytes], Awaitable[SelectResult]],
        query: Callable[[str], Awaitable[Any]],
    ) -> None:
        self._run_select = select
        self._run_query = query
        self._limit = DEFAULT_LIMIT
        self._page_points = FIRST_PAGE
        self._refusals = 0
        self._pieces: dict[str, list[Points]] = {}

    async def fetch(self, query: str | bytes) -> PointArrays:
        """Return what the query would return without the server's limit, in the same order.

        If the points fit one answer, the query is sent as it is, and the answer is of one moment.
        Else ``now`` is read once, and points that arrive or go meanwhile may or may not be in the
        answer; no point comes twice, and none that was there before and stays is missing.

        Raises:
            SelectLimitError: The points of many series merged into one, or one series of an
                aggregation, are over the limit; or the server refuses whatever it is asked.
            ProtocolError: The server counts points of times that it was not asked for.
        """
        select = parse_select(query)
        if select is None:
            return (await self._run_select(query)).points
        sizes = await self._count_if_cheap(select)
        if sum(size.points for size in sizes) <= self._limit:
            try:
                return (await self._run_select(query)).points
            except SelectLimitError as exc:
                _refuse_merge(select, exc)
                self._lower_limit(exc)
        sizes = sizes or await self._count_points(select)
        return await self._fetch_pages(select, sizes)

    async def _count_if_cheap(self, select: Select) -> list[Size]:
        # Counting costs as much as aggregating. A wrong text is sent, for the server's own error.
        if select.merge or select.is_reduced:
            return []
        try:
            return await self._count_points(select)
        except SelectLimitError:
            raise
        except QueryError:
            return []

    async def _fetch_pages(self, select: Select, sizes: list[Size]) -> PointArrays:
        select = await self._without_now(select)
        for batch in self._series_batches(select, sizes):
            await self._fetch_batch(select, batch)
        return self._join()

    async def _count_points(
        self, select: Select, first: SeriesName | None = None, stop: SeriesName | None = None
    ) -> list[Size]:
        # One point for each series: there may be more series than points in an answer.
        named = select.with_names_between(first, stop)
        try:
            counted = (await self._run_select(str(named.with_method("count()")))).points
        except SelectLimitError as exc:
            self._lower_limit(exc)
            middle = await self._middle_name(named)
            if middle is None or not _is_between(middle, first, stop):
                raise
            lower = await self._count_points(select, first, middle)
            return lower + await self._count_points(select, middle, stop)
        return [
            Size(name, select.max_points(int(counts[0])), int(times[0]))
            if len(counts)
            else Size(name, 0, 0)
            for name, (times, counts) in counted.items()
        ]

    async def _middle_name(self, select: Select) -> SeriesName | None:
        answer = await self._run_query(select.list_query(LIST_ROWS))
        names: list[SeriesName] = sorted((name for (name,) in answer["series"]), key=_name_key)
        return names[len(names) // 2] if len(names) > 1 else None

    async def _without_now(self, select: Select) -> Select:
        # The server reads its clock for each query; and a number can be cut into windows.
        start, stop = select.time_bounds()
        if not start and not stop:
            return select
        first = await self._calculate(start) if start else 0
        return select.within(first, await self._calculate(stop) if stop else None)

    async def _calculate(self, expression: str) -> int:
        answer = await self._run_query(expression)
        if not isinstance(answer, dict) or "calc" not in answer:
            raise QueryError(f"the server does not calculate the time {expression!r}")
        return int(answer["calc"])

    def _series_batches(self, select: Select, sizes: list[Size]) -> Iterator[list[Size]]:
        # The shortest first, so that it is known what a point takes before the long ones come.
        by_name = {size.name: size for size in sorted(sizes, key=lambda size: size.points)}
        empty = len(str(select.of_series("")).encode("utf-8", "surrogatepass"))
        for names in name_batches(by_name, QUERY_BYTES - empty):
            batch: list[Size] = []
            points = 0
            for size in map(by_name.__getitem__, names):
                if batch and points + size.points > self._page_points:
                    yield batch
                    batch, points = [], 0
                batch.append(size)
                points += size.points
            yield batch

    async def _fetch_batch(self, select: Select, batch: Sequence[Size]) -> None:
        points = sum(size.points for size in batch)
        is_cut = select.is_plain and select.clause not in ("head", "tail")
        if len(batch) == 1 and is_cut and points > self._page_points:
            await self._fetch_series(select, batch[0])
            return
        names = ",".join(quote(size.name) for size in batch)
        try:
            await self._fetch(select.of_series(names), points)
        except SelectLimitError as exc:
            self._lower_limit(exc)
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._fetch_batch(select, batch[:middle])
                await self._fetch_batch(select, batch[middle:])
            elif is_cut:
                await self._fetch_series(select, batch[0])
            elif select.methods_count > 1:
                size = replace(batch[0], points=points // select.methods_count)
                for of_method in select.split_methods():
                    await self._fetch_batch(of_method, [size])
            else:
                raise

    async def _fetch_series(self, select: Select, size: Size) -> None:
        select = select.of_series(quote(size.name))
        times, values = await self._select_one(select.without_clause().with_method("first()"))
        if values.dtype == object:
            # A server before 2.0.54 gives the texts of other times where a clause cuts a shard.
            await self._fetch(select, size.points)
            return
        if not len(times):
            return  # dropped meanwhile
        start = max(int(times[0]), int(select.time_bounds()[0].split()[0]) if select.clause else 0)
        end = size.last + 1
        if start < end:
            await self._fetch_span(select, Span(start, end, size.points), end)

    async def _fetch_span(self, select: Select, span: Span, end: int) -> None:
        if span.points <= self._page_points or span.stop - span.start == 1:
            await self._fetch_window(select, span, end)
            return
        buckets = await self._buckets(select, span, end)
        start = 0
        while start < len(buckets):  # where there is no point, nothing is selected
            points, stop = buckets[start].points, start + 1
            while stop < len(buckets) and points + buckets[stop].points <= self._page_points:
                points += buckets[stop].points
                stop += 1
            window = Span(buckets[start].start, buckets[stop - 1].stop, points)
            await self._fetch_span(select, window, end)
            start = stop

    async def _buckets(self, select: Select, span: Span, end: int) -> list[Span]:
        # count(w) gives the points of w*(k-1) < timestamp <= w*k at w*k, where there are any.
        windows = span.points * BUCKETS_PER_WINDOW // self._page_points
        wanted = min(BUCKETS, self._limit - 2, windows)
        width = -(-(span.stop - span.start) // max(2, wanted))
        counting = _window(select, span, end).with_method(f"count({width})")
        times, counts = await self._select_one(counting)
        buckets, start = [], span.start  # a label may have 64 bits
        for label, points in zip(times.view(np.uint64).tolist(), counts.tolist(), strict=True):
            if start >= span.stop:
                break  # a point that has just arrived
            if label < start:
                raise ProtocolError(f"points counted at {label}, but asked from {start} on")
            stop = label + 1
            stop = stop if start < stop < span.stop else span.stop
            buckets.append(Span(max(start, label - width + 1), stop, points))
            start = stop
        return buckets

    async def _select_one(self, select: Select) -> Points:
        # Of one series, which may be gone.
        answer = await self._run_select(str(select))
        return next(iter(answer.points.values()), NO_POINTS)

    async def _fetch_window(self, select: Select, span: Span, end: int) -> None:
        try:
            await self._fetch(_window(select, span, end), span.points)
        except SelectLimitError as exc:
            self._lower_limit(exc)
            middle = (span.start + span.stop) // 2
            if middle == span.start:
                raise
            for start, stop in ((span.start, middle), (middle, span.stop)):
                await self._fetch_window(select, Span(start, stop, span.points // 2), end)

    async def _fetch(self, select: Select, expected: int) -> None:
        answer = await self._run_select(str(select))
        for name, pair in answer.points.items():
            self._pieces.setdefault(name, []).append(pair)
        points = max(expected, sum(len(times) for times, _ in answer.points.values()))
        if points:
            fitting = ANSWER_BYTES * points // max(1, answer.bytes)
            grown = GROWTH * max(points, self._page_points)
            self._page_points = max(1, min(self._limit, fitting, grown))

    def _lower_limit(self, error: SelectLimitError) -> None:
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            raise error
        found = LIMIT_TEXT.search(str(error))
        if found:
            self._limit = max(1, int(found[1]))
        self._page_points = max(1, min(self._limit, self._page_points // 2))

    def _join(self) -> PointArrays:
        joined: PointArrays = {}
        for name in sorted(self._pieces, key=_name_key):
            pieces = self._pieces.pop(name)
            pieces = [piece for piece in pieces if len(piece[0])] or pieces[:1]
            times, values = zip(*pieces, strict=True)
            joined[name] = (
                pieces[0] if len(pieces) == 1 else (np.concatenate(times), np.concatenate(values))
            )
        return joined


def _name_key(name: SeriesName) -> bytes:
    return name if isinstance(name, bytes) else name.encode()


def _is_between(name: SeriesName, first: SeriesName | None, stop: SeriesName | None) -> bool:
    # Whether both parts are smaller, if the series are divided at this name.
    key = _name_key(name)
    is_above = first is None or key > _name_key(first)
    return is_above and (stop is None or key < _name_key(stop))


def _refuse_merge(select: Select, error: SelectLimitError) -> None:
    if select.merge:
        raise SelectLimitError(
            f"{error} Points of several series that are merged ('merge {select.merge}') cannot be "
            "paged: select the series without the merge"
        ) from error


def _window(select: Select, span: Span, end: int) -> Select:
    is_open = span.stop == end and end in ENDS_OF_TIME
    return select.within(span.start, None if is_open else span.stop)

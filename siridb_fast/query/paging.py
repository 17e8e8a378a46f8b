"""Selects of any number of points: cut into answers that the server's point limit lets pass.

The limit, ``select_points_limit`` (one million at first), ends a select that comes to more points,
and is only looked at before each further series and between pools. So the points of each series
are counted, which costs the server next to nothing, and series are asked for in groups; one that
is over the limit itself is asked for in windows of time, unless it is of text.

Knows SiriDB's query language through `selects`; the asking itself is done by whoever gives the
callables. What is held here is the answers, and one more of 32 MiB or a million points.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from siridb_fast.errors import QueryError, SelectLimitError
from siridb_fast.query.select import (
    QUERY_BYTES,
    Select,
    name_batches,
    parse_select,
    quote,
)

__all__ = ["Pager", "PointArrays", "SelectResult"]

DEFAULT_LIMIT = 1_000_000
FIRST_ROOM = 20_000  # points, as long as nobody knows how long they are
ANSWER_BYTES = 32 * 1024 * 1024
GROWTH = 8
BUCKETS = 10_000
BUCKETS_PER_WINDOW = 8
LIST_ROWS = 1000  # a list_limit below is refused
ENDS_OF_TIME = (2**32, 2**63)  # of seconds, of other precisions; no query may name them
LIMIT_TEXT: Final = re.compile(r"selected points \((\d+)\)")

Points = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[Any]]]
PointArrays = dict[str, Points]
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
        self._ask = select
        self._query = query
        self._limit = DEFAULT_LIMIT
        self._room = FIRST_ROOM
        self._pieces: dict[str, list[Points]] = {}

    async def fetch(self, query: str | bytes) -> PointArrays:
        """Return what the query would return without the server's limit, in the same order.

        If the points fit one answer, the query is sent as it is, and the answer is of one moment.
        Else ``now`` is read once, and points that arrive or go meanwhile may or may not be in the
        answer; no point comes twice, and none that was there before and stays is missing.

        Raises:
            SelectLimitError: The points of many series merged into one, or one series of an
                aggregation, are over the limit.
        """
        select = parse_select(query)
        if select is None:
            return (await self._ask(query)).points
        sizes = await self._counted(select)
        if sum(size.points for size in sizes) <= self._limit:
            try:
                return (await self._ask(query)).points
            except SelectLimitError as exc:
                _refuse_merge(select, exc)
                self._learn(exc)
        return await self._paged(select, sizes or await self._sizes(select, None, None))

    async def _counted(self, select: Select) -> list[Size]:
        # To count is as much work as to aggregate, and a wrong text has its own error.
        if select.merge or select.is_reduced:
            return []
        try:
            return await self._sizes(select, None, None)
        except SelectLimitError:
            raise
        except QueryError:
            return []

    async def _paged(self, select: Select, sizes: list[Size]) -> PointArrays:
        select = await self._without_now(select)
        for group in self._groups(select, sizes):
            await self._fetch_group(select, group)
        return self._joined()

    async def _sizes(self, select: Select, first: str | None, stop: str | None) -> list[Size]:
        # One point for each series: there may be more series than points in an answer.
        part = select.named(first, stop)
        try:
            counted = (await self._ask(str(part.asking("count()")))).points
        except SelectLimitError as exc:
            self._learn(exc)
            middle = await self._middle_name(part)
            if middle is None:
                raise
            lower = await self._sizes(select, first, middle)
            return lower + await self._sizes(select, middle, stop)
        return [
            Size(name, select.points_of(int(counts[0])), int(times[0]))
            if len(counts)
            else Size(name, 0, 0)
            for name, (times, counts) in counted.items()
        ]

    async def _middle_name(self, select: Select) -> str | None:
        answer = await self._query(select.listing(LIST_ROWS))
        names = sorted((str(name) for (name,) in answer["series"]), key=_name_key)
        return names[len(names) // 2] if len(names) > 1 else None

    async def _without_now(self, select: Select) -> Select:
        # The server reads its clock for each query; and a number can be cut into windows.
        start, stop = select.bounds()
        if not start and not stop:
            return select
        first = await self._calculated(start) if start else 0
        return select.within(first, await self._calculated(stop) if stop else None)

    async def _calculated(self, expression: str) -> int:
        answer = await self._query(expression)
        if not isinstance(answer, dict) or "calc" not in answer:
            raise QueryError(f"the server does not calculate the time {expression!r}")
        return int(answer["calc"])

    def _groups(self, select: Select, sizes: list[Size]) -> Iterator[list[Size]]:
        # The shortest first, so that it is known what a point takes before the long ones come.
        by_name = {size.name: size for size in sorted(sizes, key=lambda size: size.points)}
        frame = len(str(select.of("")).encode("utf-8", "surrogatepass"))
        for names in name_batches(by_name, QUERY_BYTES - frame):
            group: list[Size] = []
            points = 0
            for size in map(by_name.__getitem__, names):
                if group and points + size.points > self._room:
                    yield group
                    group, points = [], 0
                group.append(size)
                points += size.points
            yield group

    async def _fetch_group(self, select: Select, group: Sequence[Size]) -> None:
        points = sum(size.points for size in group)
        is_cut = select.is_plain and select.clause not in ("head", "tail")
        if len(group) == 1 and is_cut and points > self._room:
            await self._fetch_series(select, group[0])
            return
        names = ",".join(quote(size.name) for size in group)
        try:
            await self._fetch(select.of(names), points)
        except SelectLimitError as exc:
            self._learn(exc)
            if len(group) > 1:
                middle = len(group) // 2
                await self._fetch_group(select, group[:middle])
                await self._fetch_group(select, group[middle:])
            elif is_cut:
                await self._fetch_series(select, group[0])
            elif select.methods_count > 1:
                size = replace(group[0], points=points // select.methods_count)
                for part in select.apart():
                    await self._fetch_group(part, [size])
            else:
                raise

    async def _fetch_series(self, select: Select, size: Size) -> None:
        select = select.of(quote(size.name))
        times, values = await self._one(select.always().asking("first()"))
        if values.dtype == object:
            # A server before 2.0.54 gives the texts of other times where a clause cuts a shard.
            await self._fetch(select, size.points)
            return
        if not len(times):
            return  # dropped meanwhile
        start = max(int(times[0]), int(select.bounds()[0].split()[0]) if select.clause else 0)
        end = size.last + 1
        if start < end:
            await self._fetch_span(select, Span(start, end, size.points), end)

    async def _fetch_span(self, select: Select, span: Span, end: int) -> None:
        if span.points <= self._room or span.stop - span.start == 1:
            await self._fetch_window(select, span, end)
            return
        buckets = await self._buckets(select, span, end)
        start = 0
        while start < len(buckets):  # where there is no point, nothing is asked
            points, stop = buckets[start].points, start + 1
            while stop < len(buckets) and points + buckets[stop].points <= self._room:
                points += buckets[stop].points
                stop += 1
            window = Span(buckets[start].start, buckets[stop - 1].stop, points)
            await self._fetch_span(select, window, end)
            start = stop

    async def _buckets(self, select: Select, span: Span, end: int) -> list[Span]:
        # count(w) gives the points of w*(k-1) < timestamp <= w*k at w*k, where there are any.
        wanted = min(BUCKETS, self._limit - 2, span.points * BUCKETS_PER_WINDOW // self._room)
        width = -(-(span.stop - span.start) // max(2, wanted))
        times, counts = await self._one(_window(select, span, end).asking(f"count({width})"))
        buckets, start = [], span.start  # a label may have 64 bits
        for label, points in zip(times.view(np.uint64).tolist(), counts.tolist(), strict=True):
            if start >= span.stop:
                break  # a point that has just arrived
            stop = label + 1
            stop = stop if start < stop < span.stop else span.stop
            buckets.append(Span(max(start, label - width + 1), stop, points))
            start = stop
        return buckets

    async def _one(self, select: Select) -> Points:
        # Of one series, which may be gone.
        answer = await self._ask(str(select))
        return next(iter(answer.points.values()), NO_POINTS)

    async def _fetch_window(self, select: Select, span: Span, end: int) -> None:
        try:
            await self._fetch(_window(select, span, end), span.points)
        except SelectLimitError as exc:
            self._learn(exc)
            middle = (span.start + span.stop) // 2
            if middle == span.start:
                raise
            for start, stop in ((span.start, middle), (middle, span.stop)):
                await self._fetch_window(select, Span(start, stop, span.points // 2), end)

    async def _fetch(self, select: Select, expected: int) -> None:
        answer = await self._ask(str(select))
        for name, pair in answer.points.items():
            self._pieces.setdefault(name, []).append(pair)
        points = max(expected, sum(len(times) for times, _ in answer.points.values()))
        if points:
            fitting = ANSWER_BYTES * points // max(1, answer.bytes)
            self._room = max(1, min(self._limit, fitting, GROWTH * max(points, self._room)))

    def _learn(self, error: SelectLimitError) -> None:
        found = LIMIT_TEXT.search(str(error))
        if found:
            self._limit = max(1, int(found[1]))
        self._room = max(1, min(self._limit, self._room // 2))

    def _joined(self) -> PointArrays:
        joined: PointArrays = {}
        for name in sorted(self._pieces, key=_name_key):
            pieces = self._pieces.pop(name)
            pieces = [piece for piece in pieces if len(piece[0])] or pieces[:1]
            times, values = zip(*pieces, strict=True)
            joined[name] = (
                pieces[0] if len(pieces) == 1 else (np.concatenate(times), np.concatenate(values))
            )
        return joined


def _name_key(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _refuse_merge(select: Select, error: SelectLimitError) -> None:
    if select.merge:
        raise SelectLimitError(
            f"{error} Points of several series that are merged ('merge {select.merge}') cannot be "
            "paged: select the series without the merge"
        ) from error


def _window(select: Select, span: Span, end: int) -> Select:
    is_open = span.stop == end and end in ENDS_OF_TIME
    return select.within(span.start, None if is_open else span.stop)

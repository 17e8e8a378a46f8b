"""Who loads the rows of TSBS: our ways, the ceiling, and what its SiriDB loader sends.

A row becomes what a program has in hand: of `cpu-only` an array of ten values, or all rows of one
time as one array; of `iot` a list with None where a value is missing, or as arrays the rows that
come while ten times go by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.baselines.ceiling import Address, Contestant
from benchmarks.baselines.ceiling import Shape as PackageShape
from benchmarks.data.tsbs import METRICS, CpuOnly, Shape
from benchmarks.data.tsbs_iot import DIAGNOSTICS, FIELDS, READINGS, STATUS, Iot
from benchmarks.entrants.lap import Entrant, Writing, bare_entrant
from siridb_fast import BatchWriter

__all__ = [
    "BATCH_ROWS",
    "by_host_tickers",
    "by_one_ticker",
    "by_row_batches",
    "by_truck_tickers",
    "ready_made",
    "rows_as_lists",
    "the_loader",
]

BATCH_ROWS = 10_000  # the default of TSBS's loaders
PACKAGE_SERIES = 20
ONE_BY_ONE = Contestant(PackageShape(1, 1), 1, 1)  # the shape does not count: packages are given


def by_host_tickers(writing: Writing, tsbs: CpuOnly) -> Entrant:
    """Write rows as they come, each through the ticker of its host; drain after each time."""
    names, step = tsbs.names("hosts"), len(METRICS)
    tickers = [writing.writer.ticker(names[i : i + step]) for i in range(0, tsbs.series, step)]
    rows = tsbs.values.reshape(tsbs.times, tsbs.hosts, step)

    async def send(writer: BatchWriter, times: list[int]) -> None:
        for timestamp, by_host in zip(times, rows, strict=True):
            for ticker, row in zip(tickers, by_host, strict=True):
                ticker.write(timestamp, row)
            await writer.drain()

    return writing.entrant("hosts", tsbs.points, _times(tsbs), send)


def by_one_ticker(writing: Writing, tsbs: CpuOnly) -> Entrant:
    """Write all rows of one time at once."""
    ticker = writing.writer.ticker(tsbs.names("whole"))

    async def send(writer: BatchWriter, times: list[int]) -> None:
        for timestamp, values in zip(times, tsbs.values, strict=True):
            ticker.write(timestamp, values)
            await writer.drain()

    return writing.entrant("whole", tsbs.points, _times(tsbs), send)


def by_truck_tickers(writing: Writing, iot: Iot) -> Entrant:
    """Write rows as they come through two tickers for each truck; drain after every 100 rows."""
    names = iot.names("hosts")
    bounds = (0, len(READINGS), FIELDS)
    tickers = [
        [writing.writer.ticker(names[first + a : first + b]) for a, b in pairwise(bounds)]
        for first in range(0, iot.series, FIELDS)
    ]
    chosen = [
        tickers[truck][0 if is_readings else 1]
        for truck, is_readings in zip(iot.truck.tolist(), iot.is_readings.tolist(), strict=True)
    ]
    rows, indices = rows_as_lists(iot), iot.time.tolist()

    async def send(writer: BatchWriter, times: list[int]) -> None:
        for start in range(0, len(rows), 100):
            part = slice(start, start + 100)
            for ticker, index, row in zip(chosen[part], indices[part], rows[part], strict=True):
                ticker.write(times[index], row)
            await writer.drain()

    return writing.entrant("hosts", iot.points, _times(iot), send)


def by_row_batches(writing: Writing, iot: Iot) -> Entrant:
    """Write the rows of ten times at once by `write_rows`: first the floats, then the integers."""
    names, step = iot.names("whole"), 10 * 2 * iot.hosts

    async def send(writer: BatchWriter, lap: int) -> None:
        for start in range(0, iot.rows, step):
            codes, stamps, values = iot.flat(lap, start, start + step)
            is_status = codes % FIELDS == STATUS
            for some, dtype in ((~is_status, np.float64), (is_status, np.int64)):
                column = values[some].astype(dtype, copy=False)
                await writer.write_rows(names, codes[some], stamps[some], column)

    return writing.entrant("whole", iot.points, lambda lap: lap, send)


def ready_made(to: Address, best: Contestant, tsbs: Shape) -> AbstractContextManager[Entrant]:
    """Send packages of 20 series each, all points of a lap in order: the ceiling."""

    def make(lap: int) -> list[memoryview]:
        return tsbs.by_series("ceiling", lap, PACKAGE_SERIES)

    return bare_entrant(to, best, tsbs.points, make=make)


def the_loader(
    to: Address, tsbs: Shape, rows: int, batches: int
) -> AbstractContextManager[Entrant]:
    """Send packages of so many rows, one when that before is acknowledged, all made beforehand."""
    name = f"by_{rows}_rows"

    def make(lap: int) -> list[memoryview]:
        return tsbs.by_rows(name, lap, rows, batches)

    return bare_entrant(to, ONE_BY_ONE, tsbs.points_of(rows * batches), name=name, make=make)


def rows_as_lists(iot: Iot) -> list[Sequence[float | None]]:
    rows: list[Sequence[float | None]] = []
    for is_readings, row in zip(iot.is_readings.tolist(), iot.values.tolist(), strict=True):
        values = [None if math.isnan(value) else value for value in row]
        if not is_readings:
            *floats, status = values[: len(DIAGNOSTICS)]
            values = [*floats, None if status is None else int(status)]
        rows.append(values)
    return rows


def _times(tsbs: CpuOnly | Iot) -> Callable[[int], Any]:
    return lambda lap: tsbs.timestamps(lap).tolist()

"""`late="compare"`: whatever is sent again, however it is cut and ordered, is stored once."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import BatchWriter
from siridb_fast.testing import FaultProxy
from tests.fix_examples import examples
from tests.fix_server import Database
from tests.writer.late_stream import FIRST, Point, Stream, points_of, require_once


def compares(url: str, **options: Any) -> BatchWriter:
    return BatchWriter(url, **({"late": "compare", "linger": 0.01} | options))


async def write_somehow(writer: BatchWriter, body: Sequence[Point], way: int) -> list[Any]:
    """Write a body in one of the ways that there are; return the deliveries, if it has some."""
    if way == 0:
        return [await writer.write_many(points_of(body))]
    if way == 1:
        for type_ in "fis":
            some = [one for one in body if one.series[0] == type_]
            if some:
                names = sorted({one.series for one in some})
                values = [one.value for one in some]
                delivery = await writer.write_rows(
                    names,
                    [names.index(one.series) for one in some],
                    [one.timestamp for one in some],
                    np.array(values, object) if type_ == "s" else np.array(values),
                )
                yield_ = delivery
                await asyncio.sleep(0)
        return [yield_]
    for one in body:
        if way == 2:
            writer.write(one.series, one.timestamp, one.value)
        else:
            writer.series(one.series).append(one.timestamp, one.value)
    await writer.drain()
    return []


@pytest.mark.parametrize("seed", range(examples(6)))
async def test_stream_that_is_sent_again_in_other_bodies_is_stored_once(
    database: Database, seed: int
) -> None:
    stream = Stream(seed)
    deliveries = []
    async with compares(database.url) as writer:
        for body in stream.bodies():
            deliveries += await write_somehow(writer, body, stream.random.randrange(4))
            if stream.random.random() < 0.2:
                await asyncio.sleep(stream.random.choice([0, 0.01, 0.05]))
        reports = [await delivery for delivery in deliveries]
        report = await writer.flush()
        stats = writer.stats()
    assert all(one.is_complete for one in reports)
    assert report.points == stats.written == stats.delivered
    assert stats.late is not None
    assert 0 < stats.late.already_stored <= stats.late.compared
    assert stats.late.waiting == 0
    assert stats.written - stats.late.already_stored == len(
        {
            (p.series, p.timestamp, str(p.value + 0.0 if p.series[0] == "f" else p.value))
            for p in stream.points
        }
    )
    await require_once(database, stream.points)

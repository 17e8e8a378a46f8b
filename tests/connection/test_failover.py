"""What networks do to a writer and a client: each fault ends with every point stored once."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siridb_fast import (
    BatchWriter,
    ConnectionLost,
    PoolError,
    ProtocolError,
    SiriDBClient,
    SiriDBError,
)
from siridb_fast.testing import FaultProxy
from tests.fix_loop import eventually
from tests.fix_server import Database

pytestmark = pytest.mark.usefixtures("fast_retry")

INTERVAL = 1.5  # seconds between keep-alives, and until an answer; a busy machine takes a part
OPTIONS = f"keepalive_interval={INTERVAL}&max_wait_retry=0.2&timeout=10"
POINTS = 20_000
LONG = 40.0  # for what usually takes a moment
LEAD = 2.0  # by which a package is late before those behind it


def url_through(proxy: FaultProxy, database: Database) -> str:
    return f"siridb://iris:siri@{proxy.host}:{proxy.port}/{database.name}?{OPTIONS}"


async def stored_times(database: Database, name: str) -> list[int]:
    async with database.client() as client:
        text = f"select * from '{name}'"  # noqa: S608 - our own names
        found = await client.query_arrays(text, all_points=True)
    return found[name][0].tolist() if name in found else []


FAULTS: dict[str, Callable[[FaultProxy], None]] = {
    "closed": lambda proxy: proxy.cut(),
    "reset": lambda proxy: proxy.reset(),
    "cut in the header of a package": lambda proxy: proxy.cut(after=5),
    "cut behind the header of a package": lambda proxy: proxy.cut(after=8),
    "cut in a package": lambda proxy: proxy.cut(after=10_000),
    "reset in a package": lambda proxy: proxy.reset(after=10_000),
    "cut before an answer": lambda proxy: proxy.cut(after=1, direction="answers"),
    "cut in the header of an answer": lambda proxy: proxy.cut(after=5, direction="answers"),
    "garbage in the length of an answer": lambda proxy: proxy.corrupt(after=3),
    "garbage in the type of an answer": lambda proxy: proxy.corrupt(after=6),
    "stalled": lambda proxy: proxy.stall(1.0),
    "slow": lambda proxy: proxy.throttle(200_000),
    "black hole": lambda proxy: proxy.black_hole(),
    "refused": lambda proxy: proxy.refuse(),
}


@pytest.mark.parametrize("durability", ["acked", "safe"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_point_is_stored_once(
    database: Database, proxy: FaultProxy, fault: str, durability: str
) -> None:
    async with writer_through(proxy, database, durability) as writer:
        writer.write("a", 0, 0)
        await writer.flush()
        FAULTS[fault](proxy)
        await write_points(writer, range(1, POINTS))
        await asyncio.sleep(1.0 if fault in ("black hole", "refused") else 0)
        proxy.heal()
        report = await writer.flush(timeout=LONG)
        assert report.is_complete, report.rejected or report.in_doubt
    assert await stored_times(database, "a") == list(range(POINTS))


@pytest.mark.one_loop
@pytest.mark.parametrize("durability", ["acked", "safe"])
async def test_every_point_is_stored_once_though_an_answer_has_the_wrong_number(
    database: Database, proxy: FaultProxy, durability: str
) -> None:
    # Such an answer is missed, and nothing tells but the end of the time that a package has. What
    # is acknowledged on the same connection has as much until it has to be safe, and comes later.
    async with writer_through(proxy, database, durability, delivery_timeout=5) as writer:
        writer.write("a", 0, 0)
        await writer.flush()
        proxy.corrupt(after=4)
        writer.write("a", 1, 1)
        await eventually(lambda: bool(proxy.faults) and proxy.faults[-1].kind == "corrupt")
        await asyncio.sleep(LEAD)
        await write_points(writer, range(2, POINTS))
        report = await writer.flush(timeout=LONG)
        assert report.is_complete, report.rejected or report.in_doubt
    assert await stored_times(database, "a") == list(range(POINTS))


def writer_through(
    proxy: FaultProxy, database: Database, durability: str, *, delivery_timeout: float = LONG
) -> BatchWriter:
    return BatchWriter(
        url_through(proxy, database),
        linger=0.01,
        package_bytes=20_000,
        delivery_timeout=delivery_timeout,
        durability=durability,  # type: ignore[arg-type]
    )


async def write_points(writer: BatchWriter, times: range) -> None:
    for n in times:
        writer.write("a", n, n)
        if n % 1000 == 0:
            await asyncio.sleep(0.01)


async def test_black_hole_is_noticed_within_two_intervals(
    database: Database, proxy: FaultProxy
) -> None:
    async with SiriDBClient.from_url(url_through(proxy, database)) as client:
        proxy.black_hole()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises((ConnectionLost, PoolError)):
            await client.query("show uptime", timeout=20 * INTERVAL)
        assert loop.time() - began < 15 * INTERVAL  # two of them, if the machine is quiet


async def test_garbage_is_an_error_of_the_client(database: Database, proxy: FaultProxy) -> None:
    async with SiriDBClient.from_url(url_through(proxy, database)) as client:
        await client.query("show uptime")
        proxy.corrupt(after=7)  # the check of the header
        with pytest.raises(SiriDBError) as caught:
            await client.query("show uptime", timeout=5)
        cause = caught.value.__cause__ or caught.value
        assert isinstance(cause, (ProtocolError, ConnectionLost))
        await eventually(lambda: client.connected)
        assert await client.query("show uptime")


async def test_outage_behind_a_proxy_goes_to_the_spool(
    database: Database, proxy: FaultProxy, tmp_path: Path
) -> None:
    path = tmp_path / "spool"
    async with BatchWriter(url_through(proxy, database), linger=0.01, spool=path) as writer:
        await writer.write_arrays("a", np.arange(1000), np.arange(1000))
        await writer.flush()
        proxy.black_hole()
        await writer.write_arrays("a", np.arange(1000, 2000), np.arange(1000))
        await writer.flush(timeout=10)
        assert writer.stats().spooled == 1000
        proxy.heal()
        await eventually(lambda: writer.stats().spooled == 0)
    assert await stored_times(database, "a") == list(range(2000))

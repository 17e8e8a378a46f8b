"""A load tells its portions what became of them, in their order, and none of them too early."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import pytest
from conftest import INSERT, QUERY, respond

from siridb_fast import Report, packb
from siridb_fast.errors import DeliveryError
from siridb_fast.frame_points import FramePoints, FrameReader
from siridb_fast.load_options import LoadOptions
from siridb_fast.loading import Loader
from siridb_fast.sources import SeriesPortion
from siridb_fast.testing import ScriptedPeer, ScriptedServer

ERR_INSERT = 66


@dataclass
class Recorded:
    """A portion of one long run that notes what it is told."""

    name: str
    reports: list[Report] = field(default_factory=list)
    total_rows: int | None = None
    is_doubtful: bool = False

    def read(self, reader: FrameReader) -> FramePoints:
        rows = np.arange(200_000)
        return SeriesPortion(((self.name, rows, rows / 2),)).read(reader)

    def delivered(self, report: Report) -> None:
        self.reports.append(report)


async def answer(peer: ScriptedPeer, came: asyncio.Event) -> None:
    """Refuse what has points of the series "refused", accept the rest."""
    await peer.accept_auth()
    while True:
        package = await peer.read_package(timeout=30)
        if package.type == QUERY and b"expiration" in package.payload:
            settings = [{"name": f"expiration_{n}", "value": None} for n in ("num", "log")]
            await peer.send(package.pid, QUERY, packb({"data": settings}))
        elif package.type == INSERT and b"refused" in package.payload:
            await peer.send(package.pid, ERR_INSERT, packb({"error_msg": "no"}))
        else:
            await respond(peer, package)
        if package.type == INSERT:
            came.set()


async def refuse(peer: ScriptedPeer) -> None:
    await answer(peer, asyncio.Event())


async def test_portion_behind_one_that_was_not_delivered_is_not_told_so() -> None:
    sources = [Recorded("refused"), Recorded("second"), Recorded("third")]
    async with ScriptedServer(refuse) as server:
        url = f"siridb://user:word@{server.host}:{server.port}/db"
        with pytest.raises(DeliveryError):
            await Loader(url, LoadOptions()).load(sources)
    assert not any(report.is_complete for report in sources[0].reports)
    assert sources[1].reports == sources[2].reports == []


async def test_portion_that_was_taken_in_part_is_told_nothing() -> None:
    taken = asyncio.Event()

    async def accept(peer: ScriptedPeer) -> None:
        await answer(peer, taken)

    portion = Recorded("first")

    async with ScriptedServer(accept) as server:
        url = f"siridb://user:word@{server.host}:{server.port}/db"
        options = LoadOptions(max_buffered=4 * 1024 * 1024)
        load = asyncio.create_task(Loader(url, options).load([portion] * 40))
        await asyncio.wait_for(taken.wait(), 10)
        load.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await load
    told = sum(report.points for report in portion.reports)
    assert all(report.points == 200_000 for report in portion.reports)
    assert told < 40 * 200_000
    assert any("before that, " in text for text in caught.value.__notes__)

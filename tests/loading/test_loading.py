"""A load reports to its portions what became of them, in their order, and none too early."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from siridb_fast import Report, packb
from siridb_fast.errors import DeliveryError, RequestTimeout
from siridb_fast.loading.frame_reader import FramePoints, FrameReader
from siridb_fast.loading.loader import Loader
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.sources import SeriesPortion
from siridb_fast.testing import ScriptedPeer, ScriptedServer
from tests.delivery.held_inserts import points_of
from tests.fix_scripted import INSERT, QUERY, respond

ERR_INSERT = 66


@dataclass
class Recorded:
    """A portion of one long run that notes what is reported to it."""

    name: str
    reports: list[Report] = field(default_factory=list)
    total_rows: int | None = None
    maybe_stored: bool = False
    points: int = 200_000
    may_leave: threading.Event | None = None

    def read(self, reader: FrameReader) -> FramePoints:
        rows = np.arange(self.points)
        return SeriesPortion(((self.name, rows, rows / 2),)).read(reader)

    def on_leaving(self) -> None:
        if self.may_leave is not None:
            assert self.may_leave.wait(30)

    def on_delivered(self, report: Report) -> None:
        self.reports.append(report)


async def answer(
    peer: ScriptedPeer,
    came: asyncio.Event | threading.Event,
    inserts: list[list[str]] | None = None,
) -> None:
    """Refuse what has points of the series "refused", accept the rest; note what came."""
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
            if inserts is not None:
                inserts.append(sorted(points_of(package)))
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


async def test_no_point_leaves_before_that_is_written_down() -> None:
    came, may_leave = asyncio.Event(), threading.Event()
    async with ScriptedServer(partial(answer, came=came)) as server:
        url = f"siridb://user:word@{server.host}:{server.port}/db"
        load = asyncio.create_task(
            Loader(url, LoadOptions()).load([Recorded("s", may_leave=may_leave)])
        )
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(came.wait(), 0.3)
        may_leave.set()
        assert (await load).points == 200_000


async def test_servers_do_not_wait_for_the_second_portion() -> None:
    came = threading.Event()
    inserts: list[list[str]] = []

    def portions() -> Iterator[SeriesPortion]:
        lengths = {"fast": 300, "slow": 10}  # for the server, whose buffer has 64 points
        yield SeriesPortion(tuple((s, np.arange(n), np.arange(n)) for s, n in lengths.items()))
        assert came.wait(10)
        yield SeriesPortion((("last", np.arange(10), np.arange(10)),))

    async with ScriptedServer(partial(answer, came=came, inserts=inserts)) as server:
        url = f"siridb://user:word@{server.host}:{server.port}/db"
        report = await Loader(url, LoadOptions()).load(portions())
    assert report.points == 320
    assert inserts == [["fast"], ["last", "slow"]]


class Leaving:
    """A server that is gone for good once it got a question of a kind, or a package of points."""

    def __init__(self, until: bytes | None) -> None:
        self.until = until
        self.is_gone = False

    async def serve(self, peer: ScriptedPeer) -> None:
        """Answer as `answer` does, until then."""
        if self.is_gone:
            peer.abort()
            return
        await peer.accept_auth()
        while not self.is_gone:
            package = await peer.read_package(timeout=30)
            is_end = (
                package.type == INSERT if self.until is None else self.until in package.payload
            )
            if is_end or self.is_gone:
                self.is_gone = True
                peer.abort()
            elif package.type == QUERY and b"expiration" in package.payload:
                settings = [{"name": f"expiration_{n}", "value": None} for n in ("num", "log")]
                await peer.send(package.pid, QUERY, packb({"data": settings}))
            else:
                await respond(peer, package)


async def test_load_that_asks_for_types_ends_when_its_server_is_gone() -> None:
    async with ScriptedServer(Leaving(b"list series").serve) as server:
        url = f"siridb://user:word@{server.host}:{server.port}/db"
        loader = Loader(url, LoadOptions(delivery_timeout=0.3))
        with pytest.raises(
            RequestTimeout, match="no server has taken or answered anything"
        ) as caught:
            await asyncio.wait_for(loader.load([Recorded("s")]), 30)
    assert caught.value.points_inserted == 0


async def test_load_does_not_wait_for_each_package_when_its_server_is_gone() -> None:
    async with ScriptedServer(Leaving(None).serve) as server:
        url = f"siridb://user:word@{server.host}:{server.port}/db"
        loader = Loader(url, LoadOptions(delivery_timeout=0.3, on_doubt="report"))
        with pytest.raises(DeliveryError) as caught:
            await asyncio.wait_for(loader.load([Recorded("s", points=2_000_000)]), 30)
    report = caught.value.report
    assert isinstance(report, Report)
    assert report.points == 0
    assert 0 < report.rejected_points + report.in_doubt_points < 1_000_000


async def test_load_that_waits_for_room_ends_when_its_server_is_gone() -> None:
    # Of many small columns nothing is in a package without a server, and so nothing gets old.
    small = SeriesPortion(tuple((f"s{n}", np.arange(2000), np.arange(2000)) for n in range(100)))
    async with ScriptedServer(Leaving(None).serve) as server:
        url = f"siridb://user:word@{server.host}:{server.port}/db"
        options = LoadOptions(delivery_timeout=0.3, max_buffered=4 << 20, on_doubt="report")
        with pytest.raises((DeliveryError, RequestTimeout)):
            await asyncio.wait_for(Loader(url, options).load([small] * 40), 30)


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
    reported = sum(report.points for report in portion.reports)
    assert all(report.points == 200_000 for report in portion.reports)
    assert reported < 40 * 200_000
    assert any("before that, " in text for text in caught.value.__notes__)

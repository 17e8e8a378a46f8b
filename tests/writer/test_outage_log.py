"""What a writer's log says of an outage: a handful of lines, however often it tries."""

import asyncio
import logging
from pathlib import Path

import numpy as np
import pytest

import siridb_fast.delivery.durability
from siridb_fast import BatchWriter, SpoolOptions, packb
from siridb_fast.testing import ScriptedPeer, ScriptedServer
from siridb_fast.writer.backlog import Backlog
from siridb_fast.writer.figures import Figures
from tests.delivery.held_inserts import INSERT_REFUSED, HeldInserts, scripted_writer
from tests.fix_loop import eventually
from tests.fix_scripted import QUERY, asks_who_it_is, respond
from tests.fix_server import Database

ATTEMPTS = 12
FAST = "?max_wait_retry=1"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def has(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return any(text in line for line in lines_of(caplog))


@pytest.mark.parametrize("has_spool", [False, True])
async def test_outage_is_a_handful_of_lines(
    has_spool: bool,
    own_database: Database,
    fast_retry: None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "siridb_fast")
    server, url = own_database.server, own_database.url + FAST
    spool = SpoolOptions(tmp_path / "plant.spool") if has_spool else None
    async with BatchWriter(url, linger=0.01, connections=2, spool=spool) as writer:
        writer.write("before", 1, 0.5)
        await writer.flush()
        server.kill()
        await eventually(lambda: writer.stats().connected == 0)
        for number in range(1000):
            writer.write(f"series-{number}", 1, 0.5)
        await eventually(lambda: caplog.text.count("no connection to") >= ATTEMPTS)
        await asyncio.to_thread(server.start)
        await eventually(lambda: has(caplog, "caught up"))
    lines = [line for line in lines_of(caplog) if "was restarted" not in line]  # if it was noticed
    host = f"{server.host}:{server.port}"
    failed = [line for line in lines if f"no connection to {host}: " in line]
    assert 1 <= len(failed) <= 3  # at once, after 10 s, after 40 s
    assert lines[0] == f"lost the connection to {host}"
    assert lines[1] == failed[0]
    assert f"connected to {host} after" in lines[-2]
    assert "caught up: 1,000 points that waited for a server have left" in lines[-1]
    assert len(lines) == len(failed) + 3


async def test_log_says_how_much_waits(
    own_database: Database, fast_retry: None, caplog: pytest.LogCaptureFixture
) -> None:
    writer = BatchWriter(own_database.url, time_precision=siridb_fast.NANOSECOND)
    await writer.open()
    writer.write("a", 1, 0.5)
    writer.write("a", 2, 0.5)
    own_database.server.kill()
    await eventually(lambda: has(caplog, "; 2 points wait"))
    await writer.close(timeout=0.01)


def test_caught_up_is_said_once_what_waited_has_left(caplog: pytest.LogCaptureFixture) -> None:
    class Pending(Figures):
        def __init__(self) -> None:
            self.since = 5.0

        points_in_memory = 7

        @property
        def oldest_since(self) -> float:
            return self.since

        def spool(self) -> None:
            return None

    clock, is_connected, figures = [0.0], [True], Pending()
    backlog = Backlog(figures, lambda: is_connected[0], lambda: clock[0])
    for clock[0], is_connected[0], figures.since in (
        (10.0, False, 5.0),
        (20.0, True, 5.0),
        (30.0, True, 19.0),  # it came before the connection
    ):
        backlog.check()
    assert lines_of(caplog) == []
    for clock[0], figures.since in ((32.0, 21.0), (33.0, 22.0)):
        backlog.check()
    assert lines_of(caplog) == [
        "caught up: 7 points that waited for a server have left within 12 s"
    ]


async def test_points_left_in_the_spool_are_one_line(
    own_database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "plant.spool"
    writer = BatchWriter(own_database.url, linger=0.01, spool=path)
    await writer.open()
    own_database.server.kill()
    for number in range(1000):
        writer.write("a", number, 0.5)
    await writer.close()
    left = [line for line in lines_of(caplog) if "left in the spool" in line]
    assert len(left) == 1
    assert left[0].startswith("1,000 points of ")
    assert str(path) in left[0]


async def test_acknowledged_points_that_may_be_lost_are_one_line(
    own_database: Database,
    fast_retry: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    is_held = True
    tracker = siridb_fast.delivery.durability.SentinelTracker
    send_sentinel = tracker._send_sentinel
    monkeypatch.setattr(
        tracker, "_send_sentinel", lambda *args: None if is_held else send_sentinel(*args)
    )
    options = {"durability": "safe", "linger": 0.01, "package_bytes": 10_000}
    async with BatchWriter(own_database.url, **options) as writer:  # type: ignore[arg-type]
        await writer.write_arrays("young", np.arange(5000), np.arange(5000.0))
        await eventually(lambda: writer.stats().not_yet_safe == 5000)
        packages = sum(writer.stats().latency.packages)
        own_database.server.kill()
        await asyncio.to_thread(own_database.server.start)
        is_held = False
        assert (await writer.flush()).points == 5000
    told = [line for line in lines_of(caplog) if "may be lost" in line]
    assert packages == 0
    assert len(told) == 1
    assert told[0].startswith("5,000 acknowledged points of ")
    assert not has(caplog, "looking it up")


async def test_restart_says_what_may_be_lost_of_a_writer_that_is_not_safe(
    fast_retry: None, caplog: pytest.LogCaptureFixture
) -> None:
    peers: list[ScriptedPeer] = []

    async def serve(peer: ScriptedPeer) -> None:
        peers.append(peer)
        uptime = 100 if len(peers) == 1 else 0
        await peer.accept_auth()
        while True:
            package = await peer.read_package(timeout=30)
            if asks_who_it_is(package):
                await peer.send(package.pid, QUERY, packb(identity(uptime)))
            else:
                await respond(peer, package)

    async with ScriptedServer(serve) as server, scripted_writer(server) as writer:
        peers[0].abort()
        await eventually(lambda: writer.stats().reconnects == 1)
    told = [line for line in lines_of(caplog) if "was restarted" in line]
    assert len(told) == 1
    assert "may be lost" in told[0]


def identity(uptime: int) -> dict[str, object]:
    rows: dict[str, object] = {"uuid": "1f63", "uptime": uptime, "received_points": 0, "pool": 0}
    rows |= {"time_precision": "ns", "buffer_size": 1024}
    return {"data": [{"name": name, "value": value} for name, value in rows.items()]}


async def test_many_refused_packages_are_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, linger=0)
        await writer.open()
        for number in range(20):
            writer.write("a", number, 0.5)
            await held.refuse(INSERT_REFUSED)
        await eventually(lambda: writer.stats().rejected == 20)
        await writer.close()
    assert len([line for line in lines_of(caplog) if "refused a package" in line]) <= 2

"""What was given up arrives nowhere later: not from a kernel, a proxy or a server that was frozen.

For each way to give up a package, and for each place where its bytes are by then, they are let
through once the points were looked up and sent again. A path that holds is dead for a while; it
neither loses bytes nor tells anybody.
"""

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import BatchWriter
from siridb_fast.connection.connection import Connection
from siridb_fast.delivery.spool_thread import SpoolThread
from siridb_fast.testing import FaultProxy
from siridb_fast.testing.polling import wait_until
from tests.delivery.held_path import (
    FIRST,
    POINTS,
    SERIES,
    all_times,
    each_place,
    send_missing,
    stored_times,
    times_of,
    url_of,
)
from tests.fix_loop import eventually
from tests.fix_server import Database

pytestmark = pytest.mark.usefixtures("fast_retry")

SMALL = 1_000  # all of it in the kernel of the server
POINT_BYTES = 19


def writer_of(url: str, **options: Any) -> BatchWriter:
    """Return a writer of two connections, each with one package at a time."""
    settings: dict[str, Any] = {"connections": 2, "window": 1, "linger": 0.01}
    return BatchWriter(url, **(settings | options))


async def begin(writer: BatchWriter) -> None:
    """Have both connections, and series whose type is known."""
    for name in SERIES:
        await writer.write_arrays(name, [FIRST], [0.5])
    assert (await writer.flush()).is_complete
    connections = connections_of(writer)
    await eventually(lambda: len(connections) == 2 or len(connections_of(writer)) == 2)


def connections_of(writer: BatchWriter) -> list[Connection]:
    assert writer._engine is not None
    return list(writer._engine._cluster._connected())


async def send(writer: BatchWriter, points: int = POINTS) -> None:
    """Have a package on each of the two connections."""
    for index, name in enumerate(SERIES):
        await writer.write_arrays(name, times_of(points), np.arange(points) / 2)
        await eventually(lambda count=index + 1: has_sent(writer, count))  # type: ignore[misc]


def has_sent(writer: BatchWriter, packages: int) -> bool:
    """Tell whether so many packages were sent, beside that which has the first points."""
    stats = writer.stats()
    return stats.packages - 1 + stats.packages_in_flight == packages


async def held(proxy: FaultProxy, writer: BatchWriter, *, takes: bool) -> None:
    """Wait until one of the two packages is all that is in flight, and where it is to be."""
    await eventually(lambda: writer.stats().packages_in_flight == 1)
    if takes:
        await eventually(lambda: proxy.held_bytes > POINTS * POINT_BYTES)


# ---- a writer that goes on


# Seconds until it is given up: by then all of it has to be where it is held, on any machine.
WAYS: dict[str, float] = {"timeout": 8.0, "keep-alive": 60.0}
INTERVAL = 0.3  # of keep-alives; only for connections that are dead, for others it is too short


def keep_alive(writer: BatchWriter) -> None:
    for connection in connections_of(writer):
        connection.keep_alive(INTERVAL)


@each_place
@pytest.mark.parametrize("way", WAYS)
async def test_writer_gives_a_package_up_with_its_connection(
    database: Database, proxy: FaultProxy, way: str, takes: bool
) -> None:
    url = url_of(proxy, database, "&keepalive=0")
    async with writer_of(url, delivery_timeout=WAYS[way]) as writer:
        await begin(writer)
        proxy.hold(1, takes=takes)
        await send(writer)
        await held(proxy, writer, takes=takes)
        if way == "keep-alive":
            keep_alive(writer)
        report = await writer.flush(timeout=30)
        assert (report.is_complete, report.points) == (True, 2 * POINTS)
        proxy.heal()
        assert await stored_times(database) == all_times()


@pytest.mark.parametrize("way", WAYS)
async def test_writer_finds_what_a_frozen_server_had_in_its_kernel(
    own_database: Database, way: str
) -> None:
    url = f"{own_database.url}?timeout=5&keepalive=0"
    async with writer_of(url, delivery_timeout=WAYS[way]) as writer:
        await begin(writer)
        connections = connections_of(writer)
        own_database.server.pause()
        await send(writer, SMALL)
        await eventually(lambda: writer.stats().packages_in_flight == 2)
        if way == "keep-alive":
            keep_alive(writer)
        await eventually(lambda: not any(one.is_connected for one in connections))
        own_database.server.resume()
        report = await writer.flush(timeout=30)
        assert (report.is_complete, report.points) == (True, 2 * SMALL)
        assert await stored_times(own_database) == all_times(SMALL)


# ---- a writer that ends


@each_place
async def test_next_writer_of_a_spool_sends_what_the_one_before_gave_up(
    database: Database, proxy: FaultProxy, tmp_path: Path, takes: bool
) -> None:
    url = url_of(proxy, database)
    writer = writer_of(url, spool=tmp_path / "spool")
    await writer.open()
    await begin(writer)
    proxy.hold(1, takes=takes)
    await send(writer)
    await held(proxy, writer, takes=takes)
    report = await writer.close(timeout=0.1)
    assert (report.points, report.spooled) == (POINTS, POINTS)
    async with writer_of(url, spool=tmp_path / "spool") as following:
        assert following.stats().spooled == POINTS
    proxy.heal()
    assert await stored_times(database) == all_times()


async def test_spool_is_free_for_the_next_writer_once_the_connections_are_gone(
    database: Database, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_of(url_of(proxy, database), spool=tmp_path / "spool")
    await writer.open()
    await begin(writer)
    connections = connections_of(writer)
    proxy.hold(1)
    await send(writer)
    await held(proxy, writer, takes=False)
    were_gone: list[bool] = []
    close = SpoolThread.close

    async def noting(self: SpoolThread) -> None:
        were_gone.extend(one._closed.done() for one in connections)
        await close(self)

    monkeypatch.setattr(SpoolThread, "close", noting)
    await writer.close(timeout=0.1)
    assert were_gone == [True, True]


@each_place
async def test_points_of_a_closed_writer_that_are_in_doubt_may_be_sent_again(
    database: Database, proxy: FaultProxy, takes: bool
) -> None:
    writer = writer_of(url_of(proxy, database))
    await writer.open()
    await begin(writer)
    proxy.hold(1, takes=takes)
    await send(writer)
    await held(proxy, writer, takes=takes)
    report = await writer.close(timeout=0.1)
    assert (report.points, report.in_doubt_points) == (POINTS, POINTS)
    await send_missing(database, SERIES)
    proxy.heal()
    assert await stored_times(database) == all_times()


KILLED = """
    import sys, siridb_fast
    import numpy as np
    first, points = map(int, sys.argv[2:])
    writer = siridb_fast.connect().writer(
        connections=2, window=1, linger=0.01, journal=sys.argv[1]
    )
    for name in ("one", "two"):
        writer.write_arrays(name, [first], [0.5])
    writer.flush()
    print("ready", flush=True)
    sys.stdin.readline()
    for name in ("one", "two"):
        writer.write_arrays(name, np.arange(first + 1, first + points + 1), np.arange(points) / 2)
    writer.persisted()
    while writer.stats().delivered < 2 + points or writer.stats().packages_in_flight != 1:
        pass
    print("in flight", flush=True)
    sys.stdin.readline()
"""


@each_place
def test_next_writer_of_a_journal_sends_what_a_killed_process_left(
    database: Database, proxy: FaultProxy, tmp_path: Path, takes: bool
) -> None:
    url, path = url_of(proxy, database), tmp_path / "journal"
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), path, str(FIRST), str(POINTS)],
        env={**os.environ, "SIRIDB_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        proxy.hold(1, takes=takes)
        print(file=program.stdin, flush=True)
        assert program.stdout.readline() == "in flight\n"
        if takes:
            wait_until(lambda: proxy.held_bytes > POINTS * POINT_BYTES, timeout=10, what="held")
    finally:
        program.kill()
        program.communicate()
    with siridb_fast.connect(url) as client, client.writer(journal=path) as writer:
        assert writer.stats().spooled >= POINTS
    proxy.heal()
    assert asyncio.run(stored_times(database)) == all_times()

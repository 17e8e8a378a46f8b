"""Loads that are interrupted, or meet servers and users that fall short."""

import asyncio
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import siridb_fast.loading.loader
from siridb_fast import ColumnError, DeliveryError, SiriDBClient, connect, load
from tests.fix_server import Database

TIMES = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[us]")
PROGRAM = """
import sys, threading
import numpy as np
import siridb_fast

def stream():
    for i in range(4):
        yield "a", np.arange(i * 1000, i * 1000 + 1000), np.arange(1000.0)
    print("ready", flush=True)
    for i in range(4, 1_000_000):
        threading.Event().wait(0.01)
        yield "b", [i], [1.0]

siridb_fast.load(stream(), sys.argv[1])
"""


def counted(database: Database) -> dict[str, int]:
    with connect(database.url) as siri:
        counts = siri.query_arrays("select count() from *")
    return {name: int(values.sum()) for name, (_, values) in counts.items()}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_program_that_is_told_to_end_delivers_what_was_read(
    database: Database, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, database.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        program.send_signal(number)
        program.communicate(timeout=30)
    assert program.returncode == code
    assert counted(database)["a"] == 4000


async def test_cancelled_load_waits_for_no_source_that_is_silent(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siridb_fast.loading.loader, "READ_TIMEOUT", 0.2)
    silence, is_silent = threading.Event(), threading.Event()

    def stream() -> Iterator[tuple[str, Any, Any]]:
        yield "a", TIMES, [1, 2, 3]
        is_silent.set()
        silence.wait(30)

    loading = asyncio.ensure_future(database.client().load(stream()))
    try:
        await asyncio.to_thread(is_silent.wait, 10)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(loading), 10)
    finally:
        silence.set()
    assert await asyncio.to_thread(counted, database) == {"a": 3}


async def test_endless_load_is_cancelled_and_all_that_was_taken_is_delivered(
    database: Database,
) -> None:
    many = threading.Event()
    numbers = itertools.count()

    def stream() -> Iterator[tuple[str, Any, Any]]:
        for i in numbers:
            yield "a", np.arange(i * 100, i * 100 + 100), np.arange(100)
            if i == 50:
                many.set()

    loading = asyncio.ensure_future(database.client().load(stream()))
    await asyncio.to_thread(many.wait, 10)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await loading
    points = int(caught.value.__notes__[0].split()[2].replace(",", ""))
    assert points >= 4900
    assert await asyncio.to_thread(counted, database) == {"a": points}


def test_user_who_may_only_insert_loads_integer_times(database: Database) -> None:
    load({"f": ([1], [1.5])}, database.url)
    with connect(database.url) as siri:
        siri.query("create user 'feeder' set password 'secret-word'")
        siri.query("grant insert to user 'feeder'")
    url = database.url.replace("iris:siri", "feeder:secret-word")
    data = {"t": [1, 2], "h": ["a", "b"], "v": [1, 2]}
    assert load(data, url, time="t", series="{h}").points == 2
    assert load({"f": ([2], [2.5])}, url).points == 1
    with pytest.raises(ColumnError, match=r"the right 'show'.*time_precision="):
        load({"a": (TIMES, [1, 2, 3])}, url)
    assert counted(database) == {"f": 2, "a": 1, "b": 1}


@pytest.mark.parametrize("on_doubt", ["report", "resend"])
def test_load_tells_what_a_killed_server_never_answered(
    own_database: Database, on_doubt: Any
) -> None:
    # What the server acknowledged and then lost when it was killed is its own (server-facts, 9).
    rows = 300_000

    def stream() -> Iterator[tuple[str, Any, Any]]:
        for first in range(0, rows, 5000):
            if first == rows // 2:
                own_database.server.kill()
                own_database.server.restart()
            yield "a", np.arange(first, first + 5000), np.arange(5000.0)

    report: Any
    try:
        report = load(stream(), own_database.url, on_doubt=on_doubt)
    except DeliveryError as exc:
        report = exc.report
    assert report.rejected_points == 0
    assert report.rows == report.points + report.in_doubt_points
    if on_doubt == "resend" or report.is_complete:
        assert (report.points, report.rows) == (rows, rows)


def test_load_goes_on_when_the_server_comes_back(own_database: Database) -> None:
    rows = 300_000

    def stream() -> Iterator[tuple[str, Any, Any]]:
        for first in range(0, rows, 5000):
            if first == rows // 2:
                own_database.server.stop()
                own_database.server.start()
            yield "a", np.arange(first, first + 5000), np.arange(5000.0)

    report = load(stream(), own_database.url, on_doubt="resend")
    assert (report.points, report.is_complete) == (rows, True)
    with connect(own_database.url) as siri:
        times, _ = siri.query_arrays("select * from *")["a"]
    assert np.array_equal(np.unique(times), np.arange(rows))


async def test_client_need_not_be_connected(database: Database) -> None:
    client: SiriDBClient = database.client()
    assert (await client.load({"a": (TIMES, [1, 2, 3])})).points == 3
    assert not client.connected

"""The blocking client and writer, and what becomes of points when a program is told to end."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import siridb_fast
from siridb_fast import (
    BlockingClient,
    BlockingWriter,
    ColumnError,
    ConfigError,
    ConnectionLost,
    DeliveryError,
    WriterClosedError,
    connect,
)
from siridb_fast.testing import wait_until
from tests.fix_server import Database

COUNT = "select count() from *"
ASYNC_PROGRAM = """
import asyncio, sys, siridb_fast

async def main():
    async with siridb_fast.BatchWriter(sys.argv[1], linger=60) as writer:
        for i in range(1000):
            writer.write("a", i, float(i))
        print("ready", flush=True)
        await asyncio.sleep(60)

siridb_fast.run(main())
"""
BLOCKING_PROGRAM = """
import signal, sys, threading, siridb_fast

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with siridb_fast.connect(sys.argv[1]) as siri, siri.writer(linger=60) as writer:
    for i in range(1000):
        writer.write("a", i, float(i))
    print("ready", flush=True)
    threading.Event().wait(60)
"""


def counted(database: Database) -> dict[str, int]:
    with connect(database.url) as siri:
        counts = siri.query_arrays(COUNT)
        return {name: int(values.sum()) for name, (_, values) in counts.items()}


def test_blocking_writer_goes_to_a_url_a_client_or_its_config(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIRIDB_URL", database.url)
    with connect(database.url) as client:
        for number, target in enumerate([None, database.url, client, client.config]):
            with BlockingWriter(target) as writer:
                writer.write("a", number, 0.5)
    assert counted(database) == {"a": 4}


def test_blocking_client_does_what_the_client_does(database: Database) -> None:
    with connect(database.url, timeout=5) as siri:
        assert isinstance(siri, BlockingClient)
        assert siri.connected
        siri.insert({"a": (np.arange(3), np.arange(3.0))})
        siri.insert_packed(siridb_fast.packb({"a": [[3, 3.0]]}))
        assert siri.query(COUNT) == {"a": [[3, 4]]}
        assert siri.query_arrays("select * from *")["a"][1].tolist() == [0.0, 1.0, 2.0, 3.0]
        assert "siri@" not in repr(siri)
        assert database.name in repr(siri)
    assert not siri.connected
    with pytest.raises(ConnectionLost, match="closed"):
        siri.query(COUNT)
    siri.close()


def test_blocking_client_is_made_of_the_config_of_another(database: Database) -> None:
    with connect(database.url) as siri:
        twin = BlockingClient.from_config(siri.config)
    with twin:
        assert twin.query(COUNT) == {}
        assert not twin.is_closed
    assert twin.is_closed


def test_connect_takes_all_hosts_and_options_of_a_url(
    database: Database, unused_port: int
) -> None:
    here = f"{database.server.host}:{database.server.port}"
    url = f"siridb://iris:siri@127.0.0.1:{unused_port},{here}/{database.name}?backup=0,1"
    with connect(f"{url}&timeout=3") as siri:
        assert siri.config.timeout == 3
        assert siri.query(COUNT) == {}


def test_connect_reads_the_environment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIRIDB_URL", database.url)
    with connect() as siri:
        assert siri.query(COUNT) == {}


def test_connect_that_fails_leaves_no_thread_behind(database: Database, unused_port: int) -> None:
    before = threading.active_count()
    for url, error in (
        (database.url.replace("siri@", "wrong@"), siridb_fast.AuthenticationError),
        (f"siridb://iris:siri@127.0.0.1:{unused_port}/db", ConnectionRefusedError),
        ("siridb://nonsense", ConfigError),
    ):
        with pytest.raises(error):
            connect(url)
    assert threading.active_count() == before


def test_blocking_writer_takes_all_that_the_writer_takes(database: Database) -> None:
    with connect(database.url) as siri, siri.writer() as writer:
        writer.write("single", 1, 1.0)
        writer.write_tick(2, {"single": 2.0, "other": 1})
        writer.series("single").append(3, 3.0)
        writer.ticker(["x", "y"]).write(1, np.array([1.0, 2.0]))
        writer.drain()
        rows = writer.write_rows(["r", "s"], np.array([0, 1, 0]), np.arange(3), np.arange(3.0))
        assert rows.wait().points == 3
        assert writer.time_precision == siridb_fast.NANOSECOND
        many = writer.write_many({"m": (np.arange(5), np.arange(5))})
        large = writer.write_arrays("large", np.arange(100_000), np.ones(100_000))
        report = writer.flush()
        assert (report.points, report.is_complete) == (6 + 3 + 5 + 100_000, True)
        assert (many.wait().points, large.wait().points) == (5, 100_000)
        assert large.is_done
        assert writer.stats().delivered == report.points
    expected = {"single": 3, "other": 1, "x": 1, "y": 1, "r": 2, "s": 1, "m": 5, "large": 100_000}
    assert counted(database) == expected


def test_connection_of_the_reference_has_a_writer_too(database: Database) -> None:
    server = database.server
    with connect("iris", "siri", database.name, server.host, server.port) as connection:
        with connection.writer(linger=0.01) as writer:
            writer.write("a", 1, 1.0)
        assert connection.query_arrays(COUNT)["a"][1].sum() == 1


def test_blocking_writer_waits_where_there_is_no_room(database: Database) -> None:
    options: Any = {"max_buffered": 1 << 20, "package_bytes": 100_000}
    with connect(database.url) as siri, siri.writer(**options) as writer:
        for i in range(200_000):
            writer.write(f"series {i % 10}", i, float(i))
        assert writer.stats().buffered_bytes <= 1 << 20
    assert sum(counted(database).values()) == 200_000


def test_blocking_writer_is_closed_once_and_for_all(database: Database) -> None:
    with connect(database.url) as siri:
        writer = siri.writer()
        writer.write("a", 1, 1.0)
        assert writer.close().points == 1
        assert writer.close().points == 0
        with pytest.raises(WriterClosedError):
            writer.write("a", 2, 2.0)
        with pytest.raises(WriterClosedError):
            writer.flush()
        with pytest.raises(WriterClosedError):
            writer.write_arrays("a", [1], [1.0])


def test_blocking_writer_raises_what_was_not_delivered(database: Database) -> None:
    with connect(database.url) as siri:
        siri.insert({"a": (np.arange(1), np.arange(1))})
        with pytest.raises(DeliveryError, match=r"'a'.*integer") as caught:
            write_and_raise(siri, None)
        with pytest.raises(KeyError) as noted:
            write_and_raise(siri, KeyError("mine"))
    assert caught.value.report.rejected_points == 1
    assert "not delivered" in noted.value.__notes__[0]


def write_and_raise(siri: BlockingClient, error: Exception | None) -> None:
    with siri.writer() as writer:
        writer.write("a", 1, 1.5)  # of an integer series
        if error is not None:
            raise error


def test_bad_input_is_refused_at_the_call(database: Database) -> None:
    with connect(database.url) as siri, siri.writer() as writer:
        for call in (
            lambda: writer.write("a", 1.5, 1.0),
            lambda: writer.write("", 1, 1.0),
            lambda: writer.write_arrays("a", np.arange(2), np.arange(3)),
            lambda: writer.write_many({"a": np.arange(3)}),  # type: ignore[dict-item]
            lambda: writer.write_many([("a", [1], [1])]),  # type: ignore[arg-type]
        ):
            with pytest.raises(ColumnError):
                call()


async def test_blocking_client_is_refused_in_a_running_loop(database: Database) -> None:
    with pytest.raises(RuntimeError, match=r"running event loop.*async with siridb_fast"):
        connect(database.url)
    siri = await asyncio.to_thread(lambda: connect(database.url))
    with pytest.raises(RuntimeError, match="running event loop"):
        siri.query(COUNT)
    await asyncio.to_thread(siri.close)


@pytest.mark.parametrize(
    ("program", "signal_", "code"),
    [
        (ASYNC_PROGRAM, signal.SIGTERM, 143),
        (ASYNC_PROGRAM, signal.SIGINT, -signal.SIGINT),
        (BLOCKING_PROGRAM, signal.SIGTERM, 143),
        (BLOCKING_PROGRAM, signal.SIGINT, -signal.SIGINT),
    ],
)
def test_program_that_is_told_to_end_delivers_what_it_holds(
    database: Database, program: str, signal_: signal.Signals, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", program, database.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal_)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == code, errors
    assert counted(database) == {"a": 1000}


def test_run_respects_a_handler_of_sigterm() -> None:
    calls: list[int] = []

    async def main() -> Callable[..., object] | int | None:
        return signal.getsignal(signal.SIGTERM)

    def handler(number: int, _: object) -> None:
        calls.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert siridb_fast.run(main()) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_run_leaves_sigterm_as_it_was() -> None:
    async def main() -> int:
        return 7

    assert siridb_fast.run(main()) == 7
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_writer_that_is_dropped_with_points_warns(database: Database) -> None:
    async def main() -> None:
        writer = siridb_fast.BatchWriter(database.url, linger=60)
        await writer.open()
        writer.write("a", 1, 1.0)
        writer.write("a", 2, 2.0)

    def run_and_drop() -> None:
        siridb_fast.run(main())
        gc.collect()

    with pytest.warns(ResourceWarning, match="2 points not delivered"):
        run_and_drop()


def test_blocking_writer_and_client_that_are_dropped_warn_and_deliver(database: Database) -> None:
    threads = threading.active_count()

    def write_and_drop() -> None:
        siri = connect(database.url)
        writer = siri.writer(linger=60)
        writer.write("a", 1, 1.0)
        del siri, writer
        gc.collect()

    with pytest.warns(ResourceWarning, match="dropped") as caught:
        write_and_drop()
    assert "1 points not delivered" in "".join(str(warning.message) for warning in caught)
    wait_until(lambda: threading.active_count() == threads, timeout=5, what="the end of threads")
    assert counted(database) == {"a": 1}

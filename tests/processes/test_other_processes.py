"""Clients and writers in the children of their process: of a fork, and spawned."""

import copy
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast import (
    NANOSECOND,
    BatchWriter,
    BlockingWriter,
    Config,
    ForkedError,
    SiriDBClient,
    WriterClosedError,
)
from siridb_fast.concurrency.loops import new_event_loop
from siridb_fast.connection.hosts import Host
from siridb_fast.testing import SiriDBServer
from siridb_fast.writer.options import WriterOptions
from tests.fix_server import Database

FIRST = 1_600_000_000_000_000_000
EXIT_TIMEOUT = 120.0

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


def in_child(work: Callable[[], object]) -> str:
    """Run something in a fork of this process; return what it returned or raised, as text."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            try:
                outcome = repr(work())
            except BaseException as exc:  # noqa: BLE001 - it is the outcome
                outcome = f"{type(exc).__name__}: {exc}"
            os.write(sending, outcome.encode())
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        outcome = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return outcome


def count(database: Database, name: str) -> int:
    with siridb_fast.connect(database.url) as client:
        return len(client.query_arrays("select * from *")[name][0])


# ---- fork


def test_child_that_writes_is_told_both_processes(database: Database) -> None:
    with siridb_fast.connect(database.url) as client, client.writer() as writer:
        writer.write("one", FIRST, 1.5)
        handle, ticker = writer.series("one"), writer.ticker(["one", "two"])
        calls: list[Callable[[], object]] = [
            lambda: writer.write("one", FIRST + 1, 1.5),
            lambda: writer.write_tick(FIRST + 1, {"one": 1.5}),
            lambda: handle.append(FIRST + 1, 1.5),
            lambda: ticker.write(FIRST + 1, [1.5, 2.5]),
            lambda: writer.write_arrays("one", [FIRST + 1], [1.5]),
            writer.flush,
        ]
        for call in calls:
            outcome = in_child(lambda call=call: (call(), os.getpid()))  # type: ignore[misc]
            assert outcome.startswith(f"ForkedError: the writer belongs to process {os.getpid()};")
            assert "is a fork of it and needs a writer of its own" in outcome
        for ask in (lambda: client.query("show"), lambda: client.insert({"one": [[1, 1.5]]})):
            assert in_child(ask).startswith("ForkedError: the client belongs to process")
        writer.write("one", FIRST + 1, 2.5)
    assert count(database, "one") == 2


def test_child_that_closes_and_forgets_everything_leaves_its_parent_alone(
    database: Database,
) -> None:
    with siridb_fast.connect(database.url) as client, client.writer() as writer:
        writer.write("one", FIRST, 1.5)

        def close_all() -> object:
            client.close()
            return writer.close()

        assert in_child(close_all).startswith("Report(points=0")
        pid = os.fork()
        if not pid:
            try:
                sys.exit(0)  # leaves both blocks
            finally:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert client.query("show dbname")["data"][0]["value"] == database.name
        assert writer.flush().points == 1
    assert count(database, "one") == 1


def test_child_has_nothing_where_the_sockets_of_its_parent_are(database: Database) -> None:
    with siridb_fast.connect(database.url) as client:
        sockets = [fd for fd in Path("/proc/self/fd").iterdir() if is_to(fd, database.server)]
        assert sockets

        def left() -> object:
            return [str(fd.readlink()) for fd in sockets]

        assert in_child(left) == repr(["/dev/null"] * len(sockets))
        assert client.query("show dbname")["data"][0]["value"] == database.name


def is_to(descriptor: Path, server: SiriDBServer) -> bool:
    """Tell whether a file descriptor is a connection to a server."""
    try:
        inode = str(descriptor.readlink()).removeprefix("socket:[").rstrip("]")
    except OSError:
        return False
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    remotes = [int(line[2].split(":")[1], 16) for line in lines if line[9] == inode]
    return remotes == [server.port]


async def test_child_of_a_coroutine_cannot_use_the_loop_that_it_inherited(
    database: Database,
) -> None:
    async with database.client() as client, client.writer() as writer:
        writer.write("one", FIRST, 1.5)

        def send(coroutine: Any) -> object:
            return coroutine.send(None)

        assert in_child(lambda: send(client.query("show"))).startswith("ForkedError: the client")
        assert in_child(lambda: send(writer.flush())).startswith("ForkedError: the writer")
        assert in_child(lambda: send(writer.drain())).startswith("ForkedError: the writer")
        assert in_child(lambda: writer.write("one", FIRST, 1.5)).startswith("ForkedError")
        assert (await writer.flush()).points == 1
        assert (await client.query_arrays("select * from 'one'"))["one"][1].tolist() == [1.5]


def test_client_may_connect_again_in_a_child(database: Database) -> None:
    client = database.client()

    async def connect() -> None:
        await client.open()

    async def connect_and_insert() -> object:
        async with client:
            await client.insert({"one": [[FIRST, 1.5]]})
            return client.connected

    with siridb_fast.connect(database.url):  # whose thread the child lacks
        loop = new_event_loop()
        loop.run_until_complete(connect())
        assert in_child(lambda: siridb_fast.run(connect_and_insert())) == "True"
        assert loop.run_until_complete(client.query("show dbname"))
        client.close()
        loop.run_until_complete(client.wait_closed())
        loop.close()
    assert count(database, "one") == 1


def test_writer_that_was_not_open_may_be_opened_in_a_child(database: Database) -> None:
    writer = BatchWriter(database.url)

    async def write() -> int:
        async with writer:
            writer.write("one", FIRST, 1.5)
            return (await writer.flush()).points

    assert in_child(lambda: siridb_fast.run(write())) == "1"
    assert count(database, "one") == 1


def test_child_gives_back_the_lock_of_a_spool(database: Database, tmp_path: Path) -> None:
    with siridb_fast.connect(database.url) as client:
        writer = client.writer(spool=tmp_path / "spool")
        pid = os.fork()
        if not pid:
            signal.pause()
        try:
            writer.close()
            client.writer(spool=tmp_path / "spool").close()
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


# ---- spawn


def pickled(thing: object) -> object:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own


def insert_by(config: Config, name: str) -> None:
    with BlockingWriter(config) as writer:
        writer.write(name, FIRST, 1.5)


def test_config_goes_to_processes_that_are_spawned(database: Database) -> None:
    context = multiprocessing.get_context("spawn")
    with siridb_fast.connect(database.url) as client:
        children = [context.Process(target=insert_by, args=(client.config, name)) for name in "ab"]
        for child in children:
            child.start()
        for child in children:
            child.join(EXIT_TIMEOUT)
            assert child.exitcode == 0
    assert [count(database, name) for name in "ab"] == [1, 1]


async def test_config_and_options_and_errors_can_be_pickled(database: Database) -> None:
    client = database.client()
    assert pickled(client.config) == client.config
    assert SiriDBClient.from_config(client.config).config == client.config
    options = WriterOptions(linger=2.0, time_precision=NANOSECOND)
    assert pickled(options) == options
    assert pickled(Host("a", 1, 2, True)) == Host("a", 1, 2, True)
    lost = siridb_fast.ConnectionLost("gone", in_doubt=True)
    wrong = siridb_fast.ColumnError("bad", series="one", index=3)
    locked = siridb_fast.SpoolLockedError("/a/spool", 17)
    unpack = siridb_fast.UnpackError("bad", 3)
    file = siridb_fast.FileError("bad", file="a.csv", line=3, column="b")
    for error in (lost, wrong, locked, unpack, file):
        other = pickled(error)
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
    async with client.writer() as writer:
        writer.write("one", FIRST, 1.5)
        report = await writer.flush()
        assert pickled(report) == report


async def test_what_has_sockets_can_not_be_pickled_and_shows_no_password(
    database: Database,
) -> None:
    url = database.server.url(database.name)
    async with SiriDBClient.from_url(url) as client, client.writer() as writer:
        for thing in (client, writer):
            for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
                with pytest.raises(TypeError, match="cannot be pickled or copied") as caught:
                    refuse(thing)
                assert "siri:" not in str(caught.value)


def test_blocking_ones_can_not_be_pickled_either(database: Database) -> None:
    server = database.server
    with (
        siridb_fast.connect(database.url) as client,
        client.writer() as writer,
        siridb_fast.connect("iris", "siri", database.name, server.host, server.port) as one,
    ):
        for thing in (client, writer, one):
            with pytest.raises(TypeError, match=f"a {type(thing).__name__} cannot be pickled"):
                pickle.dumps(thing)


# ---- what is left alone


def test_parent_goes_on_while_children_come_and_go(database: Database) -> None:
    with siridb_fast.connect(database.url) as client, client.writer(linger=0.05) as writer:
        for n in range(200):
            writer.write("one", FIRST + n, 1.5)
            if n % 10 == 0:
                assert in_child(lambda: writer.write("one", FIRST, 0.0)).startswith("ForkedError")
        with pytest.raises(ForkedError):
            raise ForkedError("it is exported")
    with pytest.raises(WriterClosedError):
        writer.write("one", FIRST, 1.5)
    assert count(database, "one") == 200

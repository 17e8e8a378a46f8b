"""Clients and writers whose event loop is closed first, or that are forgotten: quiet and complete.

Their sockets are closed, nothing is written to stderr but how many points were lost, and a
ResourceWarning names what was not closed.
"""

import asyncio
import gc
import logging
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast import BatchWriter, SiriDBClient, SiriDBConn
from siridb_fast.testing import wait_until
from tests.fix_loop import LOOPS
from tests.fix_server import Database

PATIENCE = 30.0
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


async def client(database: Database) -> Any:
    made = database.client()
    await made.connect()
    return made


async def writer(database: Database) -> Any:
    made = BatchWriter(database.url)
    await made.open()
    return made


async def writer_with_spool(database: Database) -> Any:
    folder = database.server.folder / database.name
    made = BatchWriter(database.url, spool=folder.with_suffix(".spool"), durability="safe")
    await made.open()
    return made


async def connection(database: Database) -> Any:
    server = database.server
    return await siridb_fast.async_connect(
        "iris", "siri", database.name, server.host, server.port, keepalive=True
    )


async def lasting_connection(database: Database) -> Any:
    server = database.server
    made = SiriDBConn("iris", "siri", database.name, server.host, server.port)
    await made.connect()
    return made


OPEN: dict[str, Callable[[Database], Awaitable[Any]]] = {
    "SiriDBClient": client,
    "BatchWriter": writer,
    "BatchWriter with a spool": writer_with_spool,
    "SiriDBAsyncConnection": connection,
    "SiriDBConn": lasting_connection,
}


def sockets_to(database: Database) -> int:
    """Count the connections of this process, as the kernel knows them, to a server."""
    own = {_target(link) for link in Path("/proc/self/fd").iterdir()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    remote = f":{database.server.port:04X}"
    return sum(line[2].endswith(remote) and f"socket:[{line[9]}]" in own for line in lines)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed since
        return ""


def is_collected_with_its_sockets(database: Database) -> bool:
    gc.collect()
    return not sockets_to(database)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_true():  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.01)


class Words:
    """What is written to stderr where nobody listens, and the warnings."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.warned: list[warnings.WarningMessage] = []
        self.unraisable: list[Any] = []

    @property
    def said(self) -> list[str]:
        records = self._caplog.records
        return [r.getMessage() for r in records if r.levelno >= logging.WARNING] + self.unraisable

    def names(self, kind: str) -> bool:
        """Tell whether a warning says of one of this kind that it was dropped."""
        texts = [str(warning.message) for warning in self.warned]
        return any(kind in text and "was dropped" in text for text in texts)


@pytest.fixture
def words(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Words]:
    words = Words(caplog)
    monkeypatch.setattr(sys, "unraisablehook", lambda one: words.unraisable.append(str(one)))
    with warnings.catch_warnings(record=True) as words.warned:
        warnings.simplefilter("always")
        yield words


every_kind = pytest.mark.parametrize("kind", OPEN)
in_every_loop = pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)


@every_kind
@in_every_loop
def test_what_is_forgotten_after_its_loop_was_closed_says_so_and_leaves_nothing(
    database: Database, kind: str, new_loop: LoopFactory, words: Words
) -> None:
    loop = new_loop()
    thing = loop.run_until_complete(OPEN[kind](database))
    loop.close()
    del thing
    gc.collect()
    assert sockets_to(database) == 0
    assert words.said == []
    assert words.names(kind.partition(" ")[0])


@every_kind
@in_every_loop
def test_what_is_closed_after_its_loop_says_nothing(
    database: Database, kind: str, new_loop: LoopFactory, words: Words
) -> None:
    loop = new_loop()
    thing = loop.run_until_complete(OPEN[kind](database))
    loop.close()
    if isinstance(thing, BatchWriter):
        assert asyncio.run(thing.close()).points == 0
    else:
        thing.close()
    assert sockets_to(database) == 0
    if not isinstance(thing, (BatchWriter, siridb_fast.SiriDBAsyncConnection)):
        asyncio.run(thing.wait_closed())
    del thing
    gc.collect()
    assert words.said == []
    assert not words.names(kind.partition(" ")[0])


@in_every_loop
def test_points_of_a_writer_whose_loop_was_closed_are_counted(
    database: Database, new_loop: LoopFactory, words: Words
) -> None:
    async def write() -> tuple[BatchWriter, Any]:
        made = BatchWriter(database.url, linger=60)
        await made.open()
        made.write("a", 1, 1.5)
        delivery = await made.write_arrays("b", [1, 2], [1.5, 2.5])
        waiting.append(asyncio.ensure_future(_of(delivery)))
        await asyncio.sleep(0)
        return made, delivery

    waiting: list[Any] = []
    loop = new_loop()
    made, delivery = loop.run_until_complete(write())
    loop.close()
    report = asyncio.run(made.close())
    assert (report.points, report.rejected_points + report.in_doubt_points) == (0, 3)
    assert delivery.is_done
    assert len(words.said) == 1
    assert "was dropped with 3 points not delivered" in words.said[0]
    waiting[0]._log_destroy_pending = False  # a task of this test


async def _of(delivery: Any) -> Any:
    return await delivery


@pytest.mark.parametrize("kind", ["SiriDBClient", "SiriDBAsyncConnection", "SiriDBConn"])
async def test_client_that_is_forgotten_in_its_loop_is_closed(
    database: Database, kind: str, words: Words
) -> None:
    before = asyncio.all_tasks()
    thing = await OPEN[kind](database)
    assert sockets_to(database) == 1
    del thing
    await until(lambda: is_collected_with_its_sockets(database))
    await until(lambda: asyncio.all_tasks() == before)
    assert words.said == []
    assert words.names(kind)


async def test_client_that_is_forgotten_while_it_is_asked_answers_all_the_same(
    database: Database, words: Words
) -> None:
    thing = await OPEN["SiriDBClient"](database)
    asking = asyncio.ensure_future(thing.query("show dbname"))
    await asyncio.sleep(0)
    del thing
    gc.collect()
    assert (await asking)["data"][0]["value"] == database.name
    assert words.said == []


def test_client_that_another_thread_forgets_is_closed_in_its_own(
    database: Database, words: Words
) -> None:
    things: list[Any] = []

    async def connect() -> None:
        things.append(await OPEN["SiriDBClient"](database))
        await asyncio.to_thread(forget)
        await until(lambda: not sockets_to(database))

    def forget() -> None:
        things.clear()
        gc.collect()

    asyncio.run(connect())
    assert words.said == []


def test_blocking_ones_that_are_forgotten_say_so_and_leave_nothing(
    database: Database, words: Words
) -> None:
    server = database.server
    makers: dict[str, Callable[[], Any]] = {
        "BlockingClient": lambda: siridb_fast.connect(database.url),
        "BlockingWriter": lambda: siridb_fast.BlockingWriter(
            SiriDBClient.from_url(database.url).config
        ),
        "SiriDBConnection": lambda: siridb_fast.connect(
            "iris", "siri", database.name, server.host, server.port
        ),
    }
    for kind, make in makers.items():
        thing = make()
        assert sockets_to(database)
        del thing
        gc.collect()
        wait_until(lambda: not sockets_to(database), timeout=PATIENCE, what="the end of sockets")
        assert words.names(kind)
    assert words.said == []

"""How fast are inserts into a real server? Ours on uvloop, the reference on asyncio.

That is how their users run them: ours through `siridb_fast.run`. Below each such row both drivers
run on the same loop; and then with the one thing that ours does to the socket done for the
reference too: answers are acknowledged at once, where the kernel would wait up to 40 ms. All go
over TCP to one server, each through one connection and into numeric series of its own. The CPU
rows are this process's own time: on the wall a client mostly waits for the server.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from siridb.connector import SiriDBClient as ReferenceClient

from benchmarks.data import data
from benchmarks.harness.contest import Contest
from siridb_fast import SiriDBClient
from siridb_fast.concurrency.loops import new_event_loop
from siridb_fast.testing import SiriDBServer

AT_ONCE = 64
BULK_POINTS = 10_000
FIRST = 1_600_000_000_000_000_000
ROUNDS = 7

LOOPS = {"uvloop": new_event_loop, "asyncio": asyncio.new_event_loop}  # the first is run()'s
QUICK = "reference asyncio, quick"


@dataclass(slots=True)
class Driver:
    """A connected client in an event loop of its own."""

    name: str
    runner: asyncio.Runner
    client: Any
    points_sent: int = 0

    def next_timestamp(self, points: int) -> int:
        """Return where so many points go on in time."""
        first = FIRST + self.points_sent * 1_000_000_000
        self.points_sent += points
        return first


Work = Callable[[Driver], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("interval", [500, 0])
@pytest.mark.parametrize("title", ["one by one", f"{AT_ONCE} at a time"])
def test_single_points(
    contest: Contest, request: pytest.FixtureRequest, interval: int, title: str
) -> None:
    server: SiriDBServer = request.getfixturevalue(f"server_{interval}")
    requests = 512 if interval else 256
    work = _insert_one_by_one if title == "one by one" else _insert_at_once
    what = f"1 point, {title}, sync {interval}"
    _compare(contest, server, partial(work, requests), what, "us/insert", requests)


@pytest.mark.parametrize("interval", [500, 0])
def test_bulk(contest: Contest, request: pytest.FixtureRequest, interval: int) -> None:
    server: SiriDBServer = request.getfixturevalue(f"server_{interval}")
    inserts = 20
    what = f"10 k points, one by one, sync {interval}"
    work = partial(_insert_arrays, inserts, data.doubles(BULK_POINTS))
    _compare(contest, server, work, what, "ns/point", inserts * BULK_POINTS)


async def _insert_one_by_one(requests: int, driver: Driver) -> None:
    first = driver.next_timestamp(requests)
    for timestamp in range(first, first + requests * 1_000_000_000, 1_000_000_000):
        await driver.client.insert({driver.name: [[timestamp, 21.5]]})


async def _insert_at_once(requests: int, driver: Driver) -> None:
    rounds = requests // AT_ONCE
    first = driver.next_timestamp(rounds)
    for timestamp in range(first, first + rounds * 1_000_000_000, 1_000_000_000):
        await asyncio.gather(
            *(
                driver.client.insert({f"{driver.name} {i}": [[timestamp, 21.5]]})
                for i in range(AT_ONCE)
            )
        )


async def _insert_arrays(inserts: int, values: data.Array, driver: Driver) -> None:
    takes_arrays = isinstance(driver.client, SiriDBClient)
    steps = data.seconds(len(values)) * 1_000_000_000 - FIRST
    for i in range(inserts):
        timestamps = driver.next_timestamp(len(values)) + steps
        points = (timestamps, values) if takes_arrays else data.as_lists(timestamps, values)
        await driver.client.insert({f"{driver.name} bulk {i % 4}": points})


def _compare(
    contest: Contest,
    server: SiriDBServer,
    work: Work,
    what: str,
    unit: str,
    count: int,
) -> None:
    with _drivers(server) as drivers:
        contest.run(ROUNDS, {driver.name: partial(_run, work, driver) for driver in drivers})
    row = partial(contest.row, unit=unit, count=count)
    for title, ours, reference in (
        (what, "ours uvloop", "reference asyncio"),
        ("… both on uvloop", "ours uvloop", "reference uvloop"),
        ("… both on asyncio", "ours asyncio", "reference asyncio"),
        ("… both on asyncio, both quick to acknowledge", "ours asyncio", QUICK),
    ):
        row(title, ours=ours, reference=reference)
        of_cpu = "… client CPU" if title == what else f"{title}, client CPU"
        row(of_cpu, ours=ours, reference=reference, is_cpu=True)


def _run(work: Work, driver: Driver) -> None:
    driver.runner.run(work(driver))


@contextmanager
def _drivers(server: SiriDBServer) -> Iterator[list[Driver]]:
    drivers = []
    try:
        for loop_name in LOOPS:
            drivers.append(_driver(f"ours {loop_name}", loop_name, _connect(server)))
            drivers.append(
                _driver(f"reference {loop_name}", loop_name, _connect_reference(server))
            )
        drivers.append(_driver(QUICK, "asyncio", _connect_reference(server)))
        _acknowledge_at_once(drivers[-1].client)
        yield drivers
    finally:
        for driver in drivers:
            driver.runner.run(_close(driver.client))
            driver.runner.close()


def _driver(name: str, loop_name: str, connecting: Coroutine[Any, Any, Any]) -> Driver:
    runner = asyncio.Runner(loop_factory=LOOPS[loop_name])
    return Driver(name, runner, runner.run(connecting))


async def _connect(server: SiriDBServer) -> SiriDBClient:
    client = SiriDBClient("iris", "siri", "dbtest", [(server.host, server.port)])
    await client.connect()
    return client


async def _connect_reference(server: SiriDBServer) -> Any:
    client = ReferenceClient("iris", "siri", "dbtest", [(server.host, server.port)])
    await client.connect()
    return client


def _acknowledge_at_once(client: Any) -> None:
    # What our connection does, given to the reference: shows how much of a ratio is due to it.
    (connection,) = client._connections  # noqa: SLF001 - there is no public way
    protocol = connection._protocol  # noqa: SLF001
    sock, receive = protocol.transport.get_extra_info("socket"), protocol.data_received

    def data_received(received: bytes) -> None:
        receive(received)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    protocol.data_received = data_received


async def _close(client: Any) -> None:
    client.close()
    await asyncio.sleep(0.05)  # the reference does not say when it is closed

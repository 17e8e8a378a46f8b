"""BatchWriter and servers that refuse, vanish, hang or talk nonsense: who gets the points then."""

import asyncio
from typing import Any

import pytest

from siridb_fast import (
    NANOSECOND,
    BatchWriter,
    ConnectionLost,
    InsertError,
    PoolError,
    RequestTimeout,
    ServerError,
    SiriDBClient,
    SiriDBError,
)
from siridb_fast.testing import ScriptedServer
from tests.delivery.held_inserts import (
    CANNOT_SERVE,
    INSERT_REFUSED,
    POOL_IS_GONE,
    HeldInserts,
    points_of,
    scripted_writer,
)
from tests.fix_loop import eventually
from tests.fix_scripted import scripted_client

FIRST = 1_600_000_000_000_000_000
SENDING_FAILED = "Error occurred while sending points to at least 'host:9010'"
CRITICAL = "Critical error occurred on 'host:9010'"


def weighted_writer(
    *servers: tuple[ScriptedServer, dict[str, Any]], **options: Any
) -> BatchWriter:
    hosts = [(server.host, server.port, weight) for server, weight in servers]
    client = SiriDBClient("user", "secret-word", "db", hosts, inactive_time=60)
    settings: dict[str, Any] = {"time_precision": NANOSECOND, "buffer_size": 1024}
    settings |= {"connections": 1, "linger": 0, "on_doubt": "report"}
    return client.writer(**(settings | options))


async def in_flight(writer: BatchWriter, packages: int) -> None:
    await eventually(lambda: writer.stats().packages_in_flight == packages)


# ---- refusals that are not final


async def test_package_goes_to_another_host_if_one_cannot_serve() -> None:
    one, other = HeldInserts(), HeldInserts()
    async with (
        ScriptedServer(one) as first,
        ScriptedServer(other) as second,
        weighted_writer((first, {"weight": 9}), (second, {"weight": 1})) as writer,
    ):
        writer.write("a", FIRST, 1.5)
        refused = await one.refuse(CANNOT_SERVE)
        assert (await other.answer()).payload == refused.payload
        for i in range(3):  # the first one is left alone for a while
            writer.write("a", FIRST + i, 2.5)
            await other.answer()
        report = await writer.flush()
        assert (report.points, report.is_complete, writer.stats().retries) == (4, True, 1)
        assert one.packages.empty()


@pytest.mark.parametrize("code", [CANNOT_SERVE, POOL_IS_GONE])
async def test_only_server_gets_the_package_again_and_then_goes_on_as_before(code: int) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server, linger=0) as writer:
        writer.write("a", FIRST, 1.5)
        refused = [(await held.refuse(code)).payload for _ in range(3)]
        assert (await held.answer()).payload == refused[0] == refused[1] == refused[2]
        for i in range(3):
            writer.write("a", FIRST + i, 2.5)
            await held.answer(timeout=2)
        report = await writer.flush()
        assert (report.points, report.is_complete, writer.stats().retries) == (4, True, 3)


async def test_host_that_could_not_serve_is_asked_when_no_other_is_left(fast_retry: None) -> None:
    one, other = HeldInserts(), HeldInserts()
    async with ScriptedServer(one) as first:
        async with ScriptedServer(other) as second:
            writer = weighted_writer((first, {"weight": 9}), (second, {"weight": 1}))
            await writer.open()
            writer.write("a", FIRST, 1.5)
            await one.refuse(CANNOT_SERVE)
            await other.answer()
        writer.write("a", FIRST, 2.5)
        assert points_of(await one.answer()) == {"a": [[FIRST, 2.5]]}
        assert (await writer.close()).points == 2


@pytest.mark.parametrize(
    ("code", "error"), [(CANNOT_SERVE, ServerError), (POOL_IS_GONE, PoolError)]
)
async def test_package_that_nobody_takes_in_time_is_reported(
    code: int, error: type[SiriDBError]
) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, delivery_timeout=2)
        await writer.open()
        writer.write("a", FIRST, 1.5)
        delivery = await writer.write_arrays("b", [FIRST], [2])
        flushing = asyncio.ensure_future(writer.flush(timeout=30))
        while not flushing.done():
            refusing = asyncio.ensure_future(held.refuse(code))
            await asyncio.wait([flushing, refusing], return_when=asyncio.FIRST_COMPLETED)
            refusing.cancel()
        report = await flushing
        assert (report.points, report.rejected_points, report.in_doubt_points) == (0, 2, 0)
        assert {failure.series for failure in report.rejected} == {"a", "b"}
        assert isinstance(report.rejected[0].error, error)
        assert (await delivery).rejected_points == 1
        await writer.close()


# ---- doubt


@pytest.mark.parametrize("text", [SENDING_FAILED, CRITICAL])
async def test_package_that_may_be_stored_in_part_is_in_doubt(text: str) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        delivery = await writer.write_arrays("a", [FIRST, FIRST + 1], [1, 2])
        flushing = asyncio.ensure_future(writer.flush())
        await held.refuse(INSERT_REFUSED, text)
        report = await flushing
        assert (report.points, report.rejected_points, report.in_doubt_points) == (0, 0, 2)
        assert isinstance(report.in_doubt[0].error, InsertError)
        assert (await delivery).in_doubt == report.in_doubt


async def test_lost_package_is_reported_as_in_doubt_and_not_sent_again(fast_retry: None) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        writer.write("a", FIRST, 1.5)
        flushing = asyncio.ensure_future(writer.flush())
        peer, _ = await held.take()
        peer.abort()
        report = await flushing
        assert (report.points, report.rejected_points, report.in_doubt_points) == (0, 0, 1)
        assert isinstance(report.in_doubt[0].error, ConnectionLost)
        writer.write("a", FIRST + 1, 2.5)
        flushing = asyncio.ensure_future(writer.flush())
        assert points_of(await held.answer()) == {"a": [[FIRST + 1, 2.5]]}
        assert (await flushing).is_complete


async def test_lost_package_is_sent_again_on_request(fast_retry: None) -> None:
    held = HeldInserts()
    async with (
        ScriptedServer(held) as server,
        scripted_writer(server, on_doubt="resend") as writer,
    ):
        writer.write("a", FIRST, 1.5)
        flushing = asyncio.ensure_future(writer.flush())
        peer, lost = await held.take()
        peer.abort()
        assert (await held.answer()).payload == lost.payload
        report = await flushing
        assert (report.points, report.is_complete, writer.stats().retries) == (1, True, 1)


async def test_client_tells_whether_to_send_again_unless_the_writer_does(
    fast_retry: None,
) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        client = scripted_client(server, on_doubt="resend")
        writer = client.writer(time_precision=NANOSECOND, buffer_size=1024, connections=1)
        async with writer:
            writer.write("a", FIRST, 1.5)
            flushing = asyncio.ensure_future(writer.flush())
            (await held.take())[0].abort()
            await held.answer()
            assert (await flushing).is_complete


async def test_doubt_stays_when_a_package_sent_again_is_not_taken(fast_retry: None) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, on_doubt="resend", delivery_timeout=2)
        await writer.open()
        writer.write("a", FIRST, 1.5)
        flushing = asyncio.ensure_future(writer.flush(timeout=30))
        (await held.take())[0].abort()
        while not flushing.done():
            refusing = asyncio.ensure_future(held.refuse(POOL_IS_GONE))
            await asyncio.wait([flushing, refusing], return_when=asyncio.FIRST_COMPLETED)
            refusing.cancel()
        report = await flushing
        assert (report.rejected_points, report.in_doubt_points) == (0, 1)
        await writer.close()


@pytest.mark.parametrize("on_doubt", ["report", "resend"])
async def test_package_that_is_not_answered_is_in_doubt(on_doubt: str) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server:
        writer = scripted_writer(server, on_doubt=on_doubt, delivery_timeout=0.2)
        await writer.open()
        writer.write("a", FIRST, 1.5)
        report = await writer.flush(timeout=30)
        assert (report.rejected_points, report.in_doubt_points) == (0, 1)
        assert isinstance(report.in_doubt[0].error, RequestTimeout)
        await held.take()
        assert (await writer.close()).is_complete


@pytest.mark.parametrize("on_doubt", ["report", "resend"])
async def test_nonsense_ends_the_connection_and_is_not_provoked_again(
    on_doubt: str, fast_retry: None
) -> None:
    held = HeldInserts()
    async with (
        ScriptedServer(held) as server,
        scripted_writer(server, on_doubt=on_doubt) as writer,
    ):
        writer.write("a", FIRST, 1.5)
        flushing = asyncio.ensure_future(writer.flush())
        peer, _ = await held.take()
        await peer.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert (await flushing).in_doubt_points == 1
        writer.write("a", FIRST + 1, 2.5)
        flushing = asyncio.ensure_future(writer.flush())
        assert points_of(await held.answer()) == {"a": [[FIRST + 1, 2.5]]}
        assert (await flushing).is_complete


@pytest.mark.parametrize("code", [3, 200])
async def test_answer_that_means_nothing_leaves_the_package_in_doubt(code: int) -> None:
    held = HeldInserts()
    async with ScriptedServer(held) as server, scripted_writer(server) as writer:
        writer.write("a", FIRST, 1.5)
        flushing = asyncio.ensure_future(writer.flush())
        await held.refuse(code)
        report = await flushing
        assert (report.rejected_points, report.in_doubt_points) == (0, 1)


# ---- whose turn it is


async def test_backup_takes_over_from_a_lost_host_not_from_a_busy_one() -> None:
    one, other = HeldInserts(), HeldInserts()
    async with ScriptedServer(one) as main, ScriptedServer(other) as backup:
        writer = weighted_writer((main, {}), (backup, {"backup": True}))
        await writer.open()
        writer.write("a", FIRST, 1.5)
        peer, _ = await one.take()
        writer.write("a", FIRST + 1, 2.5)
        await in_flight(writer, 1)
        assert other.packages.empty()
        peer.abort()
        assert points_of(await other.answer()) == {"a": [[FIRST + 1, 2.5]]}
        report = await writer.close()
        assert (report.points, report.in_doubt_points) == (1, 1)


async def test_hosts_get_packages_by_their_weight() -> None:
    one, other = HeldInserts(), HeldInserts()
    async with (
        ScriptedServer(one) as first,
        ScriptedServer(other) as second,
        weighted_writer((first, {"weight": 3}), (second, {"weight": 1}), window=64) as writer,
    ):
        handle = writer.series("a")
        for i in range(41):  # the first one waits for its series' type, and asking takes a turn
            handle.append(FIRST + i, 1.5)
            await in_flight(writer, i + 1)
        await eventually(lambda: one.packages.qsize() + other.packages.qsize() == 41)
        assert (one.packages.qsize(), other.packages.qsize()) in {(30, 11), (31, 10)}
        await one.answer_points(one.packages.qsize())
        await other.answer_points(other.packages.qsize())


@pytest.mark.parametrize(("connections", "window"), [(1, 1), (1, 4), (3, 2)])
async def test_no_more_packages_are_in_flight_than_asked_for(
    connections: int, window: int
) -> None:
    held = HeldInserts()
    options = {"connections": connections, "window": window, "linger": 0}
    async with ScriptedServer(held) as server, scripted_writer(server, **options) as writer:
        room = connections * window
        for i in range(room + 3):
            writer.write(f"series {i}", FIRST, 1.5)
            await in_flight(writer, min(i + 1, room))
        peers = [(await held.take()) for _ in range(room)]
        assert held.packages.empty()
        assert len({peer for peer, _ in peers}) == connections
        for peer, package in peers:
            await peer.send(package.pid, 1, b"")
        await held.answer_points(3)
        assert (await writer.flush()).points == room + 3

"""The public types, as the type checker of a program that uses them sees them.

Nothing of this runs: `make lint` checks it. `assert_type` fails where an annotation is lost or has
become another one; a ``type: ignore`` that is not needed any more fails where a wrong call is
taken. What pandas and pyarrow give has no types here.
"""

from typing import Any, assert_type

import numpy as np

import siridb_fast
from siridb_fast import (
    BatchWriter,
    BlockingClient,
    BlockingDelivery,
    BlockingWriter,
    ClientStats,
    ColumnError,
    Config,
    ConnectionLost,
    DeadLetters,
    Delivered,
    Delivery,
    DeliveryError,
    Failure,
    FileError,
    ForkedError,
    HostStats,
    Progress,
    Report,
    SiriDBAsyncConnection,
    SiriDBClient,
    SiriDBConnection,
    SpoolOptions,
    SpoolStats,
    Stats,
)

Arrays = dict[str, tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[Any]]]]
URL = "siridb://iris:siri@localhost/dbtest"


async def of_a_client() -> None:
    async with SiriDBClient.from_url(URL) as client:
        assert_type(client, SiriDBClient)
        assert_type(client.config, Config)
        assert_type((client.connected, client.is_closed), tuple[bool, bool])
        assert_type(await client.connect(timeout=1.0), list[BaseException | None])
        assert_type(await client.insert({"a": [[1, 2.0]]}, on_missing="drop"), dict[str, str])
        packed = siridb_fast.encode_insert({"a": ([1], [2.0])})
        assert_type(await client.insert_packed(packed), dict[str, str])
        assert_type(await client.query("list series"), Any)
        assert_type(client.stats(), ClientStats)
        assert_type(await client.query_arrays("select * from *", all_points=True), Arrays)
        assert_type(await client.load({"a": ([1], [2.0])}, progress=True), Report)
        assert_type(client.writer(linger=0.5), BatchWriter)
        await client.query_arrays("select * from *", all=True)  # type: ignore[call-arg]
        await client.query_frame("select * from *", form="tall")  # type: ignore[arg-type]
        await client.load([], unit="h")  # type: ignore[arg-type]
        await client.insert({}, on_missing="ignore")  # type: ignore[arg-type]
    assert_type(SiriDBClient.from_config(client.config), SiriDBClient)
    assert_type(SiriDBClient("iris", "siri", "dbtest", [("localhost", 9000)]), SiriDBClient)


def of_a_blocking_client() -> None:
    with siridb_fast.connect(URL) as client:
        assert_type(client, BlockingClient)
        assert_type(client.config, Config)
        assert_type(client.insert({"a": [[1, 2.0]]}), dict[str, str])
        assert_type(client.query("list series"), Any)
        assert_type(client.query_arrays("select * from *"), Arrays)
        assert_type(client.load("points.parquet", time="when"), Report)
        with client.writer(on_full="raise") as writer:
            assert_type(writer, BlockingWriter)
            assert_type(writer.write_arrays("a", [1], [2.0]), BlockingDelivery)
            assert_type(writer.write_many({"a": ([1], [2.0])}).wait(), Report)
            assert_type(writer.series("a").name, str)
            assert_type(writer.ticker(["a", "b"]).names, tuple[str, ...])
            assert_type((writer.flush(), writer.stats()), tuple[Report, Stats])
            writer.write("a", 1, 2.0)
            writer.write_tick(1, {"a": 2.0, "b": 3.0})
            writer.write("a", 1)  # type: ignore[call-arg]
        client.writer(lingre=1.0)  # type: ignore[call-arg]


async def of_a_writer(client: SiriDBClient) -> None:
    spool = SpoolOptions("spool.db", journal="plant.journal")
    async with BatchWriter(client, spool=spool, wait_for_server="in_background") as writer:
        assert_type(writer, BatchWriter)
        assert_type(writer.time_precision, int | None)
        assert_type(await writer.write_arrays("a", [1], [2.0]), Delivery)
        assert_type(await writer.write_many({"a": ([1], [2.0])}), Delivery)
        assert_type(await writer.write_rows(["a", "b"], [0, 1], [1, 1], [2.0, 3.0]), Delivery)
        assert_type(await (await writer.write_arrays("a", [1], [2.0])), Report)
        assert_type((await writer.flush(), writer.stats()), tuple[Report, Stats])
        writer.write("a", 1, 2.0)
        writer.write_tick(1, {"a": 2.0})
        writer.series("a").append(1, 2.0)
        ticker = writer.ticker(name for name in ("a", "b"))
        ticker.write(1, [2.0, 3.0])
        ticker.write_block([1, 2], np.ones((2, 2)))
        await writer.drain()
        writer.write(1, 1, 2.0)  # type: ignore[arg-type]
        await writer.write_many([("a", [1], [2.0])])  # type: ignore[arg-type]
        await writer.take([])  # type: ignore[attr-defined]
    assert_type(await writer.close(timeout=1.0), Report)
    BatchWriter(client, durability="sure")  # type: ignore[arg-type]
    BatchWriter(1)  # type: ignore[arg-type]
    SpoolOptions("spool.db", mode="always")  # type: ignore[arg-type]


def of_loads() -> None:
    assert_type(siridb_fast.load("points.csv", URL, series="{host}", skip_bad=True), Report)
    siridb_fast.load("points.csv", URL, on_progress=print)  # type: ignore[call-arg]


def of_reports(report: Report, delivered: Delivered, stats: Stats, progress: Progress) -> None:
    assert_type((report.points, report.packages, report.seconds), tuple[int, int, float])
    assert_type(
        (report.rejected, report.in_doubt), tuple[tuple[Failure, ...], tuple[Failure, ...]]
    )
    assert_type((report.is_complete, report.expired_series), tuple[bool, tuple[str, ...]])
    assert_type(report.rejected[0].series, str)
    assert_type(report.rejected[0].error, BaseException)
    assert_type(report.rejected[0].timestamps, np.ndarray[Any, np.dtype[np.int64]])
    with DeadLetters("letters.ndjson", in_doubt=False) as letters:
        BatchWriter(URL, on_error=letters)
        assert_type(BatchWriter.from_config("writer.toml", linger=0.5), BatchWriter)
        assert_type((letters.written, letters.lost), tuple[int, int])
    assert_type((delivered.host, delivered.latency), tuple[str, float])
    assert_type((stats.written, stats.delivered, stats.not_yet_safe), tuple[int, int, int])
    assert_type((stats.oldest_age, stats.connected), tuple[float, int])
    assert_type((stats.hosts, stats.spool), tuple[tuple[HostStats, ...], SpoolStats | None])
    assert_type((progress.rows, progress.total_rows), tuple[int, int | None])
    report.points = 1  # type: ignore[misc]


def of_errors() -> None:
    try:
        of_loads()
    except ColumnError as exc:
        assert_type((exc.series, exc.index), tuple[str | None, int | None])
    except FileError as exc:
        assert_type((exc.line, exc.column), tuple[int | None, str | None])
    except DeliveryError as exc:
        assert_type((exc.report.points, exc.report.rejected_points), tuple[int, int])
        assert_type(exc.report.rejected[0].series, str)
        assert_type(exc.report.in_doubt[0].error, BaseException)
        exc.report.points = 1  # type: ignore[misc]
    except ConnectionLost as exc:
        assert_type((exc.in_doubt, exc.retriable), tuple[bool, bool])
    except ForkedError as exc:
        assert_type(exc.args, tuple[Any, ...])


async def of_the_reference_driver() -> None:
    one = siridb_fast.connect("iris", "siri", "dbtest")
    assert_type(one, SiriDBConnection)
    assert_type(one.query_arrays("select * from *"), Arrays)
    assert_type(one.writer(), BlockingWriter)
    other = await siridb_fast.async_connect(URL)
    assert_type(other, SiriDBAsyncConnection)
    assert_type(await other.query_arrays("select * from *"), Arrays)


def of_bytes() -> None:
    payload = siridb_fast.encode_insert({"a": ([1], [2.0])}, time_precision=siridb_fast.SECOND)
    siridb_fast.encode_insert({}, on_missing="ignore")  # type: ignore[arg-type]
    bytes(payload)
    assert_type(siridb_fast.decode_points(payload), Arrays)
    assert_type(siridb_fast.packb({}), bytes)
    assert_type(siridb_fast.unpackb(b""), Any)
    assert_type(siridb_fast.run(of_a_client()), None)

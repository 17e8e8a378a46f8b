"""Real clients: what they sent is in the database, exactly."""

# ruff: noqa: N806 - the names of others

import asyncio
import math
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.gateways import ANY_PORT, Running, running, stored

AT = 1_700_000_000_000_000_001  # ns
TEXT = 'a "b" \\ c, d=e °C'
TAG = "a b,c=d°"

pytestmark = pytest.mark.one_loop


def public(module: str, *names: str) -> list[Any]:
    """Import names of a package that has no types; its own warnings are its business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = import_module(module)
    return [getattr(found, name) for name in names]


async def in_thread(send: Callable[[], object]) -> None:
    """Let a client that blocks send."""
    await asyncio.to_thread(send)


async def twice(send: Callable[[], object]) -> None:
    """Let it send all of it again, as after a timeout: that changes nothing."""
    for _ in range(2):
        await in_thread(send)


@pytest.mark.parametrize("is_compressed", [False, True])
async def test_influxdb_client(database: Database, is_compressed: bool) -> None:
    InfluxDBClient, Point = public("influxdb_client", "InfluxDBClient", "Point")
    (SYNCHRONOUS,) = public("influxdb_client.client.write_api", "SYNCHRONOUS")

    def send(url: str) -> None:
        with InfluxDBClient(url, token="t0ken", org="o", enable_gzip=is_compressed) as client:
            assert client.ping()
            assert client.version().startswith("siridb-fast")
            with client.write_api(write_options=SYNCHRONOUS) as api:
                point = Point("m").tag("t", TAG).field("f", 1.5).field("n", 7).field("s", TEXT)
                api.write("bucket", record=point.field("b", True).time(AT))
                api.write(
                    "bucket", record=[f"m,t=x f={n} {n}" for n in (1, 2)], write_precision="s"
                )

    async with running(database, influx={"listen": ANY_PORT, "token": "t0ken"}) as gateway:
        await twice(lambda: send(gateway.url()))
    found = await stored(database)
    assert found == {
        f"m,t={TAG}:f": [[AT, 1.5]],
        f"m,t={TAG}:n": [[AT, 7]],
        f"m,t={TAG}:s": [[AT, TEXT]],
        f"m,t={TAG}:b": [[AT, 1]],
        "m,t=x:f": [[1_000_000_000, 1.0], [2_000_000_000, 2.0]],
    }


async def test_influxdb_client_in_batches(database: Database) -> None:
    InfluxDBClient, WriteOptions = public("influxdb_client", "InfluxDBClient", "WriteOptions")

    def send(url: str) -> None:
        with (
            InfluxDBClient(url, token="any", org="o", enable_gzip=True) as client,
            client.write_api(write_options=WriteOptions(batch_size=500)) as api,
        ):
            for n in range(5_000):
                api.write("b", record=f"m,host=h{n % 10} v={n / 8} {AT + n}")

    async with running(database) as gateway:
        await in_thread(lambda: send(gateway.url()))
        assert gateway.figures("influx").requests == 10
    found = await stored(database)
    points = sorted(point for points in found.values() for point in points)
    assert points == [[AT + n, n / 8] for n in range(5_000)]


async def test_influxdb_client_is_told_of_bad_lines(database: Database) -> None:
    (InfluxDBClient,) = public("influxdb_client", "InfluxDBClient")
    (SYNCHRONOUS,) = public("influxdb_client.client.write_api", "SYNCHRONOUS")
    (ApiException,) = public("influxdb_client.rest", "ApiException")

    def send(url: str) -> None:
        with InfluxDBClient(url, token="any", org="o") as client:
            api = client.write_api(write_options=SYNCHRONOUS)
            with pytest.raises(ApiException, match="line 2: there is no field") as caught:
                api.write("b", record=["m v=1 1", "bad"])
            assert caught.value.status == 400

    async with running(database) as gateway:
        await in_thread(lambda: send(gateway.url()))
    assert await stored(database) == {"m:v": [[1, 1.0]]}


@pytest.mark.parametrize("is_compressed", [False, True])
async def test_influxdb(database: Database, is_compressed: bool) -> None:
    (InfluxDBClient,) = public("influxdb", "InfluxDBClient")
    (InfluxDBClientError,) = public("influxdb.exceptions", "InfluxDBClientError")

    def send(host: str, port: int) -> None:
        client = InfluxDBClient(host, port, database="db", gzip=is_compressed)
        assert client.ping().startswith("siridb-fast")
        client.create_database("db")
        assert client.get_list_database() == [{"name": database.name}]
        point = {
            "measurement": "m",
            "tags": {"t": TAG},
            "fields": {"f": 1.5, "n": 7, "b": False, "s": 'x "y" z'},
            "time": datetime.fromtimestamp(1_700_000_000, UTC),
        }
        assert client.write_points([point])
        assert client.write_points([{**point, "time": 5}], time_precision="s")
        with pytest.raises(InfluxDBClientError, match="line 1: "):
            client.write(["bad"], {"db": "db"}, protocol="line")
        client.close()

    async with running(database) as gateway:
        await twice(lambda: send(*gateway.address("influx")))
    times = [5 * 10**9, 1_700_000_000 * 10**9]
    assert await stored(database) == {
        f"m,t={TAG}:f": [[at, 1.5] for at in times],
        f"m,t={TAG}:n": [[at, 7] for at in times],
        f"m,t={TAG}:b": [[at, 0] for at in times],
        f"m,t={TAG}:s": [[at, 'x "y" z'] for at in times],
    }


@pytest.mark.parametrize("uses_v2", [False, True])
async def test_influxdb3(database: Database, uses_v2: bool) -> None:
    SYNCHRONOUS, InfluxDBClient3, Point, write_client_options = public(
        "influxdb_client_3", "SYNCHRONOUS", "InfluxDBClient3", "Point", "write_client_options"
    )
    (InfluxDBError,) = public("influxdb_client_3.exceptions.exceptions", "InfluxDBError")
    (WriteOptions,) = public("influxdb_client_3.write_client.client.write_api", "WriteOptions")

    def send(url: str) -> None:
        wrote = write_client_options(write_options=WriteOptions(write_type=SYNCHRONOUS.write_type))
        with InfluxDBClient3(
            url, token="any", database="db", write_use_v2_api=uses_v2, write_client_options=wrote
        ) as client:
            assert client.get_server_version().startswith("siridb-fast")
            point = Point("m").tag("t", TAG).field("f", 1.5).field("n", 7).field("s", TEXT)
            client.write(point.time(AT))
            with pytest.raises(InfluxDBError):
                client.write("m v=1 1\nbad")

    async with running(database) as gateway:
        await twice(lambda: send(gateway.url()))
    assert await stored(database) == {
        f"m,t={TAG}:f": [[AT, 1.5]],
        f"m,t={TAG}:n": [[AT, 7]],
        f"m,t={TAG}:s": [[AT, TEXT]],
        "m:v": [[1, 1.0]],
    }


def send_by_questdb(conf: str) -> None:
    Sender, TimestampMicros, TimestampNanos = public(
        "questdb.ingress", "Sender", "TimestampMicros", "TimestampNanos"
    )
    with Sender.from_conf(conf) as sender:
        sender.row(
            "ta ble",
            symbols={"s": "a\\b c,d=e\nf"},
            columns={"f": 1.5, "n": 7, "b": True, "t": 'x"y\\z\nq', "at": TimestampMicros(5)},
            at=TimestampNanos(AT),
        )
        for n in range(1, 1_001):
            sender.row("many", columns={"v": n / 8}, at=TimestampNanos(n))


OF_QUESTDB = {
    "ta ble,s=a\\b c,d=e\nf:f": [[AT, 1.5]],
    "ta ble,s=a\\b c,d=e\nf:n": [[AT, 7]],
    "ta ble,s=a\\b c,d=e\nf:b": [[AT, 1]],
    "ta ble,s=a\\b c,d=e\nf:t": [[AT, 'x"y\\z\nq']],
    "ta ble,s=a\\b c,d=e\nf:at": [[AT, 5]],
    "many:v": [[n, n / 8] for n in range(1, 1_001)],
}


async def test_questdb_over_http(database: Database) -> None:
    async with running(database) as gateway:
        host, port = gateway.address("influx")
        await twice(lambda: send_by_questdb(f"http::addr={host}:{port};"))
    assert await stored(database) == OF_QUESTDB


async def test_questdb_over_http_with_a_token(database: Database) -> None:
    async with running(database, influx={"listen": ANY_PORT, "token": "t0ken"}) as gateway:
        host, port = gateway.address("influx")
        await twice(lambda: send_by_questdb(f"http::addr={host}:{port};token=t0ken;"))
    assert await stored(database) == OF_QUESTDB


async def test_questdb_over_tcp(database: Database) -> None:
    door = {"tcp": {"listen": ANY_PORT, "dialect": "questdb"}}
    async with running(database, influx=door) as gateway:
        host, port = gateway.address("influx.tcp")
        await in_thread(lambda: send_by_questdb(f"tcp::addr={host}:{port};protocol_version=1;"))
        await eventually(lambda: gateway.figures("influx.tcp").points == 1_005)
    assert await stored(database) == OF_QUESTDB


COLLECTD = """
BaseDir "{folder}"
PIDFile "{folder}/pid"
Interval 1
LoadPlugin load
LoadPlugin write_graphite
<Plugin write_graphite>
  <Node "x">
    Host "{host}"
    Port "{port}"
    Protocol "tcp"
    Prefix "collectd."
  </Node>
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{folder}/csv"
</Plugin>
Hostname "box"
FQDNLookup false
"""


async def test_collectd_writes_graphite(database: Database, tmp_path: Path) -> None:
    program = shutil.which("collectd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("Debian's collectd-core is not installed")
    async with running(database, influx={}, graphite={"listen": ANY_PORT}) as gateway:
        host, port = gateway.address("graphite.tcp")
        path = tmp_path / "collectd.conf"
        path.write_text(COLLECTD.format(folder=tmp_path, host=host, port=port))
        process = await asyncio.create_subprocess_exec(
            program, "-f", "-C", str(path), stderr=asyncio.subprocess.PIPE
        )
        try:
            await until_points(gateway, "graphite.tcp", 6)
        finally:
            process.terminate()
            await process.communicate()
        await eventually(lambda: gateway.figures("graphite.tcp").connections == 0)
        figures = gateway.figures("graphite.tcp")
        assert figures.bad_lines == 0
    found = await stored(database)
    assert set(found) == {f"collectd.box.load.load.{n}term" for n in ("short", "mid", "long")}
    told = _csv_points(tmp_path / "csv/box/load")
    for name, column in (("shortterm", 0), ("midterm", 1), ("longterm", 2)):
        points = found[f"collectd.box.load.load.{name}"]
        assert points
        assert all(math.isfinite(value) for _, value in points)
        seconds = {time // 10**9: value for time, value in points}
        both = seconds.keys() & told.keys()
        assert both
        assert all(seconds[at] == pytest.approx(told[at][column], abs=0.01) for at in both)
    assert len({len(points) for points in found.values()}) == 1


def _csv_points(folder: Path) -> dict[int, list[float]]:
    # What collectd has written beside: the values of each second.
    lines = [line for path in folder.glob("load-*") for line in path.read_text().splitlines()]
    rows = [[float(cell) for cell in line.split(",")] for line in lines if line[0].isdigit()]
    return {round(at): values for at, *values in rows}


async def until_points(gateway: Running, door: str, points: int) -> None:
    await eventually(lambda: gateway.figures(door).points >= points)


IMPORT = """# DDL
CREATE DATABASE plant
# DML
# CONTEXT-DATABASE: plant
# CONTEXT-RETENTION-POLICY: autogen
"""


async def test_influx_imports_a_file(database: Database, tmp_path: Path) -> None:
    program = shutil.which("influx")
    if program is None:
        pytest.skip("Debian's influxdb-client is not installed")
    path = tmp_path / "export"
    lines = [f"m,t=x v={n / 8},n={n}i {n + 1}" for n in range(12_000)]
    path.write_text(IMPORT + "\n".join(lines) + "\n")
    async with running(database) as gateway:
        host, port = gateway.address("influx")
        command = [program, "-host", host, "-port", str(port), "-import", "-path", str(path)]
        command += ["-precision", "ns"]
        done: Any = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert gateway.figures("influx").bad_lines == 0
    assert await stored(database) == {
        "m,t=x:v": [[n + 1, n / 8] for n in range(12_000)],
        "m,t=x:n": [[n + 1, n] for n in range(12_000)],
    }


async def test_home_assistant_asks_and_writes(database: Database) -> None:
    # As its component influxdb does: a test of one newline, and measurements called by units.
    (InfluxDBClient,) = public("influxdb", "InfluxDBClient")

    def send(host: str, port: int) -> None:
        client = InfluxDBClient(host, port, "", "", "home_assistant", timeout=10)
        client.write_points([])
        client.query("SHOW DATABASES;")
        client.write(["\n"], {"db": "home_assistant"}, protocol="line")
        client.write_points([{
            "measurement": "°C",
            "tags": {"domain": "sensor", "entity_id": "flur"},
            "time": datetime.fromtimestamp(5, UTC),
            "fields": {"value": 21.5, "friendly_name_str": "Flur", "device_class_str": "t"},
        }])  # fmt: skip
        client.close()

    async with running(database) as gateway:
        await in_thread(lambda: send(*gateway.address("influx")))
    tags = "°C,domain=sensor,entity_id=flur"
    assert await stored(database) == {
        f"{tags}:value": [[5 * 10**9, 21.5]],
        f"{tags}:friendly_name_str": [[5 * 10**9, "Flur"]],
        f"{tags}:device_class_str": [[5 * 10**9, "t"]],
    }

"""``[influx.databases]``: what the names mean that clients of InfluxDB give."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from siridb_fast import ConfigError, UnknownDatabaseError
from siridb_fast.gateway.config_file import config_from
from siridb_fast.testing import SiriDBServer
from tests.commands import run_command
from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.gateways import ANY_PORT, Running, running, stored
from tests.gateway.http_calls import get, post

URL = "siridb://a:b@host/main"
BOTH = {"plant": "plant", "office/short": "siridb://a:b@other/x", "office": "office"}


def config(databases: Any, **more: Any) -> Any:
    keys = {"url": URL, "influx": {"listen": "1", "databases": databases}, **more}
    return config_from(keys, Path("/f"))


def test_file_names_databases_of_the_same_servers_and_of_others() -> None:
    found = config({**BOTH, "factory": "plant", "default": "main"}, journal="g.journal")
    assert [(one.names, one.target.dbname, one.is_main) for one in found.databases] == [
        (("plant", "factory"), "plant", False),
        (("office/short",), "x", False),
        (("office",), "office", False),
        (("default",), "main", True),
    ]
    assert [str(one.writer["journal"]) for one in found.all_databases] == [
        "/f/g.journal", "/f/g-plant.journal", "/f/g-office%2Fshort.journal", "/f/g-office.journal",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("databases", "text"),
    [
        ({"a": ""}, "influx.databases.a: expected a name, and the URL"),
        ({"a": 5}, "influx.databases.a: expected a text, got int"),
        ({"a": "siridb://host"}, "influx.databases.a: "),
        ({str(n): "x" for n in range(65)}, "influx.databases: at most 64 databases, got 65"),
        ("plant", "influx.databases: expected a table, got str"),
    ],
)
def test_mistake_names_its_key(databases: Any, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(databases)
    assert text in str(caught.value)


def test_check_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    names = "".join(f'"{name}" = "{value}"\n' for name, value in BOTH.items())
    path.write_text(f'url = "{URL}"\n[influx]\nlisten = "1"\n[influx.databases]\n{names}')
    shown = run_command("gateway", "--config", path, "--check").stdout
    assert "of the name 'plant' into 'plant' at host:9000" in shown
    assert "a:b@" not in shown


def with_databases(database: Database, names: dict[str, str], **more: Any) -> Any:
    influx = {"listen": ANY_PORT, "databases": names}
    return running(database, influx=influx, **more)


async def points(server: SiriDBServer, name: str) -> dict[str, list[list[Any]]]:
    return await stored(Database(server, name))


async def query(gateway: Running, text: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.post(gateway.url("/query"), params={"q": text}) as answer,
    ):
        return (await answer.json())["results"][0]


async def test_each_name_has_its_database(own_database: Database, tmp_path: Path) -> None:
    server = own_database.server
    for name in ("plant", "office"):
        server.create_database(name)
    names = {"plant": "plant", "office": server.url("office"), "office/main": own_database.name}
    async with with_databases(own_database, names, journal=str(tmp_path / "g.journal")) as gateway:
        for number, path in enumerate(
            [
                "/write",
                "/write?db=plant&rp=any",
                "/write?db=office",
                "/write?db=office&rp=main",
                "/api/v2/write?bucket=plant&org=o",
                "/api/v2/write?bucket=office/any&org=o",
                "/api/v3/write_lp?db=office",
            ],
            1,
        ):
            assert (await post(gateway, b"m v=%d %d" % (number, number), path))[0] == 204
        for path, text in (
            ("/write?db=nope", 'database not found: "nope"'),
            ("/api/v3/write_lp?db=nope", 'database not found: "nope"'),
            ("/api/v2/write?bucket=nope&org=o", 'bucket "nope" not found'),
        ):
            status, answer, _ = await post(gateway, b"m v=9 9", path)
            assert (status, answer["error"], answer["code"]) == (404, text, "not found")
        shown = await query(gateway, "SHOW DATABASES")
        assert sorted(shown["series"][0]["values"]) == [["office"], ["office/main"], ["plant"]]
        assert "error" not in await query(gateway, 'CREATE DATABASE "plant" WITH DURATION 1d')
        assert "is not one of" in (await query(gateway, "CREATE DATABASE nope"))["error"]
        for name in ("g", "g-plant", "g-office"):
            assert await asyncio.to_thread((tmp_path / f"{name}.journal").exists)
        _, found, _ = await get(gateway, "/metrics")
        for name in ("gateway", "gateway/plant", "gateway/office"):
            assert f'siridb_fast_points_written_total{{name="{name}"}}'.encode() in found
        text = (await get(gateway, "/"))[1].decode()
        assert "<b>plant</b>" in text
        assert "<b>office</b>" in text
    assert await points(server, own_database.name) == {"m:v": [[1, 1.0], [4, 4.0]]}
    assert await points(server, "plant") == {"m:v": [[2, 2.0], [5, 5.0]]}
    assert await points(server, "office") == {"m:v": [[3, 3.0], [6, 6.0], [7, 7.0]]}


async def test_names_mean_nothing_without_the_table(database: Database) -> None:
    async with running(database) as gateway:
        for path in ("/write?db=a&rp=b", "/api/v2/write?bucket=c&org=d"):
            assert (await post(gateway, b"m v=1 1", path))[0] == 204
        shown = await query(gateway, "SHOW DATABASES")
        assert shown["series"][0]["values"] == [[database.name]]
    assert await stored(database) == {"m:v": [[1, 1.0]]}


async def test_database_that_is_away_is_named(database: Database) -> None:
    with SiriDBServer() as other:
        other.create_database("plant")
        names = {"plant": other.url("plant")}
        async with with_databases(database, names, drain_timeout=0.5) as gateway:
            assert (await get(gateway, "/ready"))[:2] == (200, b"OK\n")
            other.kill()
            await eventually(lambda: not gateway.gateway.facts().databases[1].stats.connected)
            assert (await get(gateway, "/ready"))[:2] == (503, b"no server is connected (plant)\n")
            assert b"plant: No server is connected." in (await get(gateway, "/"))[1]
            assert (await post(gateway, b"m v=1 1"))[0] == 204


async def test_one_that_is_not_there_keeps_the_gateway_from_starting(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnknownDatabaseError):
        async with with_databases(database, {"plant": "nope"}, writer={"wait_for_server": 0.0}):
            pass
    assert "[influx.databases] plant: 'nope' at" in caplog.text

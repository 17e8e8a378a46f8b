"""Who is let in, and what clients of InfluxDB ask before they write."""

import base64
import json

import pytest

from tests.fix_server import Database
from tests.gateway.gateways import running, stored
from tests.gateway.http_calls import get, post
from tests.gateway.test_influx_http import LINES, POINTS

TOKEN = {"listen": "127.0.0.1:0", "token": "t0ken", "username": "me", "password": "pw"}


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        ("Token t0ken", "", 204),
        ("Bearer t0ken", "", 204),
        ("Token me:pw", "", 204),
        (basic("me:pw"), "", 204),
        (basic("any:t0ken"), "", 204),
        ("", "?u=me&p=pw", 204),
        ("", "", 401),
        ("Token other", "", 401),
        (basic("me:t"), "", 401),
        (basic("you:pw"), "", 401),
        ("Basic ü", "", 401),
        ("", "?u=me&p=no", 401),
    ],
)
async def test_who_is_let_in(database: Database, header: str, query: str, status: int) -> None:
    async with running(database, influx=TOKEN) as gateway:
        headers = {"Authorization": header} if header else {}
        assert (await post(gateway, LINES, "/write" + query, **headers))[0] == status
        assert (await get(gateway, "/settings"))[0] == 200
        assert (await get(gateway, "/ping"))[0] == 204
        for path in ("/query?q=SHOW+DATABASES", "/", "/metrics"):
            assert (await get(gateway, path))[0] == 401
            found = await get(gateway, path, headers={"Authorization": "Token t0ken"})
            assert found[0] == 200
    assert await stored(database) == (POINTS if status == 204 else {})


async def test_where_nobody_is_asked_credentials_are_passed_over(database: Database) -> None:
    async with running(database) as gateway:
        assert (await post(gateway, LINES, Authorization=basic("root:root")))[0] == 204


async def test_what_clients_ask_before_they_write(database: Database) -> None:
    async with running(database) as gateway:
        status, _, headers = await get(gateway, "/ping", headers={"Content-Encoding": "gzip"})
        assert (status, headers["X-Influxdb-Version"][:11]) == (204, "siridb-fast")
        status, found, _ = await get(gateway, "/ping?verbose=true")
        assert (status, "version" in json.loads(found)) == (200, True)
        _, found, _ = await get(gateway, "/health")
        assert json.loads(found)["status"] == "pass"
        _, found, _ = await get(gateway, "/query?q=SHOW+DATABASES%0A")
        (result,) = json.loads(found)["results"]
        assert result["series"][0]["values"] == [[database.name]]
        status, found, _ = await post(gateway, b"q=CREATE+DATABASE+x", "/query", **FORM)
        assert (status, found) == (200, {"results": [{"statement_id": 0}]})
        _, found, _ = await get(gateway, "/query?q=select+1%3B+show+databases")
        assert ["error" in one for one in json.loads(found)["results"]] == [True, False]
        assert (await get(gateway, "/query"))[0] == 400
        assert (await get(gateway, "/nothing"))[0] == 404


FORM = {"Content_Type": "application/x-www-form-urlencoded"}

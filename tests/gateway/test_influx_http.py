"""Line protocol over HTTP: what is taken, what is refused, and how clients are told."""

import asyncio
import gzip
import zlib
from functools import partial
from typing import Any

import pytest

from siridb_fast import SECOND
from siridb_fast.testing import SiriDBServer
from tests.fix_server import Database
from tests.gateway.gateways import running, stored
from tests.gateway.http_calls import get, post, raw

LINES = b'cpu,host=a v=1.5,n=3i,t="x" 5\ncpu v=2 6\n'
POINTS = {
    "cpu,host=a:v": [[5, 1.5]],
    "cpu,host=a:n": [[5, 3]],
    "cpu,host=a:t": [[5, "x"]],
    "cpu:v": [[6, 2.0]],
}
gzipped = partial(gzip.compress, mtime=0)
BOTH = LINES + b"cpu v=nan 7\ncpu v=3 8\n"


@pytest.mark.parametrize("path", ["/write", "/write?db=x&rp=y", "/api/v2/write?org=o&bucket=b"])
async def test_lines_are_stored(database: Database, path: str) -> None:
    async with running(database) as gateway:
        assert (await post(gateway, LINES, path))[0] == 204
        report = await gateway.end()
    assert report.points == 4
    assert await stored(database) == POINTS


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzipped(LINES), "gzip"),
        (gzipped(LINES[:30]) + gzipped(LINES[30:]), "gzip"),
        (zlib.compress(LINES), "deflate"),
        (b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n"), "identity"),
    ],
    ids=["gzip", "two", "deflate", "plain"],
)
async def test_bodies_may_be_compressed(database: Database, body: bytes, encoding: str) -> None:
    async with running(database) as gateway:
        assert (await post(gateway, body, Content_Encoding=encoding))[0] == 204
    assert await stored(database) == POINTS


@pytest.mark.parametrize("body", [b"", b"\n", b"# a comment\n", gzipped(b"")], ids=range(4))
async def test_a_body_without_a_point_is_fine(database: Database, body: bytes) -> None:
    async with running(database) as gateway:
        headers = {"Content_Encoding": "gzip"} if body.startswith(b"\x1f") else {}
        assert (await post(gateway, body, **headers))[0] == 204


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("n", 1), ("ns", 1), ("us", 10**3), ("u", 10**3), ("ms", 10**6), ("s", 10**9),
     ("m", 60 * 10**9), ("h", 3600 * 10**9), ("", 1), ("second", 10**9)],
)  # fmt: skip
async def test_every_precision_is_known(database: Database, unit: str, factor: int) -> None:
    async with running(database) as gateway:
        assert (await post(gateway, b"m v=1i 7", f"/write?precision={unit}"))[0] == 204
    assert await stored(database) == {"m:v": [[7 * factor, 1]]}


async def test_a_precision_that_is_unknown_is_refused(database: Database) -> None:
    async with running(database) as gateway:
        status, found, _ = await post(gateway, LINES, "/write?precision=d")
        assert (status, "precision is one of n, us" in found["error"]) == (400, True)
    assert await stored(database) == {}


async def test_the_good_lines_are_taken_and_the_bad_ones_named(database: Database) -> None:
    async with running(database) as gateway:
        status, found, headers = await post(gateway, BOTH)
        assert status == 400
        text = "partial write: 1 of 4 lines are refused: line 3: expected a number"
        for key in ("error", "message"):
            assert found[key].startswith(text)
        assert (found["code"], found["line"]) == ("invalid", 3)
        assert headers["X-Influxdb-Error"].startswith(text)
        figures = gateway.figures("influx")
        assert (figures.lines, figures.points, figures.bad_lines) == (4, 5, 1)
        assert figures.last_refusal is not None
        assert figures.last_refusal.line == "cpu v=nan 7"
    expected = {**POINTS, "cpu:v": [[6, 2.0], [8, 3.0]]}
    assert await stored(database) == expected


async def test_a_hundred_bad_lines_are_named(database: Database) -> None:
    async with running(database) as gateway:
        _, found, _ = await post(gateway, b"bad\n" * 150)
        assert len(found["data"]) == 100
        assert found["message"].endswith("; and 50 more")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"m v=1 -5", "before 1970"),
        (b"m v=9223372036854775808i 5", "does not fit"),
        (b"m v=9223372036854775808u 5", "does not fit"),
        (b"m\0 v=1 5", "NUL"),
        (b'm v="a\0" 5', "NUL"),
        (b"m\xff v=1 5", "UTF-8"),
        (b"m v=inf 5", "expected a number"),
        (b'm v="a" 5', "is of type float, 'a' is a text"),
        (b"whole v=1.5 5", "is of type integer, 1.5 is a float"),
        (b"m v=9007199254740993i 5", "is inexact as a float"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_line(
    database: Database, line: bytes, reason: str
) -> None:
    async with running(database) as gateway:
        assert (await post(gateway, b"m v=1 1\nwhole v=1i 1"))[0] == 204
        status, found, _ = await post(gateway, b"m v=2 2\n" + line + b"\nwhole v=3i 3\n")
        assert status == 400
        assert found["data"][0]["line_number"] == 2
        assert reason in found["data"][0]["error_message"]
    assert await stored(database) == {"m:v": [[1, 1.0], [2, 2.0]], "whole:v": [[1, 1], [3, 3]]}


async def test_integers_go_into_a_series_of_floats(database: Database) -> None:
    async with database.client() as client:
        await client.insert({"m:v": [[1, 1.5]]})
    async with running(database) as gateway:
        assert (await post(gateway, b"m v=2i 2\nm v=t 3\n"))[0] == 204
    assert await stored(database) == {"m:v": [[1, 1.5], [2, 2.0], [3, 1.0]]}


async def test_lines_without_a_time_get_one(make_database: Any) -> None:
    database = make_database(time_precision="s")
    async with running(database) as gateway:
        before = asyncio.get_running_loop().time()
        assert (await post(gateway, b"m v=1", "/write?precision=ms"))[0] == 204
        assert before <= asyncio.get_running_loop().time()
    ((time, value),) = (await stored(database))["m:v"]
    assert value == 1.0
    assert 1_700_000_000 < time < 2**32


async def test_times_that_are_too_fine_are_refused_or_rounded_down(make_database: Any) -> None:
    database = make_database(time_precision="s")
    async with running(database) as gateway:
        status, found, _ = await post(gateway, b"m v=1 1500\nm v=2 2000", "/write?precision=ms")
        assert (status, found["line"]) == (400, 1)
    async with running(database, on_precision_loss="floor") as gateway:
        assert (await post(gateway, b"m v=3 3500", "/write?precision=ms"))[0] == 204
        assert gateway.gateway._destinations[0].writer.time_precision == SECOND
    assert await stored(database) == {"m:v": [[2, 2.0], [3, 3.0]]}


async def test_bodies_come_in_chunks_and_pipelined_and_ask_first(database: Database) -> None:
    head = b"POST /write HTTP/1.1\r\nHost: x\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nm v=1\r\n3\r\n 1\n\r\n0\r\n\r\n"
    plain = head + b"Content-Length: 8\r\n\r\nm v=2 2\n"
    asking = head + b"Expect: 100-continue\r\nContent-Length: 8\r\n\r\n"
    async with running(database) as gateway:
        found = await raw(gateway, chunked + plain + plain.replace(b"2 2", b"3 3"), answers=3)
        assert found.count(b"HTTP/1.1 204") == 3
        found = await raw(gateway, asking, b"m v=4 4\n", answers=2)
        assert found.index(b"HTTP/1.1 100 Continue") < found.index(b"HTTP/1.1 204")
    assert await stored(database) == {"m:v": [[n, float(n)] for n in (1, 2, 3, 4)]}


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 100\r\n\r\n" + LINES,
        b"Transfer-Encoding: chunked\r\n\r\n8\r\nm v=1 1\n\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 40\r\n\r\n" + gzipped(LINES * 5)[:40],
        b"Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\nm v=2 2\n",
        b"Content-Encoding: br\r\nContent-Length: 8\r\n\r\nm v=2 2\n",
    ],
    ids=["length", "chunks", "gzip", "no-gzip", "br"],
)
async def test_a_body_that_is_cut_off_or_no_body_stores_nothing(
    database: Database, sent: bytes
) -> None:
    async with running(database) as gateway:
        found = await raw(gateway, b"POST /write HTTP/1.1\r\nHost: x\r\n" + sent)
        assert b"HTTP/1.1 204" not in found
        assert (await post(gateway, b"m v=9 9"))[0] == 204
    assert await stored(database) == {"m:v": [[9, 9.0]]}


async def test_a_small_body_that_becomes_a_large_one_is_refused(database: Database) -> None:
    bomb = gzipped(b"m v=1 1\n" * 1_000_000)
    async with running(database, max_body=1_000_000) as gateway:
        status, found, _ = await post(gateway, bomb, Content_Encoding="gzip")
        assert (status, "max_body" in found["error"]) == (413, True)
        assert (await post(gateway, LINES))[0] == 204
        assert gateway.figures("influx").last_refusal is not None


async def test_many_large_bodies_at_once_are_put_off(database: Database) -> None:
    async with running(database, max_body=100_000, max_bodies=100_000) as gateway:
        _, writer = await asyncio.open_connection(*gateway.address("influx"))
        head = b"POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n"
        writer.write(head + b"m v=1 1\n" * 10_000)
        await writer.drain()
        status = 204
        while status == 204:  # until the first one is being held
            status, _, headers = await post(gateway, b"m v=2 2\n" * 5_000)
        assert (status, headers["Retry-After"]) == (503, "1")
        writer.close()
        await writer.wait_closed()
        while (await post(gateway, b"m v=3 3\n" * 5_000))[0] != 204:
            pass


async def test_without_room_nothing_of_a_body_is_taken(own_database: Database) -> None:
    options = {"max_buffered": 1_048_576, "package_bytes": 10_000}
    async with running(own_database, writer=options) as gateway:
        assert (await post(gateway, b"m v=0 0"))[0] == 204
        own_database.server.pause()
        try:
            sent, status = 0, 204
            while status == 204:
                body = b"".join(b"m v=1 %d\n" % (sent * 1000 + n + 1) for n in range(1000))
                status, found, headers = await post(gateway, body)
                sent += status == 204
            assert status == 503
            assert (headers["Retry-After"], "no room" in found["error"]) == ("1", True)
            assert gateway.figures("influx").overloads == 1
        finally:
            own_database.server.resume()
    points = (await stored(own_database))["m:v"]
    assert len(points) == sent * 1000 + 1


async def test_a_gateway_that_stops_takes_nothing_more(database: Database) -> None:
    async with running(database) as gateway:
        gateway.gateway._destinations[0].intake.is_stopping = True
        status, _, headers = await post(gateway, LINES)
        assert (status, headers["Retry-After"]) == (503, "5")
        assert (await get(gateway, "/health"))[0] == 503
        assert (await get(gateway, "/ready"))[0] == 503
    assert await stored(database) == {}


async def test_delivered_is_in_the_database_when_it_is_answered(database: Database) -> None:
    async with running(database, acknowledge="delivered") as gateway:
        assert (await post(gateway, LINES))[0] == 204
        assert await stored(database) == POINTS


async def test_what_was_taken_and_not_delivered_is_told(own_database: Database) -> None:
    options = {"delivery_timeout": 0.5, "on_doubt": "report"}
    keys: dict[str, Any] = {"acknowledge": "delivered", "writer": options, "drain_timeout": 0.5}
    async with running(own_database, late="keep", **keys) as gateway:
        assert (await post(gateway, b"m v=1 1"))[0] == 204
        own_database.server.kill()
        status, found, _ = await post(gateway, b"m v=2 2")
        assert status in (500, 503)
        assert found["code"] in ("internal error", "unavailable")


async def test_new_series_wait_for_a_database_that_does_not_answer(
    own_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.gateway.intake.TYPES_TIMEOUT", 0.2)
    async with running(own_database) as gateway:
        assert (await post(gateway, b"m v=1 1"))[0] == 204
        own_database.server.pause()
        try:
            status, found, _ = await post(gateway, b"new v=1 1")
            assert (status, "does not tell" in found["error"]) == (503, True)
        finally:
            own_database.server.resume()
        while (await post(gateway, b"new v=2 2"))[0] != 204:
            pass
    assert (await stored(own_database))["new:v"] == [[2, 2.0]]


async def test_a_client_of_questdb_is_told_by_its_name(database: Database) -> None:
    line = b'm,s=a\\\\b t="x\\\ny",at=7t 5\n'
    async with running(database) as gateway:
        assert (await post(gateway, line, User_Agent="questdb/python/6.0.0"))[0] == 204
        assert (await post(gateway, b'm t="x\\\ny" 5\n'))[0] == 204
    assert await stored(database) == {
        "m,s=a\\b:t": [[5, "x\ny"]],
        "m,s=a\\b:at": [[5, 7]],
        "m:t": [[5, "x\\\ny"]],
    }


async def test_clients_of_influxdb_3_are_answered_as_it_does(database: Database) -> None:
    async with running(database) as gateway:
        status, found, _ = await post(gateway, BOTH, "/api/v3/write_lp?db=x&precision=nanosecond")
        assert (status, found["error"]) == (400, "partial write of line protocol occurred")
        assert found["data"][0]["original_line"] == "cpu v=nan 7"
    assert (await stored(database))["cpu:v"] == [[6, 2.0], [8, 3.0]]


async def test_lines_of_json_over_http(database: Database) -> None:
    lines = b'{"series": "a", "timestamp": 5, "value": 20}\n{"series": "a"}\n'
    async with running(database) as gateway:
        status, found, _ = await post(gateway, lines, "/api/ndjson")
        assert (status, found["line"]) == (400, 2)
        more = b'{"series": "a", "timestamp": 6, "value": 20.5}\n'
        assert (await post(gateway, more, "/api/ndjson"))[0] == 204
    assert await stored(database) == {"a": [[5, 20.0], [6, 20.5]]}


async def test_a_series_of_many_points_does_not_wait_for_a_connection(database: Database) -> None:
    body = b"".join(b"m v=%d 1%06d\n" % (n, n) for n in range(60_000))
    async with running(database) as gateway:
        assert (await post(gateway, body))[0] == 204
    points = (await stored(database))["m:v"]
    assert len(points) == 60_000
    assert points[-1] == [1_059_999, 59_999.0]


async def test_a_large_body_is_read_in_pieces(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.gateway.http_writes.BLOCK", 1_000)
    lines = [b"m v=%d %d" % (n, n + 1) for n in range(1_000)]
    lines[500] = b'm t="' + b"x" * 3_000 + b'" 1'
    lines[700] = b"bad"
    async with running(database) as gateway:
        status, found, _ = await post(gateway, b"\n".join(lines))
        assert (status, found["line"], len(found["data"])) == (400, 701, 1)
    points = await stored(database)
    assert len(points["m:v"]) == 998
    assert points["m:t"] == [[1, "x" * 3_000]]


async def test_too_many_new_series_are_refused_by_line(
    server: SiriDBServer, database: Database
) -> None:
    body = b"".join(b"m,id=%d v=1 5\n" % n for n in range(10))
    async with running(database, max_new_series=4) as gateway:
        status, found, _ = await post(gateway, body)
        assert (status, len(found["data"])) == (400, 6)
        assert "max_new_series" in found["data"][0]["error_message"]
        assert "'id'" in found["data"][0]["error_message"]
        assert (await post(gateway, b"m,id=0 v=2 6"))[0] == 204
    assert len(await stored(database)) == 4

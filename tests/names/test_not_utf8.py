"""Names and texts of other clients that are not UTF-8: read as they are, and in nobody's way."""

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from siridb_fast import BatchWriter, ColumnError, TableError, packb
from siridb_fast.protocol import _wire
from siridb_fast.query.select import quote
from siridb_fast.spool.store import Spool
from siridb_fast.testing import FaultProxy
from tests.commands import run_command
from tests.fix_server import Database
from tests.loading.load_runs import forget_delivered, write_table
from tests.names.points import TIMES, as_points

pytestmark = [pytest.mark.one_loop, pytest.mark.usefixtures("fast_retry")]

ALL = "select * from *"
ODD_NAMES = [b"caf\xe9", b"\xff\"'", b"\xed\xa0\x80"]  # Latin-1; quotes, too; a lone surrogate
ODD_TEXTS = [b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80"]
OURS = [[TIMES[0], "ours"], [TIMES[1], "é"], [TIMES[1], "é"], [TIMES[2], "caf\ufffd"]]
MORE = [[TIMES[2] + k, value] for k, value in enumerate([*ODD_TEXTS, "é"], 1)]
Found = dict[Any, list[list[Any]]]


async def store(database: Database, points: Found) -> None:
    """Insert as a client does that checks nothing."""
    async with database.client() as client:
        await client._database._send(_wire.REQ_INSERT, packb(points), 10)


async def held(database: Database) -> Found:
    async with database.client() as client:
        answer = await client.query(ALL)
    return {name: sorted(points, key=repr) for name, points in answer.items()}


def odd_points() -> Found:
    """Return points at the times of ours, each beside one of them."""
    times = [at for at, _ in OURS]
    return {"text": [[at, text] for at, text in zip(times, ODD_TEXTS, strict=False)]}


def expected(*found: Found) -> Found:
    joined: Found = {}
    for points in found:
        for name, pairs in points.items():
            joined.setdefault(name, []).extend(pairs)
    return {name: sorted(pairs, key=repr) for name, pairs in joined.items()}


@pytest.mark.parametrize("direction", ["requests", "answers"])
async def test_package_in_doubt_is_settled_beside_texts_that_are_not_utf_8(
    database: Database, direction: Any
) -> None:
    # Of the way in nothing is stored then, of the way back all is.
    await store(database, odd_points())
    with FaultProxy(database.server.host, database.server.port) as proxy:
        url = database.url.replace(str(database.server.port), str(proxy.port))
        async with BatchWriter(url, on_doubt="verify", connections=1) as writer:
            writer.write("text", TIMES[0] - 1, "first")
            await writer.flush()
            proxy.cut(after=50 if direction == "requests" else 1, direction=direction)
            for at, value in [*OURS, *MORE]:
                writer.write("text", at, value)
            report = await writer.flush(60)
            assert report.is_complete
        assert writer.stats().retries == (1 if direction == "requests" else 0)
    first = {"text": [[TIMES[0] - 1, "first"]]}
    assert await held(database) == expected(odd_points(), first, {"text": OURS}, {"text": MORE})


@pytest.mark.parametrize("stored", [[], OURS[:2], [*OURS, *MORE]], ids=["no", "some", "all"])
async def test_spool_is_replayed_beside_texts_that_are_not_utf_8(
    database: Database, tmp_path: Path, stored: list[Any]
) -> None:
    await store(database, odd_points())
    if stored:
        await store(database, {"text": stored})
    points = {"text": [*OURS, *MORE]}
    with Spool(tmp_path / "spool", dbname=database.name, time_precision="ns") as spool:
        spool.put(packb(points), len(points["text"]), is_sent=True)
    async with BatchWriter(database.url, spool=tmp_path / "spool") as writer:
        assert (await writer.flush(60)).is_complete
    assert writer.stats().spooled == 0
    assert await held(database) == expected(odd_points(), points)


async def test_load_is_resumed_beside_texts_that_are_not_utf_8(
    database: Database, tmp_path: Path
) -> None:
    await store(database, odd_points())
    file = tmp_path / "data.parquet"
    write_table(file, {"at": [at for at, _ in OURS], "text": [value for _, value in OURS]})
    command: list[str | Path] = ["load", file, "--time", "at"]
    await asyncio.to_thread(run_command, *command, url=database.url)
    forget_delivered(file)
    await asyncio.to_thread(run_command, *command, "--resume", url=database.url)
    assert await held(database) == expected(odd_points(), {"text": OURS})


# ---- names


def named() -> Found:
    names: list[Any] = [*ODD_NAMES, "é", "a"]
    return {name: [[at, number + 0.5] for at in TIMES] for number, name in enumerate(names)}


async def test_names_that_are_not_utf_8_are_bytes_wherever_they_are_read(
    database: Database,
) -> None:
    await store(database, named())
    async with database.client() as client:
        assert await client.query(ALL) == named()
        assert as_points(await client.query_arrays(ALL)) == named()
        answer = await client.query("list series")
        assert {name for (name,) in answer["series"]} == named().keys()
        for form in ("wide", "long"):
            frame = await client.query_frame(ALL, form=form)
            found = frame.columns if form == "wide" else frame["series"]
            assert set(found) == named().keys()
            with pytest.raises(TableError, match=r"the name of series b'.*' is not UTF-8"):
                await client.query_arrow(ALL, form=form)
        with pytest.raises(ColumnError, match=r"the name of column b'.*' is not UTF-8"):
            await client.load(await client.query_frame(ALL))


@pytest.mark.parametrize("limit", [1, 2, 4, 7])
async def test_names_that_are_not_utf_8_are_paged(database: Database, limit: int) -> None:
    await store(database, named())
    async with database.client() as client:
        await client.query(f"alter database set select_points_limit {limit}")
        for query in (ALL, f"timeit {ALL}", f"{ALL} after {TIMES[0]}"):
            found = await client.query_arrays(query, all_points=True)
            assert as_points(found) == named()
            assert list(map(raw, found)) == sorted(map(raw, named()))
        for name in ODD_NAMES:
            points: Found = {name: named()[name]}
            quoted = b'"' + name.replace(b'"', b'""') + b'"'
            found = await client.query_arrays(b"select * from " + quoted, all_points=True)
            assert as_points(found) == points
            escaped = f"select * from {quote(name)}"  # noqa: S608
            found = await client.query_arrays(escaped, all_points=True)
            assert as_points(found) == points


def raw(name: Any) -> bytes:
    return name if isinstance(name, bytes) else name.encode()


async def test_writer_is_not_disturbed_by_names_that_are_not_utf_8(database: Database) -> None:
    await store(database, named())
    async with BatchWriter(database.url) as writer:
        writer.write("é", TIMES[0], 7.5)
        with pytest.raises(ColumnError, match="a series' name is a str"):
            writer.write(ODD_NAMES[0], TIMES[0], 7.5)  # type: ignore[arg-type]
        assert (await writer.flush()).is_complete
    assert await held(database) == expected(named(), {"é": [[TIMES[0], 7.5]]})


def test_names_and_texts_that_are_not_utf_8_are_printed_as_they_are(database: Database) -> None:
    points = {**named(), "text": MORE}
    asyncio.run(store(database, points))
    names = run_command("query", "list series", "-f", "json", url=database.url).stdout
    rows = json.loads(names)["series"]
    assert {unescaped(name) for (name,) in rows} == set(map(raw, points))
    answer = json.loads(run_command("query", ALL, "-f", "json", url=database.url).stdout)
    assert {unescaped(name) for name in answer} == set(map(raw, points))
    assert [unescaped(text) for text in answer["text"]["values"]] == [raw(v) for _, v in MORE]
    done = run_command("query", ALL, url=database.url, code=1)
    assert "is not UTF-8" in done.stderr


def unescaped(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


async def test_table_of_texts_that_are_not_utf_8_is_refused_by_the_name_of_the_series(
    database: Database,
) -> None:
    await store(database, {"text": MORE})
    async with database.client() as client:
        found = await client.query_arrays(ALL)
        assert as_points(found) == {"text": MORE}
        frame = await client.query_frame(ALL)
        assert frame["text"].tolist() == [value for _, value in MORE]
        for form in ("wide", "long"):
            with pytest.raises(TableError, match=r"series 'text': the text b'.*' at \d+ is not"):
                await client.query_arrow(ALL, form=form)


# ---- spools that no writer of ours has made


async def test_spool_with_names_that_are_not_utf_8_delivers_the_others(
    database: Database, tmp_path: Path
) -> None:
    put(database, tmp_path, named())
    writer = BatchWriter(database.url, spool=tmp_path / "spool")
    await writer.open()
    rejected = (await writer.close()).rejected
    assert sorted(failure.series for failure in rejected) == sorted(map(str, ODD_NAMES))
    assert "a series' name is a str" in str(rejected[0].error)
    assert writer.stats().spooled == 0
    assert await held(database) == {name: named()[name] for name in ("é", "a")}


@pytest.mark.parametrize("file", ["a.csv", "a.json", "a.parquet"])
def test_spool_is_exported_with_what_is_not_utf_8(
    database: Database, tmp_path: Path, file: str
) -> None:
    points = {**named(), "text": MORE}
    put(database, tmp_path, points)
    path = tmp_path / file
    command: list[str | Path] = ["spool", "export", tmp_path / "spool", "-o", path, "--raw-times"]
    status = json.loads(run_command("spool", "status", tmp_path / "spool", "--json").stdout)
    assert set(map(unescaped, status["top"])) == set(map(raw, points))
    if file == "a.parquet":
        assert "use csv or json" in run_command(*command, code=2).stderr
        return
    run_command(*command)
    text = path.read_text("utf-8", "surrogateescape")
    rows = (
        [list(row.values()) for row in json.loads(text)]
        if file == "a.json"
        else list(csv.reader(io.StringIO(text)))[1:]
    )
    assert [(unescaped(name), int(at), unescaped(str(value))) for name, at, value in rows] == [
        (raw(name), at, raw(value if isinstance(value, (str, bytes)) else str(value)))
        for name, pairs in points.items()
        for at, value in pairs
    ]


def put(database: Database, path: Path, points: Found) -> None:
    with Spool(path / "spool", dbname=database.name, time_precision="ns") as spool:
        spool.put(packb(points), sum(map(len, points.values())), is_sent=False)

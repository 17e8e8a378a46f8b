"""`load` into a real server: what arrives, what is reported, what is refused before it is sent."""

import asyncio
import copy
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siridb_fast import (
    MILLISECOND,
    BatchWriter,
    ColumnError,
    ConfigError,
    SiriDBClient,
    connect,
    load,
)
from siridb_fast.loading.options import Progress
from tests.fix_examples import examples
from tests.fix_server import Database
from tests.loading.frame_kinds import COLUMNS, LARGE, MAKERS, expected, table

TIMES = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[us]")
FIRST = 1_704_067_200 * 10**9
DAY = 86_400 * 10**9
_series = itertools.count()


def stored(database: Database) -> dict[str, list[tuple[int, Any]]]:
    with connect(database.url) as siri:
        arrays = siri.query_arrays("select * from *")
    return {
        name: sorted(zip(times.tolist(), values.tolist(), strict=True))
        for name, (times, values) in arrays.items()
    }


@pytest.mark.parametrize("precision", ["s", "ms", "us", "ns"])
def test_frames_of_every_library_arrive_the_same(
    make_database: Callable[..., Database], precision: str
) -> None:
    database = make_database(time_precision=precision)
    number = ["s", "ms", "us", "ns"].index(precision)
    wanted: dict[str, Any] = {}
    for maker, make in MAKERS.items():
        for is_long, template in ((False, "wide {column}"), (True, "long {host}.{column}")):
            kind = template.split(" ")[0]
            options: Any = {"time": "when", "values": list(COLUMNS)}
            report = load(make(table()), database.url, series=f"{maker} {template}", **options)
            points = expected(number, is_long=is_long)
            assert report.points == sum(map(len, points.values()))
            assert (report.rows, report.missing) == (5, 25 - report.points)
            wanted |= {f"{maker} {kind} {name}": points[name] for name in points}
    assert stored(database) == wanted


@pytest.mark.parametrize("maker", ["structured", "columns", "pandas_object", "pandas_arrow"])
def test_frame_is_never_modified(database: Database, maker: str) -> None:
    data = MAKERS[maker](table())
    before = copy.deepcopy(data)
    for i, series in enumerate(("w{column}", "l{host}.{column}")):
        load(data, database.url, time="when", values=list(COLUMNS), series=f"{i}{series}")
    if isinstance(data, pd.DataFrame):
        pd.testing.assert_frame_equal(data, before)
    elif isinstance(data, dict):
        for name, column in data.items():
            assert column.tolist() == before[name].tolist()
    else:
        assert data.tolist() == before.tolist()


def test_times_out_of_order_and_twice_arrive_all_and_stay_as_they_are(database: Database) -> None:
    times = np.array([5, 3, 3, 9, 1] * 20_000, np.int64)
    values = np.arange(len(times))
    times.flags.writeable = values.flags.writeable = False
    hosts = np.array(["x", "y"] * (len(times) // 2))
    load({"t": times, "v": values}, database.url, time="t")
    load({"t": times, "h": hosts, "v": values}, database.url, time="t", series="{h}")
    assert times.tolist() == [5, 3, 3, 9, 1] * 20_000
    found = stored(database)
    assert found["v"] == sorted(zip(times.tolist(), values.tolist(), strict=True))
    assert sorted(found["x"] + found["y"]) == found["v"]


def test_frame_that_is_much_larger_than_the_buffer_arrives_whole(database: Database) -> None:
    rows = 3_000_000
    codes = np.arange(rows, dtype=np.int32) % 500
    names = pa.DictionaryArray.from_arrays(codes, [f"s{i}" for i in range(500)])
    data = pa.table({"t": np.arange(rows), "h": names, "v": np.arange(rows)})
    report = load(data, database.url, time="t", series="{h}", max_buffered=2**22)
    assert (report.points, report.rows, report.series) == (rows, rows, 500)
    with connect(database.url) as siri:
        sums = siri.query_arrays("select count(), sum() prefix 'sum-' from *")
    assert {int(values[0]) for name, (_, values) in sums.items() if name[0] == "s" and (
        not name.startswith("sum-"))} == {rows // 500}  # fmt: skip
    total = sum(int(values[0]) for name, (_, values) in sums.items() if name.startswith("sum-"))
    assert total == rows * (rows - 1) // 2


@pytest.mark.parametrize(
    "data", [pd.DataFrame({"a": []}, index=pd.DatetimeIndex([])), table()[:0], [], iter(()), {}]
)
def test_nothing_is_loaded_of_nothing(database: Database, data: Any) -> None:
    options: Any = {"time": "when", "series": "{host}"} if isinstance(data, pa.Table) else {}
    values: Any = {"values": "f"} if options else {}
    report = load(data, database.url, **options, **values)
    assert (report.points, report.rows, report.is_complete) == (0, 0, True)


EXISTING = {"i": np.array([1, 2, 3]), "f": np.array([1.5, 2.5, 3.5]), "s": np.array(["1", "2"])}


def with_existing(database: Database) -> None:
    load({name: (TIMES[: len(values)], values) for name, values in EXISTING.items()}, database.url)


@pytest.mark.parametrize(
    ("series", "values", "text"),
    [
        ("i", [1.0, 2.5, 3.0], "type integer, and 2.5 is no integer; write integers"),
        ("i", [1.0, 2.0, 2.0**54], "type integer, and 1.8.*e.16 is no integer"),
        ("i", ["1", "2", "3"], "type integer, the values of type string"),
        ("f", ["1", "2", "3"], "type float, the values of type string"),
        ("f", [1, 2, LARGE], "type float, and 1152921504606846977 is not exact"),
        ("s", [1, 2, 3], "type string, the values of type integer"),
    ],
)
def test_values_of_another_type_are_refused_before_anything_is_sent(
    database: Database, series: str, values: list[Any], text: str
) -> None:
    with_existing(database)
    before = stored(database)
    wide = pd.DataFrame({"new": [1, 2, 3], series: values}, index=TIMES)
    column = np.array(values)
    long = {"t": np.tile(TIMES, 2), "h": np.repeat([series, "new2"], 3), "v": np.tile(column, 2)}
    for data, options in ((wide, {}), (long, {"time": "t", "series": "{h}"})):
        with pytest.raises(ColumnError, match=text) as caught:
            load(data, database.url, **options)  # type: ignore[arg-type]
        assert (caught.value.series, caught.value.points_inserted) == (series, 0)
    assert stored(database) == before


@pytest.mark.parametrize(
    ("series", "values", "on_type", "wanted"),
    [
        ("i", [1.9, -1.9, np.nan], "cast", [1, -1]),
        ("i", ["7", "8", None], "cast", [7, 8]),
        ("f", [1, 2, 2**53], "error", [1.0, 2.0, 2.0**53]),
        ("f", ["1", "2.5", "1e3"], "cast", [1.0, 2.5, 1000.0]),
        ("f", [LARGE, 1, 2], "cast", [float(LARGE), 1.0, 2.0]),
        ("s", [1, 2, 3], "cast", ["1", "2", "3"]),
        ("i", [np.nan, np.nan, None], "error", []),
        ("s", [np.nan, np.nan, np.nan], "error", []),
    ],
)
def test_values_become_the_type_of_their_series(
    database: Database, series: str, values: list[Any], on_type: Any, wanted: list[Any]
) -> None:
    with_existing(database)
    before = stored(database)[series]
    wide = pd.DataFrame({series: values}, index=TIMES)
    load(wide, database.url, on_type=on_type)
    hosts = [series] * 3
    long = {"t": TIMES, "h": hosts, "v": np.array(values, wide[series].to_numpy().dtype)}
    load(long, database.url, time="t", series="{h}", on_type=on_type)
    new = [value for _, value in stored(database)[series]]
    assert sorted(new) == sorted([value for _, value in before] + wanted * 2)


def test_series_without_any_value_is_not_made(database: Database) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "empty": [np.nan] * 3}, index=TIMES)
    report = load(frame, database.url)
    assert (report.points, report.missing, report.series) == (3, 3, 1)
    frame = pd.DataFrame({"t": TIMES, "h": ["a", "b", "b"], "v": [1.0, None, None]})
    report = load(frame, database.url, series="{h}")
    assert (report.points, report.missing, report.series) == (1, 2, 1)
    assert set(stored(database)) == {"a"}


def test_points_older_than_the_database_keeps_are_reported(database: Database) -> None:
    with connect(database.url) as siri:
        siri.query("alter database set expiration_num 1w")
    now = time.time_ns()
    times = np.array([now - 30 * DAY, now - 29 * DAY, now, now])
    report = load({"a": (times, [1.0, np.nan, 2.0, 3.0]), "b": (times[2:], [1, 2])}, database.url)
    assert (report.points, report.expired, report.expired_series) == (5, 1, ("a",))
    assert "1 of them are expired, first of 'a'" in str(report)
    long = {"t": times, "h": ["c", "d", "d", "e"], "v": [1, 2, 3, 4]}
    report = load(long, database.url, time="t", series="{h}")
    assert (report.points, report.expired, report.expired_series) == (4, 2, ("c", "d"))
    texts = {"t": times, "v": ["a", "b", "c", "d"]}
    assert load(texts, database.url, time="t").expired == 0


def test_stream_fails_after_what_came_before_is_delivered(database: Database) -> None:
    def stream() -> Iterator[pd.DataFrame]:
        yield pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=TIMES)
        yield pd.DataFrame({"b": [1.0, 2.0, 3.0]}, index=TIMES)
        yield pd.DataFrame({"c": [1.0, 2.0, 3.0], "a": ["x", "y", "z"]}, index=TIMES)

    with pytest.raises(ColumnError, match="series 'a'") as caught:
        load(stream(), database.url)
    assert caught.value.points_inserted == 6
    assert "before that, 6 points delivered" in caught.value.__notes__[0]
    assert set(stored(database)) == {"a", "b"}


def test_error_of_a_later_frame_names_the_frame(database: Database) -> None:
    good = pd.DataFrame({"t": TIMES, "h": ["a", "b", "c"], "v": [1.0, 2.0, 3.0]})
    bad = good.assign(h=["a", None, "c"])
    with pytest.raises(ColumnError, match="index 1: frame 2: column 'h'") as caught:
        load([good, good, bad], database.url, series="{h}")
    assert (caught.value.index, caught.value.points_inserted) == (1, 6)


def test_error_of_the_callers_own_generator_comes_out_with_a_note(database: Database) -> None:
    def stream() -> Iterator[tuple[str, Any, Any]]:
        yield "a", TIMES, [1, 2, 3]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        load(stream(), database.url)
    assert "before that, 3 points delivered" in caught.value.__notes__[0]


def test_progress_is_told_and_may_fail(
    database: Database, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Progress] = []
    data = {"t": TIMES, "v": [1, 2, 3]}
    load(data, database.url, time="t", progress=seen.append)
    assert (seen[-1].points, seen[-1].rows, seen[-1].total_rows) == (3, 3, 3)
    load(data, database.url, time="t", progress=True)
    out, err = capsys.readouterr()
    assert (out, err[-1]) == ("", "\n")
    assert "3 points" in err
    assert "100 % of 3 rows" in err

    def fail(progress: Progress) -> None:
        raise RuntimeError("no bar")

    assert load(data, database.url, time="t", progress=fail).points == 3
    assert "the progress function raised" in caplog.text


@pytest.mark.parametrize("options", [{"on_type": "x"}, {"max_buffered": 1}, {"on_doubt": "x"}])
def test_options_of_the_writer_are_checked_too(options: Any) -> None:
    with pytest.raises(ConfigError):
        load({}, "siridb://iris:siri@127.0.0.1:1/db", **options)


async def test_load_blocks_no_running_event_loop(database: Database) -> None:
    advised = r"running event loop.*: await siridb_fast.SiriDBClient.from_url\(url\).load\(data\)"
    with pytest.raises(RuntimeError, match=advised):
        load({"a": ([1], [1])}, database.url)
    report = await database.client().load({"a": ([1], [1])})
    assert report.points == 1


def test_loads_run_in_threads_and_by_a_client(database: Database) -> None:
    data = {"t": np.arange(1000), "v": np.arange(1000)}
    with connect(database.url) as siri:
        threads = [
            threading.Thread(target=siri.load, args=[data], kwargs={"time": "t"}) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(stored(database)["v"]) == 3000


ROWS = st.lists(
    st.tuples(
        st.integers(0, 4), st.integers(0, 2**62), st.none() | st.integers(-(2**63), 2**63 - 1)
    )
)


@settings(max_examples=examples(25), suppress_health_check=list(HealthCheck))
@given(ROWS)
def test_any_rows_arrive_by_load_and_by_write_rows(
    database: Database, rows: list[tuple[int, int, int | None]]
) -> None:
    prefix = f"{next(_series)}"
    data = pa.table(
        {
            "t": pa.array([row[1] for row in rows], pa.int64()),
            "h": pa.array([str(row[0]) for row in rows], pa.string()),
            "v": pa.array([row[2] for row in rows], pa.int64()),
        }
    )
    wanted: dict[str, list[tuple[int, int]]] = {}
    for code, timestamp, value in rows:
        if value is not None:
            for kind in ("load", "rows"):
                wanted.setdefault(f"{prefix} {kind} {code}", []).append((timestamp, value))

    async def run() -> dict[str, Any]:
        async with SiriDBClient.from_url(database.url) as client:
            await client.load(data, time="t", series=f"{prefix} load {{h}}")
            there = [row for row in rows if row[2] is not None]
            async with BatchWriter(client) as writer:
                names = [f"{prefix} rows {i}" for i in range(5)]
                columns = [np.array([row[i] for row in there], np.int64) for i in range(3)]
                await writer.write_rows(names, *columns)
            return await client.query_arrays(f"select * from /^{prefix} .*/")  # noqa: S608

    found = asyncio.run(run())
    assert {
        name: sorted(zip(times.tolist(), values.tolist(), strict=True))
        for name, (times, values) in found.items()
    } == {name: sorted(points) for name, points in wanted.items()}


@pytest.mark.parametrize("values", [[1.0, 2.0, -3.0], [1.0, math.nan, 2.0**53]])
def test_series_of_integers_takes_floats_that_are_whole(
    database: Database, values: list[float]
) -> None:
    with_existing(database)
    times = TIMES + np.timedelta64(10, "D")
    wide = pd.DataFrame({"i": values}, index=times)
    long = {"t": times + np.timedelta64(10, "D"), "h": ["i"] * 3, "v": values}
    before = stored(database)["i"]
    load(wide, database.url)
    load(long, database.url, time="t", series="{h}")
    there = [int(value) for value in values if not math.isnan(value)]
    found = [value for _, value in stored(database)["i"]][len(before) :]
    assert found == there * 2
    assert {type(value) for value in found} == {int}


def test_report_counts_new_series_by_type_and_what_a_cast_cuts(database: Database) -> None:
    with_existing(database)
    times = TIMES + np.timedelta64(10, "D")
    wide = pd.DataFrame({"i": [1.0, 2.5, math.nan], "x": [1, 2, 3], "y": list("abc")}, index=times)
    report = load(wide, database.url, on_type="cast")
    assert report.new_series == {"integer": 1, "string": 1}
    assert report.cut == 1
    long = {"t": np.tile(times, 2), "h": ["i"] * 3 + ["z"] * 3, "v": [0.5, 1.5, 2.0] * 2}
    report = load(long, database.url, time="t", series="{h}", on_type="cast")
    assert report.new_series == {"float": 1}
    assert report.cut == 2
    floats = pd.DataFrame({"f": [1, 2**60, LARGE]}, index=times)
    assert load(floats, database.url, on_type="cast").cut == 1


def test_whole_frame_is_checked_before_its_first_row_leaves(database: Database) -> None:
    with_existing(database)
    before = stored(database)
    rows = 600_000  # more than are grouped at once
    values = np.ones(rows, np.int64)
    values[-1] = LARGE
    data = {"t": np.arange(rows), "h": np.array(["f", "new"], object)[[0, 1] * (rows // 2)]}
    data["h"][-1] = "f"
    with pytest.raises(ColumnError, match="is not exact as one") as caught:
        load({**data, "v": values}, database.url, time="t", series="{h}")
    assert (caught.value.series, caught.value.index) == ("f", rows - 1)
    assert stored(database) == before


def test_columns_of_two_types_for_one_new_series_are_refused(database: Database) -> None:
    data = {"t": [1], "h": ["a"], "x": [1], "y": [1.5]}
    with pytest.raises(ColumnError, match=r"column 'y': .*type integer, and 1\.5 is no"):
        load(data, database.url, time="t", series=lambda h, column: f"{h}{column[:0]}")
    assert stored(database) == {}


def test_precision_that_is_given_is_not_asked_for(make_database: Any) -> None:
    milliseconds = make_database(time_precision="ms")
    day = np.array(["2026-01-01"], "M8[D]")
    load({"a": (day, [1])}, milliseconds.url, time_precision=MILLISECOND)
    with connect(milliseconds.url) as siri:
        assert siri.query("select * from 'a'") == {"a": [[1_767_225_600_000, 1]]}


@pytest.mark.parametrize(("target", "text"), [(5, "got int"), ("http://x", "starts with siridb")])
def test_target_that_is_no_database_is_refused(target: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load({"a": ([1], [1])}, target)


def test_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="no option 'serie'"):
        load({"a": ([1], [1])}, "siridb://a:b@localhost/c", serie="{h}")  # type: ignore[call-arg]

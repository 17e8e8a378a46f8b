"""Which columns of a frame are what, and how their series are called."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from siridb_fast import SECOND, ColumnError, ConfigError
from siridb_fast.loading.frame_reader import FrameReader
from siridb_fast.loading.frames.pandas_frame import PandasFrame
from siridb_fast.loading.name_template import NameTemplate
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.series_names import SeriesNames
from tests.loading.frame_kinds import read

TIMES = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "M8[us]")
DAY = 86_400
FIRST = 1_704_067_200
ODD_NAMES = ["select", "column", "time", "index", "a.b", "{x}", '"q"', "'", "é ü", "a\nb", " "]


def names(data: Any, **options: Any) -> set[str]:
    return set(read(data, 0, **options))


def long_frame(labels: list[Any]) -> dict[str, Any]:
    return {"t": np.arange(len(labels)), "h": np.array(labels, object), "v": [1.0] * len(labels)}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_column_of_any_name_is_a_series(name: str) -> None:
    frame = pd.DataFrame({name: [1, 2, 3]}, index=TIMES)
    wanted = {name: [(FIRST, 1), (FIRST + DAY, 2), (FIRST + 2 * DAY, 3)]}
    assert read(frame, 0) == wanted
    assert read({"when": TIMES, name: [1, 2, 3]}, 0, time="when") == wanted
    assert read(pa.table({"when": TIMES, name: [1, 2, 3]}), 0) == wanted


@pytest.mark.parametrize("name", [*ODD_NAMES[2:5], "select", "a b", "ü"])
def test_column_of_any_name_stands_in_a_template(name: str) -> None:
    data = {"when": TIMES, name: ["x", "y", "x"], "v": [1, 2, 3]}
    assert names(data, time="when", series=f"s.{{{name}}}") == {"s.x", "s.y"}


def test_column_that_is_no_text_is_called_as_it_is_written() -> None:
    labels = [1, 2.5, True, None, ("a", 1), pd.Timestamp("2024-01-01")]
    frame = pd.DataFrame([[1.0] * 6] * 3, index=TIMES)
    frame.columns = pd.Index(labels, dtype=object, tupleize_cols=False)
    assert names(frame) == {"1", "2.5", "True", "None", "a.1", "2024-01-01 00:00:00"}


def test_levels_of_columns_are_joined_with_dots() -> None:
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("b", 1)])
    frame = pd.DataFrame([[1.0, 2.0]] * 3, index=TIMES, columns=columns)
    assert names(frame) == {"a.x", "b.1"}
    assert names(frame, series="s.{column}", values="b.1") == {"s.b.1"}


@pytest.mark.parametrize("columns", [["a", "a"], [1, "1"]])
def test_two_columns_of_one_name_are_refused(columns: list[Any]) -> None:
    frame = pd.DataFrame([[1.0, 2.0]] * 3, index=TIMES, columns=columns)
    with pytest.raises(ColumnError, match=f"two columns have the name '{columns[1]}'"):
        read(frame)


LEVELS = ([*TIMES], ["a", "b", "a"])


@pytest.mark.parametrize(
    ("level_names", "options"),
    [
        (["time", "host"], {"series": "{host}"}),
        ([None, None], {"series": "{level_1}"}),
        ([None, "host"], {"series": "{host}", "time": "level_0"}),
        ([1, 0], {"series": "{0}", "time": "1"}),
    ],
)
def test_levels_of_the_index_are_columns_too(
    level_names: list[Any], options: dict[str, Any]
) -> None:
    index = pd.MultiIndex.from_arrays(LEVELS, names=level_names)
    frame = pd.DataFrame({"v": [1, 2, 3]}, index=index)
    wanted = {"a": [(FIRST, 1), (FIRST + 2 * DAY, 3)], "b": [(FIRST + DAY, 2)]}
    assert read(frame, 0, **options) == wanted


def test_index_that_is_not_named_in_the_options_is_left_alone() -> None:
    index = pd.MultiIndex.from_arrays([[1, 2, 3], ["a", "b", "a"]])
    assert names(pd.DataFrame({"t": TIMES, "v": [1, 2, 3]}, index=index)) == {"v"}
    categories = pd.CategoricalIndex(["a", "b", "a"], name="h")
    frame = pd.DataFrame({"t": TIMES, "v": [1, 2, 3]}, index=categories)
    assert names(frame) == {"v"}
    assert names(frame, series="{h}") == {"a", "b"}


def test_index_of_times_that_is_a_column_too_is_one_of_them() -> None:
    frame = pd.DataFrame({"ts": TIMES, "v": [1, 2, 3]}).set_index("ts", drop=False)
    for options in ({}, {"time": "ts"}):
        assert read(frame, 0, **options) == {"v": [(FIRST + k * DAY, k + 1) for k in range(3)]}


def test_index_of_times_that_is_called_as_columns_of_values_is_the_time() -> None:
    index = pd.DatetimeIndex(TIMES, name="time")
    frame = pd.DataFrame({"time": [1, 2, 3], "time_": [4, 5, 6]}, index=index)
    wanted = {"time": [1, 2, 3], "time_": [4, 5, 6]}
    for options in ({}, {"time": "time__"}):
        found = read(frame, 0, **options)
        assert {name: [value for _, value in points] for name, points in found.items()} == wanted
    with pytest.raises(ColumnError, match="time='time' is both a column and the index"):
        read(frame, 0, time="time")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"time_": "time"}, {"time", "v"}),
        ({"time_": "time", "v": "other"}, {"time", "v"}),  # said by somebody else
        ({"time_": "time", "v": "time_"}, {"time", "v"}),
        ({"time_": "time_"}, {"time_", "v"}),
        ({"time_": ""}, {"time_", "v"}),
        ({"time_": "time", "time": ""}, {"time_", "time", "v"}),
        ({"time_": "time", "time__": "time"}, {"time_", "time__", "v"}),
    ],
)
def test_table_says_which_series_a_column_is_as_long_as_they_stay_apart(
    said: dict[str, str], wanted: set[str]
) -> None:
    fields = [pa.field("at", pa.timestamp("us")), pa.field("v", pa.int64(), metadata={"k": "x"})]
    for name, series in said.items():
        field = pa.field(name, pa.int64(), metadata={"series": series})
        fields = [one for one in fields if one.name != name] + [field]
    columns = [TIMES if field.name == "at" else [1, 2, 3] for field in fields]
    table = pa.table([pa.array(column) for column in columns], schema=pa.schema(fields))
    assert names(table) == wanted
    assert names(table, time="at", series="s.{column}") == {f"s.{name}" for name in wanted}


@pytest.mark.parametrize(
    ("labels", "template", "wanted"),
    [
        ([1, 1.0, True, "1"], "{h}", {"1", "1.0", "True"}),
        ([1, 2, 1], "{h:03d}", {"001", "002"}),
        (["a", "b'"], "{h!r}", {"'a'", '"b\'"'}),
        (["ä"], "{h!a:>8}", {"  '\\xe4'"}),
        (["a", np.str_("a"), "b"], "{{{h}}}", {"{a}", "{b}"}),
        (["a", "b"], lambda h, column: f"{column}:{h}", {"v:a", "v:b"}),
        ([(1, "x"), (2, "y")], lambda h: f"{h[1]}{h[0]}", {"x1", "y2"}),
    ],
)
def test_labels_are_written_as_the_template_says(
    labels: list[Any], template: Any, wanted: set[str]
) -> None:
    objects = np.empty(len(labels), object)
    objects[:] = labels
    data = long_frame(labels[:0]) | {"t": np.arange(len(labels)), "h": objects}
    data["v"] = np.ones(len(labels))
    assert names(data, time="t", series=template) == wanted


def test_names_are_used_again_for_the_same_labels_only() -> None:
    table = SeriesNames(NameTemplate("{h!r}"))
    first = table.names("v", [("a",), ("b",)])
    again = table.names("v", [("b",), ("a",)])
    assert again[1] is first[0]
    assert table.names("v", [(np.str_("a"),), ("b",)]) == [repr(np.str_("a")), "'b'"]
    assert table.names("v", [("b",), ("a",)]) == ["'b'", "'a'"]
    assert [table.names("v", [(label,)]) for label in (1, True, 1)] == [["1"], ["True"], ["1"]]


def test_names_with_the_column_in_them_are_not_those_of_another_column() -> None:
    table = SeriesNames(NameTemplate("{h}.{column}"))
    assert table.names("v", [("a",)]) == ["a.v"]
    assert table.names("w", [("a",)]) == ["a.w"]


@pytest.mark.parametrize(
    "days",
    [
        TIMES.astype("M8[D]"),
        TIMES,
        TIMES.astype("M8[ns]"),
        pd.Series(TIMES.astype("M8[ns]")),
        pd.Series(TIMES).dt.tz_localize("UTC"),
        pd.Categorical(TIMES),
        pa.array(TIMES.astype("M8[ns]")),
        pa.array(TIMES.astype("M8[D]")),
    ],
)
def test_dates_name_series_in_any_unit(days: Any) -> None:
    data = {"t": np.arange(3), "h": days, "v": [1, 2, 3]}
    wanted = {"2024.01.01", "2024.01.02", "2024.01.03"}
    assert names(data, time="t", series="{h:%Y.%m.%d}") == wanted
    assert {name[:10] for name in names(data, time="t", series="{h}")} == {
        "2024-01-01", "2024-01-02", "2024-01-03",
    }  # fmt: skip


def test_bytes_of_a_structured_array_name_series_as_text() -> None:
    rows = [(1, b"a", 1.0), (2, "ü".encode(), 2.0)]
    array = np.array(rows, [("t", "i8"), ("h", "S4"), ("v", "f8")])
    assert names(array, time="t", series="{h}") == {"a", "ü"}
    array["h"][1] = b"\xff"
    with pytest.raises(ColumnError, match=r"column 'h' cannot name series.*utf-8"):
        read(array, time="t", series="{h}")


def test_columns_of_different_labels_make_every_combination_that_is_there() -> None:
    rows = [(host, metric) for host in range(50) for metric in "abc" if (host, metric) != (1, "b")]
    hosts, metrics = zip(*rows, strict=True)
    data = {"t": np.arange(len(rows)), "host": hosts, "metric": metrics}
    data |= {"low": np.arange(len(rows)), "high": np.arange(len(rows)) + 0.5}
    found = read(data, time="t", series="{host}.{metric}.{column}")
    assert found == {
        f"{host}.{metric}.{column}": [(i, i + extra)]
        for i, (host, metric) in enumerate(rows)
        for column, extra in (("low", 0), ("high", 0.5))
    }


def test_rows_without_a_label_are_left_out_on_request() -> None:
    data = {
        "t": [1, 2, None, 4, 5, 6],
        "host": ["a", None, None, "b", "a", "b"],
        "metric": ["x", "x", "x", "x", None, "x"],
        "v": [1.5, 2.5, 3.5, None, 5.5, 6.5],
    }
    options = LoadOptions(time="t", series="{host}.{metric}", skip_unnamed=True)
    points = FrameReader(options, SECOND).read(PandasFrame(pd.DataFrame(data)))
    assert (points.rows, points.unnamed, points.missing) == (6, 2, 2)
    (mixed,) = points.mixed
    found = [mixed.names[code] for code in mixed.codes.tolist()]
    assert list(zip(found, list(mixed.values), strict=True)) == [("a.x", 1.5), ("b.x", 6.5)]
    assert [mixed.row(index) for index in range(2)] == [0, 5]


@pytest.mark.parametrize(
    ("labels", "template", "index", "text"),
    [
        (["a", None, "b"], "{h}", 1, "column 'h': the label is missing"),
        ([1, 2, float("nan")], "{h}", 2, "the label is missing"),
        (["a", "", "b"], "{h}", 1, "1 to 65,534 bytes, got 0"),
        (["a", "b" * 65_535], "{h}", 1, "65,535"),
        (["a", "b\0c"], "{h}", 1, "NUL"),
        (["a", "\ud800"], "{h}", 1, "not valid text"),
        (["a", "b"], "{h:d}", 0, "'a' cannot be written as 'd'"),
        (["a", "b"], lambda h: None, 0, "gives no str"),
        ([["a"], ["b"]], "{h}", None, "column 'h' cannot name series: unhashable"),
        (["a"], "{other}", None, "no column 'other'; there are 't', 'h', 'v'"),
        (["a"], lambda other: "x", None, "no column 'other'"),
        (["a"], "{t}", None, "is the time"),
        (["a"], "h", None, r"'\{h\}' stands for"),
    ],
)
def test_what_cannot_name_series_is_refused_with_its_row(
    labels: list[Any], template: Any, index: int | None, text: str
) -> None:
    objects = np.empty(len(labels), object)
    objects[:] = labels
    data = {"t": np.arange(len(labels)), "h": objects, "v": np.ones(len(labels))}
    with pytest.raises(ColumnError, match=text) as caught:
        read(data, time="t", values="v", series=template)
    assert caught.value.index == index


def test_row_without_a_time_counts_when_a_later_one_is_wrong() -> None:
    times = pd.Series([pd.NaT, *TIMES])
    frame = pd.DataFrame({"t": times, "h": ["a", "a", None, "b"], "v": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(ColumnError) as caught:
        read(frame, series="{h}")
    assert caught.value.index == 2


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "time= has to name the column of times; none of the columns 't', 'h', 'v'"),
        ({"time": "x"}, "time: there is no column 'x'"),
        ({"time": "t", "values": "x"}, "values: there is no column 'x'"),
        ({"time": "t", "values": ["t"]}, "the time, so it cannot be a value"),
        ({"time": "t", "values": ["v", "v"]}, "twice"),
        ({"time": "t", "values": ["v", "h"], "series": "one"}, "all go to the same series"),
    ],
)
def test_layout_that_makes_no_sense_is_refused(options: dict[str, Any], text: str) -> None:
    table = pa.table({"t": [1, 2], "h": ["a", "b"], "v": [1.0, 2.0]})
    with pytest.raises(ColumnError, match=text):
        read(table, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"series": "{"},
        {"series": "{}"},
        {"series": "{h!x}"},
        {"series": "{h:{w}}"},
        {"series": 5},
        {"series": lambda *hosts: "x"},
        {"time": 0},
        {"values": []},
        {"unit": "minutes"},
        {"progress": "yes"},
        {"on_missing": "ignore"},
        {"on_precision_loss": "round"},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LoadOptions(**options)


@pytest.mark.parametrize(
    "data",
    [None, 3, b"bytes", np.zeros((2, 2)), [["a", [1], [2]]], [("a", [1])], {"a": [1]}],
)
def test_what_is_no_data_is_refused(data: Any) -> None:
    with pytest.raises(ColumnError, match=r"a load takes|is neither a frame|a dict holds"):
        read(data)

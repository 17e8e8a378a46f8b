"""The same five rows as a frame of every library, and the points that are read of a frame."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from siridb_fast.loading.frame_reader import FrameReader
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.sources import portions

Points = dict[str, list[tuple[int, Any]]]

PER_SECOND = {0: 1, 1: 10**3, 2: 10**6, 3: 10**9}  # of each time precision
SECONDS = [1_700_000_003, 1_700_000_001, None, 1_700_000_001, 1_700_000_002]
HOSTS = ["a", "ü b", "a", "a", "ü b"]
LARGE = 2**60 + 1  # no double
COLUMNS: dict[str, list[Any]] = {
    "f": [1.5, None, 3.5, -4.5, 0.0],
    "i": [LARGE, 2, 3, None, -5],
    "s": ["x", "", None, None, "é"],
    "b": [True, False, True, None, False],
    "select": [None, None, None, None, None],
}
ARROW_TYPES = {
    "f": pa.float64(),
    "i": pa.int64(),
    "s": pa.string(),
    "b": pa.bool_(),
    "select": pa.float64(),
}


class Bare:
    """Something with an Arrow C stream and nothing else."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._inner.__arrow_c_stream__(requested_schema)


def table(unit: str = "ns", zone: str | None = None) -> pa.Table:
    factor = PER_SECOND[["s", "ms", "us", "ns"].index(unit)]
    integers = [None if second is None else second * factor for second in SECONDS]
    times = pa.array(integers, pa.int64()).cast(pa.timestamp(unit, zone))
    columns = {name: pa.array(COLUMNS[name], ARROW_TYPES[name]) for name in COLUMNS}
    return pa.table({"when": times, "host": pa.array(HOSTS), **columns})


def _times(data: pa.Table) -> np.ndarray[Any, Any]:
    unit = data.schema.field("when").type.unit
    return np.asarray(data["when"].cast(pa.timestamp(unit)).to_numpy()).astype(f"M8[{unit}]")


def columns_of(data: pa.Table) -> dict[str, Any]:
    dtypes = {"f": "f8", "i": "i8", "s": "U8", "b": "?", "select": "f8"}
    columns: dict[str, Any] = {"when": _times(data), "host": np.array(HOSTS)}
    for name, dtype in dtypes.items():
        mask = [value is None for value in COLUMNS[name]]
        there = [0 if value is None else value for value in COLUMNS[name]]
        columns[name] = np.ma.MaskedArray(np.array(there, dtype), mask)
    return columns


def structured(data: pa.Table) -> Any:
    columns = columns_of(data)
    dtype = [(name, column.dtype) for name, column in columns.items()]
    array = np.ma.zeros(len(HOSTS), dtype=dtype)
    for name, column in columns.items():
        array[name] = column
    return array


def lists(data: pa.Table) -> dict[str, Any]:
    return {"when": _times(data), "host": HOSTS, **COLUMNS}


def pandas_numpy(data: pa.Table) -> pd.DataFrame:
    frame = pd.DataFrame({"when": _pandas_times(data), "host": np.array(HOSTS, object)})
    frame["f"] = np.array(COLUMNS["f"], np.float64)
    for name in ("i", "s", "b"):
        frame[name] = pd.Series(COLUMNS[name], dtype=object)
    frame["select"] = np.full(len(HOSTS), np.nan)
    return frame


def _pandas_times(data: pa.Table) -> pd.Series:
    zone = data.schema.field("when").type.tz
    naive = pd.Series(_times(data))
    return naive if zone is None else naive.dt.tz_localize("UTC").dt.tz_convert(zone)


def pandas_nullable(data: pa.Table) -> pd.DataFrame:
    types = {"f": "Float64", "i": "Int64", "s": "string", "b": "boolean", "select": "Float64"}
    nullable = {name: pd.array(COLUMNS[name], dtype=type_) for name, type_ in types.items()}
    return pd.DataFrame({"when": _pandas_times(data), "host": HOSTS, **nullable})


def pandas_arrow(data: pa.Table) -> pd.DataFrame:
    return data.to_pandas(types_mapper=pd.ArrowDtype)


def pandas_categorical(data: pa.Table) -> pd.DataFrame:
    frame = pandas_nullable(data)
    frame["host"] = pd.Categorical(HOSTS, categories=["unused", "ü b", "a"])
    frame["s"] = pd.Categorical(COLUMNS["s"])
    return frame


def pandas_object(data: pa.Table) -> pd.DataFrame:
    return pandas_numpy(data).astype(object)


def pandas_index(data: pa.Table) -> pd.DataFrame:
    return pandas_nullable(data).set_index(["host", "when"])


def polars_categorical(data: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(data)
    host = pl.col("host").cast(pl.Enum(["unused", "ü b", "a"]))
    return frame.with_columns(host, pl.col("s").cast(pl.Categorical))


def polars_lazy(data: pa.Table) -> pl.LazyFrame:
    return pl.DataFrame(data).lazy()


def encoded(data: pa.Table) -> pa.Table:
    index_of = data.schema.names.index
    for name in ("host", "s"):
        data = data.set_column(index_of(name), name, data[name].dictionary_encode())
    return data


def chunked(data: pa.Table) -> pa.Table:
    return pa.concat_tables([encoded(data.slice(0, 2)), encoded(data.slice(2))])


def frames(data: pa.Table) -> Iterator[Any]:
    yield pandas_nullable(data.slice(0)).iloc[:2]
    yield data.slice(2, 1)
    yield pl.DataFrame(data.slice(3))


MAKERS: dict[str, Callable[[pa.Table], Any]] = {
    "structured": structured,
    "columns": columns_of,
    "lists": lists,
    "columns_of_pandas": lambda data: dict(pandas_nullable(data)),
    "columns_of_polars": lambda data: pl.DataFrame(data).to_dict(),
    "columns_of_arrow": lambda data: dict(zip(data.column_names, data.columns, strict=True)),
    "pandas_numpy": pandas_numpy,
    "pandas_nullable": pandas_nullable,
    "pandas_arrow": pandas_arrow,
    "pandas_categorical": pandas_categorical,
    "pandas_object": pandas_object,
    "pandas_index": pandas_index,
    "polars": pl.DataFrame,
    "polars_lazy": polars_lazy,
    "polars_categorical": polars_categorical,
    "table": lambda data: data,
    "chunked": chunked,
    "batch": lambda data: encoded(data).to_batches()[0],
    "reader": lambda data: data.to_reader(max_chunksize=2),
    "bare": Bare,
    "bare_polars": lambda data: Bare(pl.DataFrame(data)),
    "frames": frames,
}
NO_ZONES = ("structured", "columns", "lists")


def expected(precision: int, *, is_long: bool) -> Points:
    """Return the points of the five rows, named ``{column}``, or ``{host}.{column}``."""
    points: Points = {}
    for column, values in COLUMNS.items():
        for second, host, value in zip(SECONDS, HOSTS, values, strict=True):
            if second is not None and value is not None:
                name = f"{host}.{column}" if is_long else column
                given = int(value) if column == "b" else value
                points.setdefault(name, []).append((second * PER_SECOND[precision], given))
    return {name: sorted(of_name) for name, of_name in points.items()}


def read(data: Any, precision: int = 3, **options: Any) -> Points:
    """Return the points that are read of something, sorted."""
    chosen = LoadOptions(**options)
    reader = FrameReader(chosen, precision)
    points: Points = {}
    for portion in portions(data, chosen):
        found = portion.read(reader)
        for column in found.columns:
            timestamps, values = column.plain()
            rows = zip(timestamps.tolist(), map(_plain, values), strict=True)
            points.setdefault(column.name, []).extend(rows)
        for mixed in found.mixed:
            rows_of = zip(
                mixed.codes.tolist(), mixed.timestamps.tolist(), mixed.values, strict=True
            )
            for code, timestamp, value in rows_of:
                points.setdefault(mixed.names[code], []).append((timestamp, _plain(value)))
    return {name: sorted(of_name) for name, of_name in points.items()}


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.item()

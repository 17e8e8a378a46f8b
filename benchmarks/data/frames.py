"""Frames to load, wide and long, as each library has them; for each lap one with later times.

What does not change from lap to lap (names and values) is made once and shared by all laps, so
that no more than one column of times is new. Knows nothing of servers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.data import data
from benchmarks.entrants.lap import Timeline

__all__ = ["DICTIONARIES", "TEXTS", "Long", "Wide"]

TEXTS = ("pandas str", "pandas object", "Polars")
DICTIONARIES = ("pyarrow dictionary", "pandas categorical")


class Wide:
    """A column of times and one of floats for each series, in pandas.

    Attributes:
        names: Of the columns of values.
        values: Shape (series, rows).
    """

    def __init__(self, rows: int, series: int) -> None:
        self.rows, self.series = rows, series
        self.points = rows * series
        self.names = [f"sensor {i}" for i in range(series)]
        self.values = data.doubles(self.points).reshape(series, rows)
        self._timeline = Timeline(rows)

    def frame(self, lap: int) -> pd.DataFrame:
        """Return that of a lap, whose columns of values lie one behind the other."""
        return self._timed(lap, pd.DataFrame(dict(zip(self.names, self.values, strict=True))))

    def row_by_row(self, lap: int) -> pd.DataFrame:
        """Return the same, but rows of values lie one behind the other: from an array of rows."""
        rows = np.ascontiguousarray(self.values.T)
        return self._timed(lap, pd.DataFrame(rows, columns=self.names, copy=False))

    def _timed(self, lap: int, frame: pd.DataFrame) -> pd.DataFrame:
        frame.insert(0, "time", self._timeline.lap(lap).view("M8[ns]"))
        return frame


class Long:
    """A row for each point, in the order of time: columns ``time``, ``name`` and ``value``.

    Each tick has a row of each series, in the same order. The rows that have the same name share
    one object, where names are objects.
    """

    def __init__(self, series: int, ticks: int) -> None:
        self.series, self.points = series, series * ticks
        self._codes = np.tile(np.arange(series, dtype=np.int32), ticks)
        self._labels = [f"sensor {i}" for i in range(series)]
        self._values = data.doubles(self.points)
        self._timeline = Timeline(ticks)
        self._makers: dict[str, Callable[[Any], Callable[[int], Any]]] = {
            "pandas str": lambda names: self._in_pandas(pd.Series(names, dtype="str")),
            "pandas object": lambda names: self._in_pandas(pd.Series(names, dtype=object)),
            "pandas categorical": lambda _: self._in_pandas(
                pd.Categorical.from_codes(self._codes, self._labels)
            ),
            "Polars": self._in_polars,
            "pyarrow dictionary": lambda _: self._in_arrow(self._dictionary()),
        }

    def maker(self, kind: str) -> Callable[[int], Any]:
        """Return what makes the frame of a lap, as `TEXTS` and `DICTIONARIES` name the kinds."""
        names = np.array(self._labels, dtype=object)[self._codes]
        return self._makers[kind](names)

    def file_writer(self) -> Callable[[int, Path], None]:
        """Return what writes the Parquet file of a lap, with pyarrow's defaults and strings.

        The column of times is called ``ts``.
        """
        make = self._in_arrow(self._dictionary().cast(pa.string()), time="ts")
        return lambda lap, path: pq.write_table(make(lap), path)

    def _times(self, lap: int) -> data.Array:
        return np.repeat(self._timeline.lap(lap), self.series).view("M8[ns]")

    def _dictionary(self) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(self._codes), pa.array(self._labels))

    def _in_pandas(self, names: Any) -> Callable[[int], Any]:
        def make(lap: int) -> Any:
            columns = {"time": self._times(lap), "name": names, "value": self._values}
            return pd.DataFrame(columns, copy=False)

        return make

    def _in_polars(self, names: Any) -> Callable[[int], Any]:
        texts, values = pl.Series("name", names, pl.String), pl.Series("value", self._values)
        return lambda lap: pl.DataFrame([pl.Series("time", self._times(lap)), texts, values])

    def _in_arrow(self, names: Any, time: str = "time") -> Callable[[int], Any]:
        values = pa.array(self._values)

        def make(lap: int) -> Any:
            arrays = [pa.array(self._times(lap)), names, values]
            return pa.table(arrays, names=[time, "name", "value"])

        return make

"""What other clients do with values before anything is sent; each function returns the bytes.

One thread, no server, no event loop. Each client is used as its own insert of a frame or of a row
uses it, and all that it would ask a server for (types of columns, settings) is given.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import qpack
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.insert import InsertContext
from clickhouse_connect.driver.transform import NativeTransform
from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import PointSettings

__all__ = [
    "Questdb",
    "Ticks",
    "clickhouse_blocks",
    "connector_lists",
    "connector_ticks",
    "influx_lines",
    "influx_points",
]

TABLE, TIME = "wide", "time"
PACKED_ROWS = 10_000  # of a column, in one insert of the reference driver

Ticks = Sequence[tuple[int, Sequence[float]]]  # a time, and a value of each series


class Questdb:
    """A buffer of questdb, which is used again."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # buffers are its old way in
            self._module = pytest.importorskip("questdb.ingress")
        self._buffer = self._module.Buffer(protocol_version=2)

    def clear(self) -> None:
        """Empty it."""
        self._buffer.clear()

    def frame(self, frame: Any) -> int:
        """Take a frame, whose columns must lie one behind the other."""
        self._buffer.dataframe(frame, table_name=TABLE, at=TIME)
        return len(self._buffer)

    def slices(self, frame: Any, rows: int) -> int:
        """Take it, so many rows at a time."""
        size = 0
        for start in range(0, len(frame), rows):
            self.clear()
            size += self.frame(frame.iloc[start : start + rows])
        return size

    def ticks(self, names: Sequence[str], ticks: Ticks) -> int:
        """Take each value as a row of a table of its own."""
        write = self._buffer.row
        for timestamp, row in ticks:
            at = self._module.TimestampNanos(timestamp)
            for name, value in zip(names, row, strict=True):
                write(name, columns={"value": value}, at=at)
        return len(self._buffer)


def clickhouse_blocks(frame: Any, compression: str | None = None) -> int:
    """Build what ``insert_df`` of clickhouse-connect sends to a table whose types are known."""
    floats = len(frame.columns) - 1
    types = [get_from_name("DateTime64(9)"), *[get_from_name("Float64")] * floats]
    context = InsertContext(TABLE, list(frame.columns), types, frame, compression=compression)
    size = sum(map(len, NativeTransform.build_insert(context)))
    assert context.insert_exception is None
    return size


def influx_lines(frame: Any) -> int:
    """Make the body of lines that influxdb-client sends of a frame."""
    lines = data_frame_to_list_of_points(  # type: ignore[no-untyped-call]
        frame,
        PointSettings(),
        data_frame_measurement_name=TABLE,
        data_frame_timestamp_column=TIME,
    )
    return len("\n".join(lines).encode())


def influx_points(names: Sequence[str], ticks: Ticks) -> int:
    """Make a `Point` of each value, and its line."""
    size = 0
    for timestamp, row in ticks:
        lines = [_influx_line(*pair, timestamp) for pair in zip(names, row, strict=True)]
        size += len("\n".join(lines).encode())
    return size


def connector_lists(frame: Any, columns: Sequence[str]) -> int:
    """Pack some columns as siridb-connector does, 10,000 points of one series in a package."""
    times, size = frame[TIME].to_numpy().view("i8").tolist(), 0
    for name in columns:
        values = frame[name].to_numpy()
        for start in range(0, len(frame), PACKED_ROWS):
            rows = slice(start, start + PACKED_ROWS)
            pairs = zip(times[rows], values[rows].tolist(), strict=True)
            size += len(qpack.packb({name: [[t, v] for t, v in pairs]}))
    return size


def connector_ticks(names: Sequence[str], ticks: Ticks) -> int:
    """Pack one point of each series at a time as siridb-connector does."""
    size = 0
    for timestamp, row in ticks:
        pairs = zip(names, row, strict=True)
        size += len(qpack.packb({name: [[timestamp, value]] for name, value in pairs}))
    return size


def _influx_line(name: str, value: float, timestamp: int) -> str:
    point = Point(name).field("value", value)  # type: ignore[no-untyped-call]
    line: str = point.time(timestamp).to_line_protocol()
    return line

"""The kinds of files of points: who reads them, and what their series are called."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from siridb_fast.columns.time_units import UNITS, TimePrecision
from siridb_fast.columns.typed_values import SERIES
from siridb_fast.files.base import ReadOptions
from siridb_fast.files.points.labels import SeriesLabels
from siridb_fast.files.points.reader import PointsTable
from siridb_fast.formats._graphite import Graphite
from siridb_fast.formats.annotated_csv import AnnotatedCsv
from siridb_fast.formats.influx_export import InfluxExport
from siridb_fast.formats.points import PointKey

__all__ = ["points_table"]


def points_table(path: Path, options: ReadOptions, kind: str) -> PointsTable:
    """Open a file of points; ``kind`` is "influx", "graphite" or "annotated"."""
    said = TimePrecision.of_unit(options.unit or ("s" if kind == "graphite" else "ns"))
    if kind == "graphite":
        return PointsTable(
            path,
            options,
            what="a file of Graphite lines",
            parser=partial(Graphite, unit=said.nanoseconds),
            labels=SeriesLabels({SERIES: _graphite_name, "path": _measurement, "tags": _tags}),
        )
    is_csv = kind == "annotated"
    parts = {SERIES: _influx_name, "measurement": _measurement, "tags": _tags, "field": _field}
    return PointsTable(
        path,
        options,
        what="a file of annotated CSV" if is_csv else "a file of line protocol",
        parser=partial(AnnotatedCsv, said.nanoseconds) if is_csv else InfluxExport,
        labels=SeriesLabels(parts),
        unit="ns" if is_csv else UNITS[said],
    )


def _influx_name(key: PointKey) -> str:
    return f"{','.join(filter(None, (key.measurement, _tags(key))))}:{key.field}"


def _graphite_name(key: PointKey) -> str:
    # As it is written, but for the order of tags.
    return ";".join([key.measurement, *(f"{name}={value}" for name, value in key.tags)])


def _measurement(key: PointKey) -> str:
    return key.measurement


def _field(key: PointKey) -> str:
    return key.field


def _tags(key: PointKey) -> str:
    return ",".join(f"{name}={value}" for name, value in key.tags)

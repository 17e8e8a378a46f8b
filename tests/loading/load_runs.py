"""Files to load, loads that run, and what a database holds afterwards as multisets of points."""

import gzip
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

import siridb_fast
from siridb_fast.loading.manifest_file import default_path
from siridb_fast.query.select import quote
from tests.commands import COMMAND, environment

__all__ = [
    "START",
    "WIDE",
    "Points",
    "forget_delivered",
    "manifest_entries",
    "points_of",
    "running_load",
    "stored_points",
    "write_table",
]

Points = dict[str, Counter[tuple[int, Any]]]

START = 1_767_225_600  # 2026-01-01
WIDE: dict[str, list[Any]] = {
    "ts": [START + k for k in range(4)],
    "temp": [0.5, 1.5, 2.5, 2.5],
    "count": [1, 2, 3, 4],
    "text": ["a", "b", "c", "c"],
}


def write_table(path: Path, columns: Mapping[str, Any], **options: Any) -> Path:
    """Write a table in the format of the suffix."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    if path.suffix == ".parquet":
        pq.write_table(table, path, **options)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    else:
        names = list(columns)
        lines = [",".join(names)]
        lines += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        text = ("\n".join(lines) + "\n").encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def stored_points(url: str) -> Points:
    """Return all points of a database, each series by itself: a range may cut no text shard."""
    found: Points = {}
    with siridb_fast.connect(url) as client:
        answer = client.query("list series name limit 10000")
        for (name,) in answer["series"]:
            arrays = client.query_arrays(f"select * from {quote(name)}")  # noqa: S608
            found[name] = counted(*arrays[name]) if name in arrays else Counter()
    return {name: points for name, points in found.items() if points}


def counted(timestamps: Any, values: Any) -> Counter[tuple[int, Any]]:
    """Return points as a multiset; NaN equals NaN there."""
    pairs = zip(np.asarray(timestamps).tolist(), np.asarray(values).tolist(), strict=True)
    return Counter((t, "NaN" if v != v else v) for t, v in pairs)


def manifest_entries(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return (delivered, started, is_done) of each file of a folder that the manifest knows."""
    path = default_path()
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as base:
        try:
            rows = base.execute("SELECT file, delivered, started, is_done FROM files").fetchall()
        except sqlite3.OperationalError:  # it is just being made
            return {}
    return {
        Path(file).name: tuple(numbers)
        for file, *numbers in rows
        if Path(file).parent == folder.resolve()
    }


def forget_delivered(file: Path) -> None:
    """Have the manifest say of a file that was loaded that all of its rows may be stored."""
    with closing(sqlite3.connect(default_path())) as base, base:
        query = "UPDATE files SET delivered = 0, is_done = 0 WHERE file = ?"
        assert base.execute(query, [str(file.resolve())]).rowcount == 1


@contextmanager
def running_load(*arguments: str | Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """Start a load; kill it in the end if it still runs."""
    command = [*COMMAND, "load", *map(str, arguments)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(url), text=True, **pipes) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def points_of(names: list[str], columns: dict[str, list[Any]]) -> Points:
    """Return the points of some columns, as `stored_points` does."""
    return {name: Counter(zip(columns["ts"], columns[name], strict=True)) for name in names}

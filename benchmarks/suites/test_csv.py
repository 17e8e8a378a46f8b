"""How fast is a CSV file loaded, beside pyarrow's own reading of it?

A load reads in bounded memory, in the order of the file, with every line checked. Beside it stands
what holds the whole file in memory, `pyarrow.csv.read_csv` with all threads and `load` of its
table; and one thread of `pyarrow.csv.open_csv` that only reads. All go to a sink, a process of its
own that acknowledges packages and reads none.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv

import siridb_fast
from benchmarks.baselines.null_server import NullServer
from benchmarks.data import data
from benchmarks.entrants.load_entrants import peak_of_load
from benchmarks.harness.contest import Contest

ROUNDS, SECONDS = 9, 30.0
MIB = 1 << 20
MOST_MEMORY = 300.0  # MiB, of the whole process
START = 1_700_000_000
LONG = {"series": 1000, "ticks": 2000}
WIDE = {"series": 100, "ticks": 20_000}
VERY_WIDE = {"series": 5000, "ticks": 2000}
LARGE = {"series": 1000, "ticks": 15_000}  # 400 MB
COPIES = 5  # of them in one file
FRAME = "pandas.read_csv and load(frame)"
OURS, TABLE, READ = "load(file)", "read_csv and load(table)", "one thread reads"


def sink_and_file(stack: ExitStack, table: pa.Table) -> tuple[str, Path]:
    """Return the URL of a sink, and a CSV file of the table."""
    url = stack.enter_context(NullServer()).url()
    path = Path(stack.enter_context(TemporaryDirectory())) / "points.csv"
    csv.write_csv(table, path)
    return url, path


def repeat_rows(path: Path, copies: int) -> None:
    """Write the rows of a CSV file so many times into it."""
    rows = path.read_bytes().partition(b"\n")[2]
    with path.open("ab") as file:
        for _ in range(copies - 1):
            file.write(rows)


def long_table(series: int, ticks: int) -> pa.Table:
    """Return a row for each point."""
    count = series * ticks
    names = pa.array([f"host{number}" for number in range(series)])
    return pa.table(
        {
            "ts": START + np.arange(count) // series,
            "host": names.take(pa.array(np.arange(count) % series)),
            "value": data.doubles(count).round(3),
        }
    )


def wide_table(series: int, ticks: int) -> pa.Table:
    """Return a column for each series."""
    values = data.doubles(series * ticks).round(3).reshape(series, ticks)
    columns = {f"sensor{number}": column for number, column in enumerate(values)}
    return pa.table({"ts": START + np.arange(ticks)} | columns)


@pytest.mark.parametrize("shape", ["long, 2 M rows", "wide, 100 x 20 k"])
def test_csv_to_a_sink(contest: Contest, shape: str) -> None:
    is_long = shape.startswith("long")
    table = long_table(**LONG) if is_long else wide_table(**WIDE)
    points = 2_000_000
    options: dict[str, Any] = {"time": "ts", "unit": "s"}
    options |= {"series": "{host}"} if is_long else {}
    with ExitStack() as stack:
        url, path = sink_and_file(stack, table)
        one_thread = csv.ReadOptions(use_threads=False)
        contest.run(
            ROUNDS,
            {
                OURS: lambda: siridb_fast.load(path, url, **options),
                TABLE: lambda: siridb_fast.load(csv.read_csv(path), url, **options),
                READ: lambda: sum(1 for _ in csv.open_csv(path, read_options=one_thread)),
            },
            seconds=SECONDS,
        )
    for reference in (TABLE, READ):
        what = f"CSV file, {shape}, to a sink / {reference}"
        contest.row(what, "ns/point", points, ours=OURS, reference=reference)


def test_csv_of_very_many_columns(contest: Contest) -> None:
    with ExitStack() as stack:
        url, path = sink_and_file(stack, wide_table(**VERY_WIDE))
        options: dict[str, Any] = {"time": "ts", "unit": "s"}
        contest.run(
            ROUNDS,
            {
                OURS: lambda: siridb_fast.load(path, url, **options),
                FRAME: lambda: siridb_fast.load(pd.read_csv(path), url, **options),
            },
            seconds=SECONDS,
        )
        peak = peak_of_load(path, "--url", url, "--time", "ts", "--unit", "s") / MIB
    points = VERY_WIDE["series"] * VERY_WIDE["ticks"]
    what = f"CSV file, 2,000 rows of 5,000 columns, to a sink / {FRAME}"
    contest.row(what, "ns/point", points, ours=OURS, reference=FRAME)
    contest.figures("… most resident memory / allowed", "MiB", [peak], [MOST_MEMORY])


def test_memory_of_a_large_csv_file(contest: Contest) -> None:
    series = ["--series", "{host}"]
    with ExitStack() as stack:
        url, path = sink_and_file(stack, long_table(**LARGE))
        repeat_rows(path, COPIES)
        peaks: list[float] = []

        def load() -> None:
            peaks.append(peak_of_load(path, "--url", url, "--time", "ts", "--unit", "s", *series))

        contest.run(2, {OURS: load}, warm_ups=0)
    what = "CSV file of 2 GB, siridb-fast load, most resident memory / allowed"
    contest.figures(what, "MiB", [max(peaks) / MIB], [MOST_MEMORY])

"""The entrants of the measurements of loads: frames and files, by us and by the reference."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import siridb_fast
from benchmarks.data.frames import Long, Wide
from benchmarks.entrants.lap import Entrant

__all__ = ["by_command", "by_frame_reference", "by_load", "peak_of_load", "seconds_of_load"]

NOTED = "noted.sqlite"
REFERENCE_ROWS = 10_000  # of a frame, in one insert
COMMAND = Path(sys.executable).with_name("siridb-fast")
CHILD = Path(__file__).parents[1] / "harness/child.py"


def by_load(
    name: str, url: str, points: int, make: Callable[[int], Any], label: str, time: str = "time"
) -> Entrant:
    """Load the frame or file of a lap.

    What `label` stands for in a template ends the names of series; `time` is the column of times.
    """
    options: Any = {"time": time, "series": f"{name} {{{label}}}"}

    def send(frame: Any) -> siridb_fast.Report:
        report = siridb_fast.load(frame, url, **options)
        assert report.points == points
        return report

    return Entrant(name, points, make, send)


def by_frame_reference(
    client: Any, run: Callable[[Any], Any], wide: Wide, name: str, columns: int, at_once: int
) -> Entrant:
    """Insert the first columns of a frame as lists, 10,000 points of one series at a time.

    Args:
        client: A connected reference driver.
        run: Runs coroutines in its event loop.
        wide: Makes the frames.
        name: Of the entrant.
        columns: How many of the frame's.
        at_once: Inserts that are on their way.
    """

    async def insert(frame: Any, times: list[int], works: Any) -> None:
        for column, start in works:
            rows = slice(start, start + REFERENCE_ROWS)
            values = frame[column].to_numpy()[rows].tolist()
            points = [[t, v] for t, v in zip(times[rows], values, strict=True)]
            await client.insert({f"{name} {column}": points})

    async def insert_all(frame: Any) -> None:
        times = frame["time"].to_numpy().view("i8").tolist()
        works = iter(product(wide.names[:columns], range(0, wide.rows, REFERENCE_ROWS)))
        await asyncio.gather(*(insert(frame, times, works) for _ in range(at_once)))

    return Entrant(name, columns * wide.rows, wide.frame, lambda frame: run(insert_all(frame)))


def peak_of_load(path: Path, *options: str) -> float:
    """Load a file by the command line, and return the most bytes that were resident."""
    for left in path.parent.glob(f"{NOTED}*"):
        left.unlink()  # the manifest of an earlier load
    return _peak_of(_load_process(path, *options, *_manifest(path.parent)))


def seconds_of_load(folder: Path, url: str, series: str, manifest: Path) -> float:
    """Load all files of a folder by the command line; how long the process takes."""
    options = ["--url", url, "--time", "ts", "--series", series, "--manifest", str(manifest)]
    begin = perf_counter()
    subprocess.run([COMMAND, "load", folder, *options], check=True, capture_output=True)  # noqa: S603
    return perf_counter() - begin


def _manifest(folder: Path) -> list[str]:
    return ["--manifest", str(folder / NOTED)]


def _load_process(path: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-I", "-S", CHILD, COMMAND, "load", path, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _peak_of(process: subprocess.Popen[str]) -> float:
    output, _ = process.communicate("go\n")
    figures = json.loads(output)
    assert figures["code"] == 0
    return float(figures["peak"])


def by_command(name: str, url: str, long: Long, folder: Path, peaks: list[float]) -> Entrant:
    """Load a Parquet file of a folder by the command line; collects its most resident bytes."""
    write, path = long.file_writer(), folder / "ticks.parquet"
    options = ["--url", url, "--time", "ts", "--series", f"{name} {{name}}", *_manifest(folder)]

    def make(lap: int) -> subprocess.Popen[str]:
        for left in folder.iterdir():  # what an earlier lap left, its manifest too
            left.unlink()
        write(lap, path)
        return _load_process(path, *options)

    def send(process: subprocess.Popen[str]) -> None:
        peaks.append(_peak_of(process))

    return Entrant(name, long.points, make, send)

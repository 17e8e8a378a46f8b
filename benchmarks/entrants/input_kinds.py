"""The kinds of input, each as an entrant, and a small process that measures the memory one takes.

``input_kinds KIND URL FOLDER`` sends one lap, and prints how much more resident memory this
process had at most than before, in bytes. What the input itself takes is not in it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from benchmarks.data.frames import Long, Wide
from benchmarks.entrants.entrants import by_arrays, by_ticker, by_writes
from benchmarks.entrants.lap import Entrant, Sensors, Writing
from benchmarks.entrants.load_entrants import by_load
from benchmarks.harness import residency

__all__ = ["KINDS", "Inputs", "memory_of"]

SERIES, POINTS = 20, 100_000  # of arrays and wide frames: too long for the runs of a writer
SENSORS, TICKS = 1_000, 2_000  # of long frames and ticks
SINGLE_TICKS = 500
FILE = "points.parquet"


class Inputs:
    """Makes entrants of all kinds, which share what they are made of.

    Args:
        folder: Where the Parquet file is; it is written if it is not there.
        are_stored: Every lap has later times, the file too; if not, it stays as it is.
    """

    def __init__(self, folder: Path, *, are_stored: bool = False) -> None:
        self._path = folder / FILE
        self._are_stored = are_stored

    def entrant(self, kind: str, url: str, stack: ExitStack) -> Entrant:
        """Return who sends this kind to a database; a stack closes what it opens."""
        return KINDS[kind](self, url, stack)

    def arrays(self, url: str, stack: ExitStack) -> Entrant:
        """Write an array of times and one of values for each series."""
        return by_arrays(stack.enter_context(Writing(url)), SERIES, POINTS, 1)

    def wide(self, url: str, _: ExitStack) -> Entrant:
        """Load a frame of pandas that has a column for each series."""
        wide = Wide(POINTS, SERIES)
        return by_load("wide", url, wide.points, wide.frame, "column")

    def strings(self, url: str, _: ExitStack) -> Entrant:
        """Load a frame of pandas that has a row for each point, with names as str."""
        return self._by_long("strings", "pandas str", url)

    def dictionary(self, url: str, _: ExitStack) -> Entrant:
        """Load the same with names as categories."""
        return self._by_long("dictionary", "pandas categorical", url)

    def arrow(self, url: str, _: ExitStack) -> Entrant:
        """Load the same as a table of pyarrow, with names as a dictionary."""
        return self._by_long("arrow", "pyarrow dictionary", url)

    def file(self, url: str, _: ExitStack) -> Entrant:
        """Load the same from a Parquet file, with names as strings."""
        return by_load("file", url, SENSORS * TICKS, self._file, "name", time="ts")

    def singles(self, url: str, stack: ExitStack) -> Entrant:
        """Call `write` for each point."""
        writing = stack.enter_context(Writing(url))
        return by_writes(writing, Sensors(SENSORS, SINGLE_TICKS))

    def ticks(self, url: str, stack: ExitStack) -> Entrant:
        """Write an array of the values of all series at a time."""
        return by_ticker(stack.enter_context(Writing(url)), Sensors(SENSORS, TICKS))

    @cached_property
    def _long(self) -> Long:
        return Long(SENSORS, TICKS)

    def _by_long(self, name: str, kind: str, url: str) -> Entrant:
        return by_load(name, url, self._long.points, self._long.maker(kind), "name")

    def _file(self, lap: int) -> Path:
        if self._are_stored or not self._path.exists():
            self._long.file_writer()(lap, self._path)
        return self._path


KINDS: dict[str, Callable[[Inputs, str, ExitStack], Entrant]] = {
    "array pairs": Inputs.arrays,
    "wide frame": Inputs.wide,
    "long frame, str names": Inputs.strings,
    "long frame, dictionary names": Inputs.dictionary,
    "Arrow table": Inputs.arrow,
    "Parquet file": Inputs.file,
    "single points": Inputs.singles,
    "ticks": Inputs.ticks,
}


def memory_of(kind: str, url: str, folder: Path) -> int:
    """Return how much more memory a fresh process has at most while it sends a kind."""
    command = [sys.executable, "-m", "benchmarks.entrants.input_kinds", kind, url, str(folder)]
    output = subprocess.run(  # noqa: S603 - this module
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, check=True
    ).stdout
    return int(output)


def main(kind: str, url: str, folder: str) -> None:
    """Do so."""
    with ExitStack() as stack:
        entrant = Inputs(Path(folder)).entrant(kind, url, stack)
        entrant.prepare()
        residency.reset_peak()
        before = residency.resident()
        entrant.run()
        print(residency.peak() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What a run of the measurements found, as data: rows, charts, and on which machine.

Written as JSON, read by the report (`report.py`) and by the comparison of two runs (`compare.py`).
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal, Self

from siridb_fast.testing.binary import find_server

__all__ = ["Chart", "Mark", "Row", "Run", "machine_facts"]

FORMAT = 1
PEERS = ("siridb-connector", "qpack", "questdb", "clickhouse-connect", "influxdb-client")
LEAST_SCATTER = 1.05  # of a round: some noise is the same for all rounds of a run
LIBRARIES = ("numpy", "uvloop", "pandas", "pyarrow", "polars")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; a ratio over 1 says that ours is faster, or takes less.

    Args:
        file: Where it is measured, ``encode`` for ``test_encode.py``.
        key: Names the row within the file; always the same, so that runs can be compared.
        what: Is shown: a row that continues the one above begins with "…".
        unit: Of ``ours`` and ``reference``, which are medians.
        ratios: Of single rounds.
        bound: The least that is asked for, if anything is.
        note: What may change from run to run.
        facts: Other figures of ours by name and unit, such as "CPU ns/point".
        is_limit: A count beside what is allowed, not a time beside another: all that says
            something is whether it stays below.
    """

    file: str
    key: str
    what: str
    unit: str
    ours: float
    reference: float
    ratios: tuple[float, ...]
    bound: float | None = None
    note: str = ""
    facts: dict[str, float] = field(default_factory=dict)
    is_limit: bool = False

    @property
    def ratio(self) -> float:
        """The median."""
        return median(self.ratios)

    @property
    def is_short(self) -> bool:
        """Tell whether less was reached than is asked."""
        return self.bound is not None and self.ratio < self.bound


@dataclass(frozen=True, slots=True)
class Mark:
    """One measured value of a chart, the median, and the spread of its rounds."""

    x: float | str
    y: float
    low: float
    high: float

    @classmethod
    def of(cls, x: float | str, values: Iterable[float]) -> Self:
        """Return the mark of some rounds."""
        found = sorted(values)
        return cls(x, median(found), found[0], found[-1])


@dataclass(frozen=True, slots=True)
class Chart:
    """Values over something, a line for each of several ways, or bars where x is text.

    Args:
        file: Where it is measured.
        title: Names it; always the same.
        x: What the axis shows, with its unit.
        y: The same of the other axis.
        lines: By label.
        log: The axes that are logarithmic: "", "x", "y" or "xy".
    """

    file: str
    title: str
    x: str
    y: str
    lines: dict[str, list[Mark]]
    log: Literal["", "x", "y", "xy"] = ""

    @property
    def is_bars(self) -> bool:
        """Tell whether x names things."""
        return any(isinstance(mark.x, str) for marks in self.lines.values() for mark in marks)


@dataclass(slots=True)
class Run:
    """All rows and charts of one run, in the order of their measurement."""

    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    seconds: float = 0.0
    questions: dict[str, str] = field(default_factory=dict)  # that each file answers

    def scatter(self, file: str) -> float:
        """Return the factor by which a ratio of a single round in a file is off.

        It is one standard deviation over all rows of the file that have several rounds; over all
        rows of the run, where the file has none.
        """
        several = [row.ratios for row in self.rows if len(row.ratios) > 1]
        own = [row.ratios for row in self.rows if row.file == file and len(row.ratios) > 1]
        return max(LEAST_SCATTER, _scatter(own or several))

    def spread(self, row: Row) -> tuple[float, float]:
        """Return between what a ratio is: its least and greatest round, and their scatter.

        Of a single round twice the scatter: nothing else shows how lucky it was.
        """
        scatter = self.scatter(row.file) ** (1 if len(row.ratios) > 1 else 2)
        return min(row.ratios) / scatter, max(row.ratios) * scatter

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        content = {"format": FORMAT, **asdict(self)}
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ValueError: It is no JSON, or of another format; names the row that is not as written.
        """
        try:
            content: dict[str, Any] = json.loads(path.read_text())
        except ValueError as exc:
            raise ValueError(f"{path} is no JSON: {exc}") from None
        if content.pop("format", None) != FORMAT:
            raise ValueError(f"{path}: expected format {FORMAT} of `make bench`")
        rows = []
        for number, row in enumerate(content.pop("rows", ()), 1):
            try:
                rows.append(Row(**{**row, "ratios": tuple(row["ratios"])}))
            except (TypeError, KeyError) as exc:
                raise ValueError(f"{path}: row {number}: {exc}") from None
        try:
            charts = [_chart(one) for one in content.pop("charts", ())]
            return cls(rows=rows, charts=charts, **content)
        except (TypeError, KeyError, AttributeError) as exc:
            raise ValueError(f"{path} is not as `make bench` writes it: {exc}") from None


def machine_facts() -> dict[str, str]:
    """Return what the figures depend on."""
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _said_by("git", "describe", "--always", "--dirty"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        "python": f"{platform.python_version()}, {platform.python_compiler()}",
        "server": _said_by(str(find_server()), "--version").splitlines()[0],
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "peers": ", ".join(f"{name} {version(name)}" for name in PEERS),
    }


def _scatter(rows: Iterable[Sequence[float]]) -> float:
    squares = degrees = 0.0
    for ratios in rows:
        logs = [math.log(ratio) for ratio in ratios]
        mean = fmean(logs)
        squares += sum((value - mean) ** 2 for value in logs)
        degrees += len(logs) - 1
    return math.exp(math.sqrt(squares / degrees)) if degrees else 1.0


def _chart(content: dict[str, Any]) -> Chart:
    lines = {
        label: [Mark(**mark) for mark in marks] for label, marks in content.pop("lines").items()
    }
    return Chart(lines=lines, **content)


def _said_by(*command: str) -> str:
    answer = subprocess.run(  # noqa: S603 - git, or the server under test
        command, capture_output=True, text=True, check=False, timeout=60
    )
    return answer.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()

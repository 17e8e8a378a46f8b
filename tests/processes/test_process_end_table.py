"""The table of `docs/process-ends.md`: what becomes of points when a process ends."""

import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import siridb_fast
from siridb_fast.testing import SiriDBServer

POINTS = 53  # less than a server's buffer, so that they wait for others
TABLE = Path(__file__).parents[2] / "docs/process-ends.md"
EXIT_TIMEOUT = 120.0
COLUMNS = [
    (kind, is_there, has_spool)
    for kind in ("BatchWriter", "BlockingWriter")
    for is_there in (True, False)
    for has_spool in (False, True)
]
BLOCKING = """
def use():
    with siridb_fast.BlockingWriter(SiriDBClient.from_url().config, **options) as writer:
        fill(writer)
        END
"""
BATCH = """
async def main():
    async with siridb_fast.BatchWriter(**options) as writer:
        fill(writer)
        END
        await asyncio.sleep(WAIT)

def use():
    siridb_fast.run(main())
"""
START = f"""
import asyncio, multiprocessing, os, signal, sys, threading, time
import siridb_fast
from siridb_fast import SiriDBClient

WAIT = 0
filled = threading.Event()
writers = []
options = {{"linger": 60, "time_precision": 3, "wait_for_server": "in_background"}}
if sys.argv[1:]:
    options["spool"] = sys.argv[1]

def fill(writer):
    for n in range({POINTS}):
        writer.write("SERIES", n, 1.5)
    writers.append(writer)
    filled.set()

has_where_to = sys.argv[1:] or ":1/" not in os.environ["SIRIDB_URL"]

def is_there(stats):
    return stats.spooled or stats.delivered

def kill(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)
        time.sleep(1)
        while has_where_to and not is_there(writers[0].stats()):  # the program may end meanwhile
            time.sleep(0.02)
"""
USE = "\nuse()\n"
FORKED = """
child = multiprocessing.get_context("fork").Process(target=use)
child.start()
child.join()
"""
SIGNAL = "threading.Thread(target=kill, args=({},), daemon=True).start(); WAITING"
ENDS = {
    "return": ("pass", USE),
    "exception": ("raise ValueError", USE),
    "`sys.exit`": ("sys.exit()", USE),
    "`os._exit`": ("os._exit(0)", USE),
    "SIGTERM": (SIGNAL.format("signal.SIGTERM"), USE),
    "SIGINT (Ctrl+C)": (SIGNAL.format("signal.SIGINT"), USE),
    "SIGINT twice": (SIGNAL.format("signal.SIGINT, signal.SIGINT"), USE),
    "SIGHUP": (SIGNAL.format("signal.SIGHUP"), USE),
    "end of a forked worker": (
        "pass",
        FORKED,
    ),
    "end of the program, in a daemon thread": (
        "WAITING",
        "\nthreading.Thread(target=use, daemon=True).start()\nfilled.wait()\n",
    ),
}


def text_of(end: str, kind: str, series: str) -> str:
    action, use = ENDS[end]
    waits = "WAITING" in action
    if kind == "BatchWriter":
        text, action = BATCH, action.replace("WAITING", "pass")
        text = text.replace("WAIT)", "60)" if waits else "0)")
    else:
        text, action = BLOCKING, action.replace("WAITING", "time.sleep(60)")
    action = action.replace("; pass", "")
    if end == "return" or "forked" in end:  # or it would wait for a server for 120 seconds
        text = text.replace("**options", "delivery_timeout=3, **options")
    if end == "exception":
        text = text.replace("**options", "delivery_timeout=3, **options")
    return textwrap.dedent(START.replace("SERIES", series) + text.replace("END", action) + use)


def run(url: str, end: str, kind: str, series: str, spool: Path | None) -> str:
    arguments = [] if spool is None else [str(spool)]
    done = subprocess.run(
        [sys.executable, "-c", text_of(end, kind, series), *arguments],
        env={**os.environ, "SIRIDB_URL": url},
        capture_output=True,
        text=True,
        timeout=EXIT_TIMEOUT,
        check=False,
    )
    return done.stderr


def fate(stored: int, spool: Path | None, errors: str) -> str:
    if stored == POINTS:
        return "delivered"
    if spool is not None and spool.exists():
        with sqlite3.connect(spool) as database:
            if database.execute("select sum(points) from packages").fetchone()[0] == POINTS:
                return "on disk"
    return "counted" if f"{POINTS} not delivered" in errors else "lost"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the points of the programs that end in one way, by column."""

    end: str
    fates: dict[object, str]


@pytest.fixture(scope="module")
def database(server: SiriDBServer) -> str:
    """Make a database for all rows; its URL."""
    server.create_database("ends")
    return server.url("ends")


@pytest.fixture(scope="module", params=ENDS)
def row(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Row:
    """Run the programs of a row at once; a row, because several workers may share the table."""
    end, folder = request.param, tmp_path_factory.mktemp("ends")
    gone = re.sub(r":\d+/", ":1/", database)

    def run_cell(number: int) -> str:
        kind, is_there, has_spool = COLUMNS[number]
        spool = folder / str(number) if has_spool else None
        return run(database if is_there else gone, end, kind, f"{end} {number}", spool)

    with ThreadPoolExecutor(len(COLUMNS)) as pool:
        errors = list(pool.map(run_cell, range(len(COLUMNS))))
    with siridb_fast.connect(database) as client:
        stored = client.query_arrays("select * from *")
    fates: dict[object, str] = {}
    for number, column in enumerate(COLUMNS):
        name = f"{end} {number}"
        spool = folder / str(number) if column[2] else None
        fates[column] = fate(len(stored[name][0]) if name in stored else 0, spool, errors[number])
    return Row(end, fates)


def table() -> dict[object, str]:
    """Return what the document says."""
    rows = re.findall(r"^\| (.+?) \|(.*)\|$", TABLE.read_text(), re.MULTILINE)
    return {
        (end, column): cell.strip()
        for end, cells in rows
        if end in ENDS
        for column, cell in zip(COLUMNS, cells.split("|"), strict=True)
    }


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_points_end_as_the_table_says(row: Row, column: tuple[str, bool, bool]) -> None:
    assert row.fates[column] == table()[row.end, column]

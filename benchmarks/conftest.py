"""Fixtures of the measurements: two real servers, and the report of all rows at the end."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.entrants.lap import Ways
from benchmarks.harness import table
from benchmarks.harness.bounds import Bounds
from benchmarks.harness.contest import Contest
from benchmarks.harness.record import Run, machine_facts
from benchmarks.harness.report import write_report
from siridb_fast.testing import SiriDBServer

RUN = pytest.StashKey[Run]()
BOUNDS = pytest.StashKey[Bounds]()
STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "folder for the report: JSON, Markdown and charts"
    parser.addoption("--report", type=Path, default=None, help=text)
    text = "folder for charts that are not committed; without it, that of the report"
    parser.addoption("--charts", type=Path, default=None, help=text)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[RUN] = Run(machine_facts())
    config.stash[BOUNDS] = Bounds.read()
    config.stash[STARTED] = time.monotonic()
    config.option.benchmark_quiet = True  # our table says it all, in ratios


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    run, bounds = config.stash[RUN], config.stash[BOUNDS]
    run.seconds = time.monotonic() - config.stash[STARTED]
    if not (run.rows or run.charts):
        return
    terminalreporter.section("ours beside the reference, measured in turn")
    for line in table.lines(run):
        terminalreporter.write_line(line)
    folder = config.option.report
    if folder is not None:
        is_whole = not config.option.keyword and config.args == ["benchmarks"]
        write_report(run, folder, bounds, is_whole=is_whole, charts=config.option.charts)
        terminalreporter.write_line(f"{run.seconds:.0f} s; the report is in {folder}")


@pytest.fixture
def contest(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Contest:
    """Return what measures callables in turn, and adds rows and charts to the report."""
    file = request.module.__name__.rpartition(".test_")[2]
    run = request.config.stash[RUN]
    run.questions[file] = (inspect.getdoc(request.module) or file).partition("\n")[0]
    return Contest(benchmark, run, request.config.stash[BOUNDS], file)


@pytest.fixture(scope="session")
def server_500() -> Iterator[SiriDBServer]:
    """Start a server that syncs its buffer twice a second."""
    with SiriDBServer(buffer_sync_interval=500) as server:
        server.create_database()
        yield server


@pytest.fixture(scope="session")
def server_0() -> Iterator[SiriDBServer]:
    """Start a server that syncs its buffer after every slice of an insert, as is its default."""
    with SiriDBServer(buffer_sync_interval=0) as server:
        server.create_database()
        yield server


@pytest.fixture(scope="session")
def ways() -> Ways:
    """Return what finds the fastest way to send ready-made packages, once for each server."""
    return Ways()

"""Fixtures of the measurements: two real servers, and the table that is printed at the end."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.contest import Contest, Table
from benchmarks.loads import Ways
from siridb_fast.testing import SiriDBServer

TABLE = pytest.StashKey[Table]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()
    config.option.benchmark_quiet = True  # our table says it all, in ratios


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    table = config.stash[TABLE]
    if table.rows:
        terminalreporter.section("ours beside the reference, measured in turn")
        for line in table.lines():
            terminalreporter.write_line(line)


@pytest.fixture
def contest(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Contest:
    """Return what measures callables in turn, and adds lines to the table."""
    question = (inspect.getdoc(request.module) or request.module.__name__).partition("\n")[0]
    return Contest(benchmark, request.config.stash[TABLE], question)


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

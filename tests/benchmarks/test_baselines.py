"""Measurements without a server: writers that have no socket, and servers that store nothing."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

import siridb_fast
from benchmarks.baselines.null_server import NullServer
from benchmarks.baselines.null_transport import NOWHERE, no_sockets
from benchmarks.data import data
from benchmarks.entrants.input_kinds import memory_of
from benchmarks.harness.affinity import CLIENT, on_cores

TIMES = data.nanoseconds(70_000)
ARRAYS = {f"sensor {i}": (TIMES, np.full(len(TIMES), i + 0.5)) for i in range(3)}
POINTS = 210_000


async def test_writer_without_a_socket_seals_all_points() -> None:
    with no_sockets():
        async with siridb_fast.BatchWriter(NOWHERE) as writer:
            ticker = writer.ticker(list(ARRAYS))
            for timestamp in range(100):
                ticker.write(timestamp, [0.5, 1.5, 2.5])
                await writer.drain()
            delivery = await writer.write_many(ARRAYS)
            report = await writer.flush()
            stats = writer.stats()
            assert (await delivery).points == POINTS
    assert report.points == POINTS + 300
    assert report.is_complete
    assert (stats.buffered, stats.in_flight, stats.buffered_bytes) == (0, 0, 0)


def test_load_without_a_socket_is_complete() -> None:
    with no_sockets():
        report = siridb_fast.load(ARRAYS, NOWHERE)
    assert report.points == POINTS
    assert report.bytes > 19 * POINTS  # what a float and its time in nanoseconds take


def test_load_of_a_file_without_a_socket_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,v\n1700000000,1\n1700000001,2\n")
    with no_sockets():
        report = siridb_fast.load(path, NOWHERE, time="ts", unit="s")
    assert report.points == 2


def test_writers_have_sockets_again_afterwards() -> None:
    with no_sockets():
        pass
    with pytest.raises(OSError, match="nowhere"):
        siridb_fast.load(ARRAYS, NOWHERE, timeout=1.0)


def test_sink_takes_a_load_and_answers_what_it_asks(caplog: pytest.LogCaptureFixture) -> None:
    with NullServer() as sink, caplog.at_level(logging.WARNING, "siridb_fast"):
        report = siridb_fast.load(ARRAYS, sink.url())
    assert report.points == POINTS
    assert not caplog.records


@pytest.mark.slow
def test_memory_of_a_kind_is_that_of_its_packages(tmp_path: Path) -> None:
    with NullServer() as sink:
        taken = memory_of("array pairs", sink.url(), tmp_path)
    assert 1 << 20 < taken < 64 << 20


def test_client_runs_on_one_core_only_meanwhile() -> None:
    before = os.sched_getaffinity(0)
    with on_cores(CLIENT):
        assert os.sched_getaffinity(0) == CLIENT
    assert os.sched_getaffinity(0) == before

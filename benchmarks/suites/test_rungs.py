"""How far does each kind of input get on three rungs: encoded only, to a sink, to a real server?

The first rung has no socket (`null_transport.py`): all that a writer or load does from what the
user has to sealed packages, in memory that is used again. The second is a sink, a server that
acknowledges at once (`null_server.py`), or eight as the hosts of one writer, each a process; over
TCP, for which alone several hosts can stand in a URL. Both run with the client on one core and
the null servers on the others (`affinity.py`), so that a rate is what one core feeds. The third is
a real server, over TCP, on whichever cores the kernel likes.

The ceiling is ready-made packages by bare sockets to the same sink or server, in the same rounds;
of encoding it is a plain copy of as many bytes, package by package into memory that is used again.
Loads open connections of their own in each lap; writers are open beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.baselines.ceiling import Contestant, Shape, packages
from benchmarks.baselines.null_server import HOST, NullServer
from benchmarks.baselines.null_transport import NOWHERE, no_sockets
from benchmarks.entrants.input_kinds import KINDS, Inputs, memory_of
from benchmarks.entrants.lap import (
    WINDOWS,
    Entrant,
    Ways,
    address,
    bare_entrant,
    compete,
    database_url,
    new_server,
)
from benchmarks.harness.affinity import CLIENT, OTHERS, on_cores
from benchmarks.harness.contest import Contest
from benchmarks.harness.record import Mark

ROUNDS = 4
ENCODE, ONE, EIGHT, SERVER = "encode only", "one sink", "eight sinks", "real server"
SINKS = 8
PACKAGE = Shape(50_000, 1)
TOTAL = 2_000_000  # points of the ceiling
BLOCK = 1_000_000  # bytes, as a package
COPIED = 40 * BLOCK
POINT_BYTES = 19
COPY, CEILING = "memcpy", "ceiling"
LIMIT = "memcpy, or bare sockets"
MIB = 1024 * 1024

Figures = dict[str, list[float]]  # ns/point of each round, by kind


class Board:
    """What was found on each rung, for the charts at the end."""

    def __init__(self) -> None:
        self._walls: dict[str, Figures] = {}
        self._cpus: dict[str, Figures] = {}

    def add(self, contest: Contest, rung: str, kind: str, entrant: Entrant) -> None:
        """Take note of what a kind took, in ns/point of each round."""
        for figures, is_cpu in ((self._walls, False), (self._cpus, True)):
            times = _times(contest, entrant, is_cpu=is_cpu)
            figures.setdefault(rung, {})[kind] = times

    def rates(self) -> dict[str, list[Mark]]:
        """Return the points per second of each rung."""
        return {
            rung: [Mark.of(kind, [1e9 / wall for wall in walls]) for kind, walls in kinds.items()]
            for rung, kinds in self._walls.items()
        }

    def costs(self) -> dict[str, list[Mark]]:
        """Return the CPU time of each rung."""
        return {
            rung: [Mark.of(kind, cpus) for kind, cpus in kinds.items()]
            for rung, kinds in self._cpus.items()
        }


@pytest.fixture(scope="module")
def board() -> Board:
    """Return where all rungs are noted."""
    return Board()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the Parquet file that is sent to sinks."""
    return tmp_path_factory.mktemp("rungs")


def test_encode_only(contest: Contest, board: Board, folder: Path) -> None:
    inputs, copy = Inputs(folder), _copy()
    with ExitStack() as stack:
        stack.enter_context(on_cores(CLIENT))
        stack.enter_context(no_sockets())
        entrants = {kind: inputs.entrant(kind, NOWHERE, stack) for kind in KINDS}
        compete(contest, ROUNDS, [*entrants.values(), copy])
    for kind, entrant in entrants.items():
        contest.row(
            f"{kind}, {ENCODE} / {COPY}",
            "ns/point",
            entrant.points,
            ours=entrant.name,
            reference=COPY,
            reference_count=COPIED / _point_bytes(entrant),
            facts=_facts(contest, entrant),
        )
        board.add(contest, ENCODE, kind, entrant)
    board.add(contest, ENCODE, LIMIT, replace(copy, points=COPIED // POINT_BYTES))


def test_sinks(contest: Contest, board: Board, folder: Path) -> None:
    inputs = Inputs(folder)
    with ExitStack() as stack:
        with on_cores(OTHERS):
            sinks = [stack.enter_context(NullServer()) for _ in range(SINKS)]
        urls = {ONE: _url(sinks[:1]), EIGHT: _url(sinks)}
        stack.enter_context(on_cores(CLIENT))
        entrants = {
            (rung, kind): _renamed(inputs.entrant(kind, url, stack), rung)
            for rung, url in urls.items()
            for kind in KINDS
        }
        bare = list(_bare(stack, sinks[0]))
        compete(contest, ROUNDS, [*entrants.values(), *bare, _copy()])
        peaks = {kind: memory_of(kind, urls[ONE], folder) / MIB for kind in KINDS}
    best = min(bare, key=lambda entrant: contest.median_time(entrant.name))
    for (rung, kind), entrant in entrants.items():
        more = {"peak RSS MiB": peaks[kind]} if rung == ONE else {}
        _beside_ceiling(contest, board, rung, kind, entrant, best, more)
    board.add(contest, ONE, LIMIT, best)


def test_server(contest: Contest, ways: Ways, board: Board, tmp_path: Path) -> None:
    inputs, way = Inputs(tmp_path, are_stored=True), ways.best("TCP", 500)
    with ExitStack() as stack:
        server = stack.enter_context(new_server(500))
        url = database_url(server, "TCP")
        entrants = {kind: inputs.entrant(kind, url, stack) for kind in KINDS}
        bare = stack.enter_context(bare_entrant(address(server, "TCP"), way, TOTAL))
        compete(contest, ROUNDS, [*entrants.values(), bare, _copy()], server)
    for kind, entrant in entrants.items():
        _beside_ceiling(contest, board, SERVER, kind, entrant, bare, {})
    board.add(contest, SERVER, LIMIT, bare)
    x = "what the user has"
    contest.chart("Points per second by kind of input", x, "points/s", board.rates(), "y")
    contest.chart("CPU of the client by kind of input", x, "ns/point", board.costs(), "y")


def _beside_ceiling(
    contest: Contest,
    board: Board,
    rung: str,
    kind: str,
    entrant: Entrant,
    ceiling: Entrant,
    more: dict[str, float],
) -> None:
    contest.row(
        f"{kind}, {rung} / {CEILING}",
        "ns/point",
        entrant.points,
        ours=entrant.name,
        reference=ceiling.name,
        reference_count=ceiling.points,
        note="" if ceiling.name == CEILING else ceiling.name,
        facts=_facts(contest, entrant) | more,
    )
    board.add(contest, rung, kind, entrant)


def _copy() -> Entrant:
    source, target = np.full(COPIED, 7, np.uint8), np.ones(BLOCK, np.uint8)

    def copy(_: None) -> None:
        for start in range(0, COPIED, BLOCK):
            np.copyto(target, source[start : start + BLOCK])

    return Entrant(COPY, 0, lambda _: None, copy)


def _url(sinks: list[NullServer]) -> str:
    return f"siridb://iris:siri@{','.join(f'{HOST}:{sink.port}' for sink in sinks)}/dbtest"


def _renamed(entrant: Entrant, rung: str) -> Entrant:
    return replace(entrant, name=f"{entrant.name}, {rung}")


def _bare(stack: ExitStack, sink: NullServer) -> Iterator[Entrant]:
    payloads = packages(PACKAGE, TOTAL)  # nothing is stored: the same ones in every lap
    for connections, window in WINDOWS:
        way, name = Contestant(PACKAGE, connections, window), f"{connections} x {window}"
        bare = bare_entrant((HOST, sink.port), way, TOTAL, name=name, make=lambda _: payloads)
        yield stack.enter_context(bare)


def _point_bytes(entrant: Entrant) -> float:
    return float(entrant.report.bytes / entrant.points)


def _times(contest: Contest, entrant: Entrant, *, is_cpu: bool) -> list[float]:
    scale = 1e9 / entrant.points
    return [seconds * scale for seconds in contest.times(entrant.name, is_cpu=is_cpu)]


def _facts(contest: Contest, entrant: Entrant) -> dict[str, float]:
    cpu = float(np.median(_times(contest, entrant, is_cpu=True)))
    wall = float(np.median(_times(contest, entrant, is_cpu=False)))
    return {
        "M points/s": 1e3 / wall,
        "CPU ns/point": cpu,
        "M points/s of one core": 1e3 / cpu,
        "bytes/point": _point_bytes(entrant),
        "memcpy ns/point": contest.median_time(COPY) * 1e9 / COPIED * _point_bytes(entrant),
    }

"""Made-up surveys of a bench: what is advised depends on nothing but such figures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from siridb_fast.cli.bench.cells import Cell, Facts, Kind, Latency, Measured, Survey, Transport

__all__ = ["FACTS", "cell", "latency", "measured", "survey"]

FACTS = Facts(
    label="database db",
    server="127.0.0.1:9010",
    version="2.0.52",
    time_precision="ns",
    buffer_size=1024,
    sync_interval=None,
)
QUIET = (0.99, 1.0, 1.0, 1.0, 1.01)  # factors of the rate: the repeats of a machine without noise
RUNS = {1: 200e3, 10: 250e3, 32: 300e3, 65: 3e6, 1_000: 5e6, 10_000: 6e6}
CONNECTIONS = {(1, 1): 5e6, (2, 1): 6e6, (1, 2): 5e6, (2, 2): 5e6, (1, 4): 5e6}


def cell(
    points: int = 1_000,
    connections: int = 2,
    window: int = 1,
    *,
    kind: Kind = Kind.RUNS,
    transport: Transport = Transport.TCP,
    linger: float | None = None,
) -> Cell:
    """Return a cell."""
    return Cell(
        kind=kind,
        transport=transport,
        points=points,
        series=10,
        connections=connections,
        window=window,
        linger=linger,
    )


def measured(of: Cell, rate: float, repeats: Sequence[float] = QUIET) -> Measured:
    """Return what a cell has reached: its repeats are the rate times these."""
    rates = tuple(rate * factor for factor in repeats)
    return Measured(cell=of, rates=rates, points=1000, bytes=19_000, seconds=1.0, client_cpu=0.1)


def latency(nothing: float, point: float, p99: float | None = None) -> Measured:
    """Return round trips, in seconds."""
    found = Latency(50e-6, nothing, point, point * 2 if p99 is None else p99, 100)
    return Measured(cell=cell(1, 1, 1, kind=Kind.LATENCY), latency=found)


def survey(
    runs: Mapping[int, float] = RUNS,
    connections: Mapping[tuple[int, int], float] = CONNECTIONS,
    unix: Mapping[tuple[int, int], float] | None = None,
    *,
    repeats: Sequence[float] = QUIET,
    extra: Sequence[Measured] = (),
    **facts: object,
) -> Survey:
    """Return a survey with these rates by points of a series, and by connections and window."""
    cells = [measured(cell(points), rate, repeats) for points, rate in runs.items()]
    for transport, rates in ((Transport.TCP, connections), (Transport.UNIX, unix or {})):
        cells += [
            measured(
                cell(10_000, *flight, kind=Kind.CONNECTIONS, transport=transport), rate, repeats
            )
            for flight, rate in rates.items()
        ]
    return Survey(
        facts=replace(FACTS, **facts),  # type: ignore[arg-type]
        cells=(*cells, *extra),
        acknowledged=100,
        stored=100,
        seconds=10.0,
    )

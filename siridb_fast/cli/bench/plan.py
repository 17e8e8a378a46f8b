"""Which cells a bench tries: runs around the server's buffer, connections, round trips, writers.

Pure: knows no connection and no clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from siridb_fast.cli.bench.cells import Cell, Kind, Transport

__all__ = ["default_connections", "plan"]

PACKAGE_POINTS = 50_000  # of a package of long runs: 1 MB, as writers send it
SLOW_PACKAGE_POINTS = 10_000  # of a package of short runs, which takes the server far longer
MOST_SERIES = 300  # of a package: each has a slot in the server's buffer file, which stays
RUNS = (1, 10, 1_000, 10_000, 50_000)  # points of a series in a package
CONNECTIONS_RUN = 10_000  # the run that connections and windows are tried with
CONNECTIONS = ((1, 1), (2, 1), (1, 2), (2, 2), (1, 4))  # connections, packages in flight on each
LINGERS = (0.1, 1.0)


def plan(buffer_points: int, transports: Sequence[Transport], writer_series: int) -> list[Cell]:
    """Return the cells for a server with this buffer; the first transport has most of them."""
    main = transports[0]
    connections, window = default_connections(main)
    cells = [
        Cell(
            kind=Kind.RUNS,
            transport=main,
            points=points,
            series=_series_of(points, buffer_points),
            connections=connections,
            window=window,
        )
        for points in sorted({*RUNS, max(buffer_points // 2, 1), buffer_points + 1})
    ]
    run = max(CONNECTIONS_RUN, buffer_points + 1)
    cells += [
        Cell(
            kind=Kind.CONNECTIONS,
            transport=transport,
            points=run,
            series=_series_of(run, buffer_points),
            connections=connections,
            window=window,
        )
        for transport in transports
        for connections, window in CONNECTIONS
    ]
    cells += [
        Cell(kind=Kind.LATENCY, transport=transport, points=1, series=1)
        for transport in transports
    ]
    cells += [
        Cell(
            kind=Kind.WRITER,
            transport=main,
            points=1,
            series=writer_series,
            connections=connections,
            window=window,
            linger=linger,
        )
        for linger in LINGERS
    ]
    return cells


def default_connections(transport: Transport) -> tuple[int, int]:
    """Return the connections and the window that a writer has by default."""
    return (1, 2) if transport is Transport.UNIX else (2, 1)


def _series_of(points: int, buffer_points: int) -> int:
    total = PACKAGE_POINTS if points > buffer_points else SLOW_PACKAGE_POINTS
    return min(max(total // points, 1), MOST_SERIES)

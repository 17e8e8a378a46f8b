"""Nothing that a bench wrote to a database stays there.

Rules: what is removed is counted afterwards; what could not be removed is reported, with the query
that removes it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from siridb_fast.cli.bench.sending import BEGINNING
from siridb_fast.cli.bench.target import BenchTarget, count, names_regex
from siridb_fast.cli.connect import ask, connected_to
from siridb_fast.cli.errors import reason_of, warn
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.connection import Connection
from siridb_fast.errors import QueryError, SiriDBError

__all__ = ["Removal", "drop_query", "remove"]

ATTEMPTS = 40
RETRY_INTERVAL = 0.25  # seconds, while the server still works on what it had been sent
IGNORING = "set ignore_threshold true"


@dataclass(slots=True)
class Removal:
    """What became of what was written: how much is removed, and what may be left."""

    series: int = 0
    shards: int = 0
    left: list[str] = field(default_factory=list)

    def report_left(self, text: str) -> None:
        """Warn of what may be left, now and in the summary."""
        self.left.append(text)
        warn(text)


def drop_query(prefix: str) -> str:
    """Return the query that drops all series whose names begin with the prefix."""
    return f"drop series {names_regex(prefix)} {IGNORING}"


async def remove(target: BenchTarget, removal: Removal) -> None:
    """Drop the series of a bench, and their shards."""
    host = target.endpoints[0].host
    try:
        async with connected_to(host, target.config, target.timeout) as connection:
            await _drop_series(connection, target, removal)
            await _drop_shards(connection, target, removal)
    except asyncio.CancelledError:
        removal.report_left(_left(target, "stopped once more before all was removed"))
        raise
    except (SiriDBError, OSError) as exc:
        removal.report_left(_left(target, reason_of(exc)))


def _left(target: BenchTarget, reason: str) -> str:
    return (
        f"series whose names begin with {target.prefix} may be left in the database "
        f"{target.config.dbname!r}: {reason}; this removes them: {drop_query(target.prefix)}"
    )


async def _drop_series(connection: Connection, target: BenchTarget, removal: Removal) -> None:
    # Until there are none twice in a row: what a server had received it goes on storing.
    counting = f"count series {names_regex(target.prefix)}"
    empty = 0
    for _ in range(ATTEMPTS):
        found = await count(connection, counting, target.timeout)
        removal.series += found
        empty = 0 if found else empty + 1
        if empty == 2:
            return
        if found:
            await ask(connection, drop_query(target.prefix), target.timeout)
        await asyncio.sleep(RETRY_INTERVAL)
    raise QueryError(f"the server goes on storing points, {found:,} series are there again")


async def _drop_shards(connection: Connection, target: BenchTarget, removal: Removal) -> None:
    # Dropped series leave their points in the shards until the server optimizes them. Shards that
    # begin in 2090 hold nothing else, once no series ends there.
    begin = BEGINNING * TimePrecision.of_unit(target.facts.time_precision).per_second
    others = await count(connection, f"count series where end >= {begin}", target.timeout)
    if others:
        return
    found = await count(connection, f"count shards where start >= {begin}", target.timeout)
    if found:
        removal.shards += found
        query = f"drop shards where start >= {begin} {IGNORING}"
        await ask(connection, query, target.timeout)

"""A path that holds what was sent over it, and what is stored once it is healed."""

import asyncio
from typing import Any

import numpy as np
import pytest

from siridb_fast import SiriDBClient
from siridb_fast.testing import FaultProxy
from tests.fix_server import Database

__all__ = [
    "FIRST", "POINTS", "SERIES", "all_times", "each_place", "send_missing", "stored_times",
    "times_of", "url_of",
]  # fmt: skip

POINTS = 20_000  # of a package: more than the kernel of the proxy takes of it
FIRST = 1_600_000_000_000_000_000
PLACES = {"the client's kernel": False, "the proxy": True}  # whether the proxy takes bytes
SERIES = ("one", "two")

each_place = pytest.mark.parametrize("takes", PLACES.values(), ids=list(PLACES))


def url_of(proxy: FaultProxy, database: Database, options: str = "") -> str:
    return f"siridb://iris:siri@{proxy.host}:{proxy.port}/{database.name}?timeout=5{options}"


def times_of(points: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the times of a package; the series have FIRST already."""
    return np.arange(FIRST + 1, FIRST + points + 1)


async def stored_times(database: Database) -> dict[str, list[int]]:
    """Return what is stored once the server works on nothing."""
    async with database.client() as client:
        found, before = await look(client), None
        while found is None or found != before:
            await asyncio.sleep(0.1)
            found, before = await look(client), found
    return found


async def look(client: SiriDBClient) -> dict[str, list[int]] | None:
    shown = await client.query("show active_tasks")
    found = await client.query_arrays("select * from *", all_points=True)
    times = {name: sorted(times.tolist()) for name, (times, _) in found.items()}
    return times if shown["data"][0]["value"] == 1 else None


def all_times(points: int = POINTS) -> dict[str, list[int]]:
    return {name: list(range(FIRST, FIRST + points + 1)) for name in SERIES}


async def send_missing(database: Database, names: tuple[str, ...]) -> None:
    """Do what somebody does who is told that points are in doubt: look, and send again."""
    found = await stored_times(database)
    async with database.client() as client:
        for name in names:
            if len(found[name]) == 1:
                await client.insert({name: (times_of(POINTS), np.arange(POINTS) / 2)})

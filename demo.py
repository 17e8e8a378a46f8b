"""Load real and generated data into a real SiriDB server, check what arrived, say what it took.

`make demo` runs this. The server lives in a temporary folder, on loopback, and ends with it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from vega_datasets import local_data

import siridb_fast
from siridb_fast.testing import SiriDBServer

Array = np.ndarray[Any, np.dtype[Any]]
Columns = dict[str, tuple[Array, Array]]

# Of the package's own files, those with a reading every hour or every day.
HOURLY_AND_DAILY = ("seattle-temps", "sf-temps", "seattle-weather", "ohlc")
FIRST = np.datetime64("2026-01-01", "ns").astype(np.int64)
SEED = 20_26
NOTHING = (np.array([], np.int64), np.array([], np.int64))  # of a series that did not arrive


@dataclass(slots=True)
class Cost:
    """What a load took."""

    points: int = 0
    seconds: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float = 0.0

    def __str__(self) -> str:
        return (
            f"    {self.points:,} points in {self.seconds:.2f} s:"
            f" {self.points / self.seconds:,.0f} points/s\n"
            f"    CPU per million points: client {self._per_million(self.client_cpu):.0f} ms,"
            f" server {self._per_million(self.server_cpu):.0f} ms"
        )

    def _per_million(self, seconds: float) -> float:
        return seconds * 1e9 / self.points


class Demo:
    """The steps, against one client and its server."""

    def __init__(self, client: siridb_fast.SiriDBClient, server: SiriDBServer) -> None:
        self._client = client
        self._server = server
        self.faults: list[str] = []

    async def load(self, columns: Columns) -> Cost:
        """Insert all columns and measure it."""
        cost = Cost(seconds=-time.perf_counter(), client_cpu=-time.process_time())
        cost.server_cpu = -self._server.cpu_seconds
        answer = await self._client.insert(columns, on_missing="drop")
        cost.seconds += time.perf_counter()
        cost.client_cpu += time.process_time()
        cost.server_cpu += self._server.cpu_seconds
        cost.points = int(answer["success_msg"].split()[2])
        return cost

    async def check_all(self, columns: Columns) -> None:
        """Read every point of some series back and compare it."""
        for name, (timestamps, values) in columns.items():
            answer = await self._client.query_arrays(f"select * from '{name}'")
            got = answer.get(name, NOTHING)
            keep = ~pd.isna(values)
            order = np.argsort(timestamps[keep], kind="stable")
            sent = timestamps[keep].astype("datetime64[ns]").astype(np.int64)[order]
            if not (np.array_equal(got[0], sent) and np.array_equal(got[1], values[keep][order])):
                self.faults.append(f"{name}: what was read is not what was sent")

    async def stream(self, columns: Columns) -> tuple[Cost, siridb_fast.Stats]:
        """Write the same columns point by point, as a daemon would that reads one sensor each."""
        timestamps = next(iter(columns.values()))[0].tolist()
        readings = {name: values.tolist() for name, (_, values) in columns.items()}
        cost = Cost(seconds=-time.perf_counter(), client_cpu=-time.process_time())
        cost.server_cpu = -self._server.cpu_seconds
        async with self._client.writer() as writer:
            for tick, timestamp in enumerate(timestamps):
                for name, values in readings.items():
                    writer.write(name, timestamp, values[tick])
                await writer.drain()
            cost.points = (await writer.flush()).points
            stats = writer.stats()
        cost.seconds += time.perf_counter()
        cost.client_cpu += time.process_time()
        cost.server_cpu += self._server.cpu_seconds
        return cost, stats

    async def check_sums(self, prefix: str, columns: Columns) -> None:
        """Let the server count and add up each series; the values are whole, so sums are exact."""
        counts = await self._client.query_arrays(f"select count() from /{prefix}.*/")
        sums = await self._client.query_arrays(f"select sum() from /{prefix}.*/")
        for name, (_, values) in columns.items():
            count = int(counts.get(name, NOTHING)[1].sum())
            total = float(sums.get(name, NOTHING)[1].sum())
            if (count, total) != (len(values), float(values.sum())):
                self.faults.append(f"{name}: {count} points, sum {total}")


def real_columns() -> Iterator[tuple[str, Columns]]:
    """Yield each real data set as one series for each of its columns."""
    for dataset in HOURLY_AND_DAILY:
        frame = getattr(local_data, dataset.replace("-", "_"))()
        times = frame["date"].to_numpy()
        yield (
            dataset,
            {
                f"{dataset}.{column}": (times, _values(frame[column]))
                for column in frame.columns.drop("date")
            },
        )


def _values(column: pd.Series[Any]) -> Array:
    array: Array = column.to_numpy(dtype=object if column.dtype.kind not in "if" else None)
    return array


def generated_columns(prefix: str, points: int, series: int) -> Columns:
    """Return ``points`` readings, a second apart, over ``series`` series."""
    length = max(1, points // series)
    timestamps = FIRST + np.arange(length, dtype=np.int64) * 1_000_000_000
    noise = np.random.default_rng(SEED)
    return {
        f"{prefix}.{i:03}": (
            timestamps,
            noise.integers(-50_000, 50_000, length).astype(np.float64),
        )
        for i in range(series)
    }


async def run(server: SiriDBServer, points: int, series: int) -> int:
    """Go through all steps; return the exit code."""
    async with siridb_fast.SiriDBClient.from_url(server.url()) as client:
        demo = Demo(client, server)
        print("\nReal data, from the package vega_datasets:")
        for dataset, columns in real_columns():
            cost = await demo.load(columns)
            await demo.check_all(columns)
            print(f"    {dataset:<16} {len(columns)} series {cost.points:>7,} points, read back")
        print(f"\nGenerated data, {series} numpy arrays of float64:")
        generated = generated_columns("generated", points, series)
        cost = await demo.load(generated)
        print(f"{cost}\n    {wire_bytes(generated):.1f} bytes per point on the wire")
        await demo.check_sums("generated", generated)
        print("    count and sum of each series checked against what was sent")
        print(f"\nThe same a point at a time, {10 * series} sensors read in turn by a daemon:")
        sensors = generated_columns("sensor", max(10 * series, points // 5), 10 * series)
        cost, stats = await demo.stream(sensors)
        await demo.check_sums("sensor", sensors)
        print(
            f"{cost}\n    {stats.fast / stats.delivered:.1%} by the server's fast path, "
            f"in {stats.packages} packages; counts and sums checked"
        )
        return report(demo.faults)


def wire_bytes(columns: Columns) -> float:
    """Return the bytes that a point of such columns takes in a package."""
    name, (timestamps, values) = next(iter(columns.items()))
    sample = {name: (timestamps[:10_000], values[:10_000])}
    return len(siridb_fast.encode_insert(sample)) / len(timestamps[:10_000])


def report(faults: list[str]) -> int:
    """Say how it ended; return the exit code."""
    if faults:
        print("\nFAILED:", *faults, sep="\n    ")
        return 1
    print(
        "\nEverything arrived. Your own arrays:\n\n"
        "    async with siridb_fast.SiriDBClient.from_url('siridb://iris:siri@host/db') as siri:\n"
        "        await siri.insert({'name': (timestamps, values)})\n"
        "        arrays = await siri.query_arrays(\"select * from 'name'\")\n\n"
        "Your own points, one by one:\n\n"
        "    async with siridb_fast.BatchWriter('siridb://iris:siri@host/db') as writer:\n"
        "        writer.write('name', timestamp, value)\n"
        "        await writer.drain()\n\n"
        "Next: README.md, `make test`, `make bench`."
    )
    return 0


def main() -> int:
    """Parse the arguments, start the server and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000_000, help="generated points")
    parser.add_argument("--series", type=int, default=100, help="series they are spread over")
    arguments = parser.parse_args()
    if not 1 <= arguments.series <= 1000 or arguments.points < arguments.series:
        parser.error("--series is 1..1000, and --points at least as many")
    with SiriDBServer() as server:
        server.create_database()
        print(f"A SiriDB server is running at {server.url()} (nanoseconds, default settings).")
        return siridb_fast.run(run(server, arguments.points, arguments.series))


if __name__ == "__main__":
    sys.exit(main())

"""Load real and generated data into a real SiriDB server, check what arrived, and draw it.

`make demo` runs this. The server lives in a temporary folder, on loopback, and ends with it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.retry import WritesRetry
from influxdb_client.client.write_api import SYNCHRONOUS
from vega_datasets import local_data

import siridb_fast
from siridb_fast.testing import SiriDBServer

Array = np.ndarray[Any, np.dtype[Any]]

# Of the package's own files, those with a reading every hour or every day.
HOURLY_AND_DAILY = ("seattle-temps", "sf-temps", "seattle-weather", "ohlc")
FIRST = np.datetime64("2026-01-01", "ns")
SECOND = np.timedelta64(1, "s")
SEED = 20_26
LOCATIONS = 10
HOSTS, FIELDS, TICKS = 100, 5, 50  # of a body of lines
LINES_RATE = 1_000_000  # points a second, while the server has to keep up
PICTURE = Path("build/demo.png")


@dataclass(frozen=True, slots=True)
class Readings:
    """Generated readings: of ``values[i, j]`` the time is ``times[i]``, the sensor ``names[j]``.

    Values are whole, so that their sums are exact.
    """

    times: Array
    names: list[str]
    values: Array

    @classmethod
    def made(cls, kind: str, points: int, sensors: int) -> Readings:
        """Return about so many points, a second apart, of so many sensors."""
        ticks = max(1, points // sensors)
        noise = np.random.default_rng(SEED)
        values = noise.integers(-50_000, 50_000, (ticks, sensors)).astype(np.float64)
        names = [f"{kind}.room-{i % LOCATIONS}.{i:04}" for i in range(sensors)]
        return cls(FIRST + np.arange(ticks) * SECOND, names, values)

    def wide(self) -> pd.DataFrame:
        """Return a frame with a column for each sensor."""
        index = pd.DatetimeIndex(self.times, name="time")
        return pd.DataFrame(dict(zip(self.names, self.values.T, strict=True)), index=index)

    def long(self) -> pa.Table:
        """Return a table with a row for each reading, as they came in: sensor after sensor."""
        ticks, sensors = self.values.shape
        labels = [name.split(".") for name in self.names]
        rooms, numbers = (pa.array([label[i] for label in labels]) for i in (1, 2))
        places = pa.array(np.tile(np.arange(sensors), ticks))
        return pa.table(
            {
                "ts": np.repeat(self.times, sensors),
                "room": rooms.take(places),
                "number": numbers.take(places),
                "value": self.values.ravel(),
            }
        )


class Demo:
    """The steps, against one server."""

    def __init__(self, server: SiriDBServer) -> None:
        self._server = server
        self._url = server.url()
        self.faults: list[str] = []

    def load_real_frames(self) -> None:
        """Load frames of pandas, and read every point back."""
        for dataset, frame in real_frames():
            series = f"{dataset}.{{column}}"
            report = siridb_fast.load(frame, self._url, time="date", series=series)
            for column in frame.columns.drop("date"):
                self._check_points(f"{dataset}.{column}", frame["date"], frame[column])
            print(
                f"    {dataset:<16} {report.series} series {report.points:>7,} points, read back"
            )

    def load_frame(self, readings: Readings) -> None:
        """Load a wide frame."""
        frame = readings.wide()
        with self._measured(readings.values.size):
            siridb_fast.load(frame, self._url)
        self.check_sums(readings)

    def load_file(self, readings: Readings) -> None:
        """Write a file of rows, load it from the command line, and verify that it is there."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "readings.parquet"
            pq.write_table(readings.long(), path)
            print(f"    {path.stat().st_size / 1e6:,.0f} MB")
            kind = readings.names[0].partition(".")[0]
            options = ("--time", "ts", "--series", f"{kind}.{{room}}.{{number}}")
            # Noted beside the database, which ends with the demo, not in the user's own folder.
            manifest = self._server.folder / "loads.sqlite"
            self._command("load", path, *options, "--manifest", manifest)
            self._command("verify", path, *options)
        self.check_sums(readings)

    async def stream(self, readings: Readings) -> None:
        """Write point by point, as a daemon would that reads one sensor after another."""
        times, rows = readings.times.astype(np.int64).tolist(), readings.values.tolist()
        with self._measured(readings.values.size):
            async with siridb_fast.BatchWriter(self._url) as writer:
                for timestamp, row in zip(times, rows, strict=True):
                    for name, value in zip(readings.names, row, strict=True):
                        writer.write(name, timestamp, value)
                    await writer.drain()
                await writer.flush()
                stats = writer.stats()
        fast = stats.fast_path / stats.delivered
        print(f"    {fast:.1%} by the server's fast path, in {stats.packages} packages")

    def take_lines(self, seconds: float) -> None:
        """Run a gateway, write to it as others write to InfluxDB, and end it."""
        with Gateway(self._url) as gateway:
            print(f"    $ siridb-fast {' '.join(gateway.shown)}")
            sent = 0
            end = time.monotonic() + seconds
            while (now := time.monotonic()) < end:
                sent += gateway.send_for(min(1.0, end - now))
                print(f"    {sent:,} points sent over TCP and by influxdb-client over HTTP")
            if gateway.end():
                self.faults.append("the gateway has not delivered everything")
        with siridb_fast.connect(self._url) as client:
            counts = client.query_arrays("select count() from /lines,.*/")
        stored = sum(int(count.sum()) for _, count in counts.values())
        print(f"    SIGTERM; {stored:,} points of {len(counts)} series are in the database")
        if stored != sent:
            self.faults.append(f"the gateway: {sent:,} points sent, {stored:,} stored")

    def check_sums(self, readings: Readings) -> None:
        """Let the server count and add up each series."""
        kind = readings.names[0].partition(".")[0]
        with siridb_fast.connect(self._url) as client:
            counts = client.query_arrays(f"select count() from /{kind}.*/")
            sums = client.query_arrays(f"select sum() from /{kind}.*/")
        for name, column in zip(readings.names, readings.values.T, strict=True):
            got = [int(found[name][1].sum()) if name in found else 0 for found in (counts, sums)]
            if got != [len(column), int(column.sum())]:
                self.faults.append(f"{name}: {got[0]} points, sum {got[1]}")
        print("    count and sum of each series checked against what was sent")

    def draw(self) -> None:
        """Draw what was loaded, in the terminal and as a picture."""
        PICTURE.parent.mkdir(exist_ok=True)
        query = "select mean(1w) from 'seattle-temps.temp', 'sf-temps.temp'"
        self._command("query", query, "--plot")
        self._command("query", query, "--plot", PICTURE)
        print(f"    the same as a picture: {PICTURE}")

    def _measured(self, points: int) -> Cost:
        return Cost(self._server, points)

    def _command(self, *arguments: str | Path) -> None:
        shown = [str(argument) for argument in arguments]
        print(f"    $ siridb-fast {' '.join(map(_quoted, shown))}", flush=True)
        command = [sys.executable, "-m", "siridb_fast", *shown]
        environment = {**os.environ, "SIRIDB_URL": self._url}
        done = subprocess.run(command, env=environment, check=False)  # noqa: S603 - our own
        if done.returncode:
            self.faults.append(f"siridb-fast {shown[0]} ended with code {done.returncode}")

    def _check_points(self, name: str, times: pd.Series[Any], values: pd.Series[Any]) -> None:
        with siridb_fast.connect(self._url) as client:
            got = client.query_frame(f"select * from '{name}'")
        sent = values[values.notna()].set_axis(times[values.notna()]).sort_index(kind="stable")
        same_times = np.array_equal(got.index.tz_localize(None), sent.index)
        if not same_times or got[name].tolist() != sent.tolist():
            self.faults.append(f"{name}: what was read is not what was sent")


class Gateway:
    """A gateway in a process of its own, and two senders: a socket, and InfluxDB's client."""

    def __init__(self, url: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "gateway.toml"
        listen = 'listen = "127.0.0.1:0"\n'  # any port that is free
        path.write_text(f'url = "{url}"\n[influx]\n{listen}[influx.tcp]\n{listen}')
        self.shown = ["gateway", "--config", path.name]
        command = [sys.executable, "-m", "siridb_fast", "gateway", "--config", str(path)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
        self._ticks = itertools.count()

    def __enter__(self) -> Gateway:
        assert self._process.stderr is not None  # noqa: S101
        places = dict(self._process.stderr.readline().strip().split(" at ") for _ in range(2))
        host, _, port = places["influx.tcp"].rpartition(":")
        self._lines = socket.create_connection((host, int(port)))
        url = f"http://{places['influx']}"
        # Nobody is asked for a token; a 503 says when to come again.
        again = WritesRetry(total=20)
        self._client: Any = InfluxDBClient(url, token="", org="any", retries=again)
        client = self._client
        self._api = client.write_api(write_options=SYNCHRONOUS)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._lines.close()
        self._client.close()
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def send_for(self, seconds: float) -> int:
        """Send lines of 100 hosts and 5 fields; return how many points that are."""
        began, points = time.monotonic(), 0
        while not points or time.monotonic() - began < seconds:
            self._lines.sendall(self._body("tcp"))
            self._api.write("any", record=self._body("http"))
            points += 2 * HOSTS * FIELDS * TICKS
            time.sleep(max(0.0, began + points / LINES_RATE - time.monotonic()))
        return points

    def end(self) -> int:
        """Send no more, and let it deliver what it has; return its exit code."""
        self._lines.shutdown(socket.SHUT_WR)
        self._lines.recv(1)  # once all is taken
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait()

    def _body(self, door: str) -> bytes:
        fields = ",".join(f"f{number}={number}.5" for number in range(FIELDS))
        hosts = "".join(f"lines,door={door},host=h{n} {fields} @\n" for n in range(HOSTS)).encode()
        first = FIRST.astype(np.int64)
        times = (int(first) + next(self._ticks) for _ in range(TICKS))
        return b"".join(hosts.replace(b"@", b"%d" % at) for at in times)


class Cost:
    """Measures what a load takes, and prints it."""

    def __init__(self, server: SiriDBServer, points: int) -> None:
        self._server = server
        self._points = points

    def __enter__(self) -> None:
        self._began = self._now()

    def __exit__(self, *exc_info: object) -> None:
        wall, client, server = (b - a for a, b in zip(self._began, self._now(), strict=True))
        millions = self._points / 1e6
        print(
            f"    {self._points:,} points in {wall:.2f} s: {self._points / wall:,.0f} points/s\n"
            f"    CPU per million points: client {1e3 * client / millions:.0f} ms,"
            f" server {1e3 * server / millions:.0f} ms"
        )

    def _now(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), self._server.cpu_seconds


def real_frames() -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each real data set."""
    for dataset in HOURLY_AND_DAILY:
        yield dataset, getattr(local_data, dataset.replace("-", "_"))()


def run(server: SiriDBServer, points: int, series: int) -> int:
    """Go through all steps; return the exit code."""
    demo = Demo(server)
    print("\nReal data, frames of pandas from the package vega_datasets:")
    demo.load_real_frames()
    print(f"\nGenerated data, a frame with {series} columns:")
    demo.load_frame(Readings.made("frame", points, series))
    print(f"\nThe same many readings of {10 * series} sensors as rows of a Parquet file:")
    demo.load_file(Readings.made("file", max(10 * series, points), 10 * series))
    print(f"\nPoint by point, {10 * series} sensors read in turn by a daemon:")
    sensors = Readings.made("sensor", max(10 * series, points // 5), 10 * series)
    siridb_fast.run(demo.stream(sensors))
    demo.check_sums(sensors)
    seconds = min(10.0, max(1.0, points / 1e6))
    print(f"\nA gateway, for {seconds:g} seconds, and what writes to InfluxDB elsewhere:")
    demo.take_lines(seconds)
    print("\nThe temperatures of Seattle and San Francisco, week by week:")
    demo.draw()
    return ended(demo.faults)


def ended(faults: list[str]) -> int:
    """Say how it ended; return the exit code."""
    if faults:
        print("\nFAILED:", *faults, sep="\n    ")
        return 1
    print(
        "\nEverything arrived. Your own frame or file:\n\n"
        "    siridb_fast.load(frame, 'siridb://iris:siri@host/db', series='{host}.{metric}')\n"
        "    siridb-fast load data.parquet --time ts --series '{host}.{metric}'\n\n"
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
        return run(server, arguments.points, arguments.series)


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument or "{" in argument else argument


if __name__ == "__main__":
    sys.exit(main())

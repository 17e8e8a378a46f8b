"""What does a gateway take? Line protocol of TSBS, cpu-only: 1,000 hosts, ten fields a line.

A gateway in a process of its own, on one core, writes into a real server; a lap ends when the
server has all of it. Beside it: the same points from ready arrays by `BatchWriter.write_rows`, and
what the parser alone takes; and Debian's InfluxDB 1, which gets the same bodies, where it is
installed. Senders run in this process, and take their share of the machine: the CPU time of the
gateway says what a core of its own would take.

Of Telegraf no rate per core is published by its makers, as far as we know. The nearest: 170-200 %
of a core for 10,000 lines a second over UDP into InfluxDB (1.2.1, influxdata/telegraf#2551), and
25.8 µs to make and serialise a metric that is parsed already (up to 1.5.3, ten times faster than
after it; #7070): 6,000 and 39,000 lines a second of a core. The row takes the better one.
"""

from __future__ import annotations

import asyncio
import gzip
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import numpy as np
import pytest
import uvloop

from benchmarks.baselines.influxd import influxd
from benchmarks.data.tsbs import METRICS, CpuOnly
from benchmarks.harness.contest import WARM_UPS, Contest
from benchmarks.harness.server_cpu import cpu_seconds
from siridb_fast import BatchWriter
from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.testing import SiriDBServer

HOSTS, TIMES = 1000, 100
LINES_OF_BODY = 5_000
ROUNDS = 3
BLOCK = 1024 * 1024
DELIVERED = "siridb_fast_points_delivered_total"


class Lap:
    """The texts of laps, made before they are sent."""

    def __init__(self) -> None:
        self.data = CpuOnly(HOSTS, TIMES)
        self.number = -1
        self.text = b""
        self.bodies: list[bytes] = []

    def make(self) -> None:
        """Make those of the next lap."""
        self.number += 1
        self.text = self.data.lines(self.number)
        lines = self.text.splitlines(keepends=True)
        self.bodies = [
            gzip.compress(b"".join(lines[first : first + LINES_OF_BODY]), 6)
            for first in range(0, len(lines), LINES_OF_BODY)
        ]


class GatewayProcess:
    """A gateway, and what it has used."""

    def __init__(self, process: subprocess.Popen[str], places: dict[str, str]) -> None:
        self.process = process
        self.http, self.tcp = (_address(places[name]) for name in ("influx", "influx.tcp"))
        self.points = 0

    @property
    def cpu(self) -> float:
        """Seconds of the processor, so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def send_lines(self, text: bytes) -> None:
        """Send a lap over TCP, until it is taken."""
        with socket.create_connection(self.tcp) as to:
            to.sendall(text)
            to.shutdown(socket.SHUT_WR)
            assert to.recv(1) == b""

    def send_bodies(self, bodies: list[bytes]) -> None:
        """Send a lap over HTTP, one body after the other."""
        to = http.client.HTTPConnection(*self.http)
        for body in bodies:
            to.request("POST", "/write", body, {"Content-Encoding": "gzip"})
            answer = to.getresponse()
            answer.read()
            assert answer.status == 204
        to.close()

    def wait_delivered(self, points: int) -> None:
        """Wait until so many more are in the database."""
        self.points += points
        while self.delivered < self.points:
            time.sleep(0.02)

    @property
    def delivered(self) -> float:
        """How many points the database has taken, so far."""
        host, port = self.http
        with urlopen(f"http://{host}:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(DELIVERED + "{"))


@contextmanager
def gateway(url: str, folder: Path) -> Iterator[GatewayProcess]:
    """Run a gateway to its end."""
    path = folder / "gateway.toml"
    listen = 'listen = "127.0.0.1:0"\n'
    path.write_text(f'url = "{url}"\nlinger = 0.3\n[influx]\n{listen}[influx.tcp]\n{listen}')
    command = [sys.executable, "-m", "siridb_fast", "gateway", "--config", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stderr is not None
        places: dict[str, str] = {}
        while len(places) < 2:
            name, _, place = process.stderr.readline().strip().partition(" at ")
            places[name] = place
        try:
            yield GatewayProcess(process, places)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


TELEGRAF_LINES = 39_000  # a second of a core, at most: see above


def test_tsbs_over_tcp_and_http(contest: Contest, tmp_path: Path) -> None:
    lap = Lap()
    points = lap.data.points
    used: dict[str, list[float]] = {"tcp": [], "http": []}
    with SiriDBServer(buffer_sync_interval=500) as server:
        for name in ("gateway", "rows"):
            server.create_database(name)
        with gateway(server.url("gateway"), tmp_path) as to:

            def over(kind: str) -> None:
                before = to.cpu
                if kind == "tcp":
                    to.send_lines(lap.text)
                else:
                    to.send_bodies(lap.bodies)
                to.wait_delivered(points)
                used[kind].append((to.cpu - before) * 1e9 / points)

            contest.run(
                ROUNDS,
                {
                    "tcp": lambda: over("tcp"),
                    "http": lambda: over("http"),
                    "rows": lambda: write_rows(server.url("rows"), lap),
                    "parser": lambda: parse(lap.text),
                },
                dict.fromkeys(("tcp", "http", "rows"), lap.make),
                seconds=60.0,
            )
    for kind, what in (("tcp", "line protocol over TCP"), ("http", "gzip bodies over HTTP")):
        cpu = median(used[kind][WARM_UPS:])
        facts = {"gateway CPU ns/point": cpu, "M points/s of a core": 1e3 / cpu}
        against = f"{what} → gateway → server / write_rows of ready arrays"
        contest.row(against, "ns/point", points, ours=kind, reference="rows", facts=facts)
    contest.row(
        "… the parser alone / over TCP", "ns/point", points, ours="parser", reference="tcp"
    )
    line = [nanoseconds * len(METRICS) for nanoseconds in used["tcp"][WARM_UPS:]]
    telegraf = [1e9 / TELEGRAF_LINES] * len(line)
    contest.figures(
        "CPU of the gateway over TCP / of Telegraf, as published", "ns/line", line, telegraf
    )


def test_the_same_bodies_into_influxdb(contest: Contest, tmp_path: Path) -> None:
    lap = Lap()
    points = lap.data.points
    used: dict[str, list[float]] = {"gateway": [], "with the server": [], "influxd": []}
    with influxd(tmp_path / "influx") as other, SiriDBServer(buffer_sync_interval=500) as server:
        if other is None:
            pytest.skip("Debian's influxdb is not installed")
        server.create_database("gateway")
        with gateway(server.url("gateway"), tmp_path) as to:

            def into_gateway() -> None:
                before, of_server = to.cpu, cpu_seconds(server)
                to.send_bodies(lap.bodies)
                to.wait_delivered(points)
                mine = (to.cpu - before) * 1e9 / points
                used["gateway"].append(mine)
                theirs = (cpu_seconds(server) - of_server) * 1e9 / points
                used["with the server"].append(mine + theirs)

            def into_influxd() -> None:
                before = other.cpu
                other.send_bodies(lap.bodies)
                other.wait_until_quiet()
                used["influxd"].append((other.cpu - before) * 1e9 / points)

            contest.run(
                ROUNDS,
                {"gateway": into_gateway, "influxd": into_influxd},
                dict.fromkeys(("gateway", "influxd"), lap.make),
                seconds=60.0,
            )
    ours, theirs = used["gateway"][WARM_UPS:], used["influxd"][WARM_UPS:]
    whole = {"with SiriDB's own, CPU ns/point": median(used["with the server"][WARM_UPS:])}
    what = "CPU of the gateway / of Debian's influxd, gzip bodies over HTTP"
    contest.figures(what, "ns/point", ours, theirs, facts=whole)


def write_rows(url: str, lap: Lap) -> None:
    """Write a lap from ready arrays, as many rows at a time as a body has."""
    names = lap.data.names("rows")
    codes = np.arange(len(names), dtype=np.int32)
    rows = LINES_OF_BODY // HOSTS
    stamps = lap.data.timestamps(lap.number)

    async def write() -> None:
        async with BatchWriter(url, linger=0.3) as writer:
            for first in range(0, TIMES, rows):
                times = np.repeat(stamps[first : first + rows], len(names))
                values = lap.data.values[first : first + rows].ravel()
                await writer.write_rows(names, np.tile(codes, rows), times, values)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write())


def parse(text: bytes) -> None:
    """Parse a lap in blocks."""
    parser = LineProtocol(keeps_types=True)
    start = found = 0
    while start < len(text):
        points = parser.parse(text[start : start + BLOCK])
        start += points.size
        found += len(points)
    assert found == HOSTS * TIMES * len(METRICS)


def _address(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host, int(port)

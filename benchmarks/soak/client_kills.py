"""A loading process that is killed again and again: are its persisted points there, and once?

Its writer has a journal. Each process writes points of its own, for what was not reported may be
there or not. At the end what is left is delivered and every point read.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siridb_fast import BatchWriter, SiriDBClient, run
from siridb_fast.testing import SiriDBServer

__all__ = ["kill_clients"]

BURST = 2000
FAR = 100_000_000  # from the first point of one process to that of the next
LIFETIME = 0.4  # seconds that a process writes, on average


@dataclass(frozen=True, slots=True)
class Kills:
    """What became of the points."""

    kills: int
    reported: int
    stored: int
    lost: int
    doubled: int

    @property
    def is_exact(self) -> bool:
        """Tell whether every reported point is there once; without any, nobody knows."""
        return self.reported > 0 and not (self.lost or self.doubled)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills of the client: {self.reported:,} points reported, "
            f"{self.stored:,} stored, {self.lost} lost, {self.doubled} doubled"
        )


async def load(url: str, path: str, first: int) -> None:
    """Write points for ever; print the first that is not persisted."""
    async with BatchWriter(url, linger=0.01, package_bytes=20_000, journal=path) as writer:
        while True:
            for n in range(first, first + BURST):
                writer.write("a", n, n)
            first += BURST
            await writer.persisted()
            await writer.drain()
            print(first, flush=True)


async def finish(url: str, path: Path) -> list[int]:
    """Deliver what is left in the journal; return the timestamps of all points."""
    async with BatchWriter(url, journal=path):
        pass
    async with SiriDBClient.from_url(url) as client:
        found = await client.query_arrays("select * from 'a'", all_points=True)
    times: list[int] = found["a"][0].tolist()
    return times


def kill_clients(kills: int, seed: int) -> Kills:
    """Kill so many loading processes, one after the other."""
    chance = random.Random(seed)
    reported = []
    with SiriDBServer() as server, tempfile.TemporaryDirectory() as folder:
        server.create_database()
        path = Path(folder) / "journal"
        for first in range(0, kills * FAR, FAR):
            command = [sys.executable, "-m", "benchmarks.soak.client_kills", server.url()]
            command += [str(path), str(first)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
                assert child.stdout is not None
                lines = [child.stdout.readline()]
                time.sleep(LIFETIME * chance.uniform(0, 2))
                os.kill(child.pid, signal.SIGKILL)
                lines += child.stdout.read().split("\n")
            if child.returncode != -signal.SIGKILL:
                raise RuntimeError(f"a client ended by itself, with code {child.returncode}")
            stops = [int(line) for line in lines if line.strip()]
            reported.append(np.arange(first, max(stops, default=first)))
        times = np.array(run(finish(server.url(), path)))
    wanted = np.concatenate(reported)
    unique = np.unique(times)
    lost = len(np.setdiff1d(wanted, unique))
    return Kills(kills, len(wanted), len(times), lost, len(times) - len(unique))


def main() -> None:
    """Be a client that is killed."""
    url, path, first = sys.argv[1:]
    run(load(url, path, int(first)))


if __name__ == "__main__":
    main()

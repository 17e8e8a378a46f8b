"""CPU time of a server's process, of each lap of an entrant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.entrants.lap import Entrant
from benchmarks.harness.contest import WARM_UPS
from siridb_fast.testing import SiriDBServer

__all__ = ["ServerCpu", "cpu_seconds"]


class ServerCpu:
    """Notes what each entrant costs the server."""

    def __init__(self, server: SiriDBServer) -> None:
        self._server = server
        self._used: dict[str, list[float]] = {}

    def watch(self, entrant: Entrant) -> Entrant:
        """Note each lap of it from now on; return it."""
        entrant.send = self._measured(entrant.send, self._used.setdefault(entrant.name, []))
        return entrant

    def nanoseconds(self, entrant: Entrant) -> list[float]:
        """Return nanoseconds for each point, of the laps that count."""
        used = self._used[entrant.name][WARM_UPS:]
        return [seconds * 1e9 / entrant.points for seconds in used]

    def _measured(self, send: Callable[[Any], object], used: list[float]) -> Callable[[Any], None]:
        def measure(load: Any) -> None:
            before = cpu_seconds(self._server)
            send(load)
            used.append(cpu_seconds(self._server) - before)

        return measure


def cpu_seconds(server: SiriDBServer) -> float:
    """Return the CPU time of all its threads so far."""
    # In nanoseconds: `server.cpu_seconds` goes in steps of 10 ms, of which a lap has a dozen.
    tasks = Path(f"/proc/{server.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

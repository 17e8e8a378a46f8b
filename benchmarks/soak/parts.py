"""The long runs under faults, each with its verdict.

They stand here and not in the program: a process of its own finds what it runs by its module.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.soak.client_kills import kill_clients
from benchmarks.soak.outage import measure
from benchmarks.soak.pool_kills import write_through
from benchmarks.soak.soak import soak, soak_reference
from siridb_fast import SpoolOptions, run

__all__ = ["PARTS", "Outcome", "run_part"]

Outcome = tuple[str, bool]  # what to say, and whether it is good


def faults_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the runs of both drivers have in common."""
    return {name: getattr(arguments, name) for name in ("every", "seed", "bursts")}


def by_writer(arguments: argparse.Namespace, *, has_journal: bool = False) -> Outcome:
    """Write under faults, with a spool, and a journal before it if it has one."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal" if has_journal else None
        spool = SpoolOptions(Path(folder) / "spool", journal=journal)
        options: dict[str, Any] = {"durability": "safe", "linger": 0.2, "spool": spool}
        verdict = run(soak(arguments.seconds, **faults_of(arguments), **options))
    return str(verdict), verdict.is_exact


def by_reference(arguments: argparse.Namespace) -> Outcome:
    """Write under the same faults with the reference driver; it may do as it likes."""
    verdict = run(soak_reference(arguments.seconds, **faults_of(arguments)))
    return f"{verdict} (what raised an error counts as not accepted)", True


def by_clients(arguments: argparse.Namespace) -> Outcome:
    """Kill clients."""
    kills = kill_clients(50, arguments.seed)
    return str(kills), kills.is_exact


def by_pools(arguments: argparse.Namespace, way: str) -> Outcome:
    """Kill one pool of two."""
    outcome = run(write_through(way, 20, arguments.seed))
    return str(outcome), outcome.is_exact


def by_outage(arguments: argparse.Namespace) -> Outcome:
    """Write without a server."""
    outage = run(measure(min(arguments.seconds, 600.0)))
    return str(outage), outage.is_good


PARTS: dict[str, Callable[[argparse.Namespace], Outcome]] = {
    "overflow": by_writer,
    "journal": lambda arguments: by_writer(arguments, has_journal=True),
    "reference": by_reference,
    "clients": by_clients,
    "mixed": lambda arguments: by_pools(arguments, "mixed"),
    "own": lambda arguments: by_pools(arguments, "own"),
    "outage": by_outage,
}


def run_part(part: str, arguments: argparse.Namespace) -> Outcome:
    """Run one part; in a process of its own, in whose memory no other part has left anything."""
    return PARTS[part](arguments)

"""All long runs under faults, and the report of the last of each: ``make soak``.

Each part takes its place in ``benchmarks/soak/README.md``; the other parts stay as they are
there. Fails if a part of ours lost, doubled or changed a point, or took too much memory.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.soak.client_kills import kill_clients
from benchmarks.soak.outage import measure
from benchmarks.soak.pool_kills import write_through
from benchmarks.soak.soak import BURSTS, soak, soak_reference
from siridb_fast import SpoolOptions, run

REPORT = Path(__file__).with_name("README.md")
HEAD = """# Soaks

Each part is what its last run by `make soak` found, on two shared cores, with SiriDB 2.0.52;
every point of every series was read and compared, but for the outage, where they were counted.
`make soak SOAK_ARGS="--parts overflow --seconds 60"` runs one part, and shorter.
"""
TITLES = {
    "overflow": "A writer under faults: `verify`, `safe`, spool",
    "always": 'The same, with a spool in `mode="always"`',
    "reference": "The reference driver under the same faults",
    "clients": 'The client is killed, spool in `mode="always"`',
    "mixed": "One pool of two is killed, packages mixed over the pools",
    "own": "One pool of two is killed, each point to the server of its pool",
    "outage": "No server for ten minutes, 100,000 points a second",
}
Outcome = tuple[str, bool]  # what to say, and whether it is good


def faults_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the runs of both drivers have in common."""
    return {name: getattr(arguments, name) for name in ("every", "seed", "bursts")}


def by_writer(arguments: argparse.Namespace, mode: Any) -> Outcome:
    """Write under faults, with a spool of this mode."""
    with tempfile.TemporaryDirectory() as folder:
        spool = SpoolOptions(Path(folder) / "spool", mode=mode)
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
    return str(kills), not (kills.lost or kills.doubled)


def by_pools(arguments: argparse.Namespace, way: str) -> Outcome:
    """Kill one pool of two."""
    outcome = run(write_through(way, 20, arguments.seed))
    return str(outcome), outcome.found.is_exact


def by_outage(arguments: argparse.Namespace) -> Outcome:
    """Write without a server."""
    outage = run(measure(min(arguments.seconds, 600.0)))
    return str(outage), outage.is_good


PARTS: dict[str, Callable[[argparse.Namespace], Outcome]] = {
    "overflow": lambda arguments: by_writer(arguments, "overflow"),
    "always": lambda arguments: by_writer(arguments, "always"),
    "reference": by_reference,
    "clients": by_clients,
    "mixed": lambda arguments: by_pools(arguments, "mixed"),
    "own": lambda arguments: by_pools(arguments, "own"),
    "outage": by_outage,
}


def sections_of(report: Path) -> dict[str, str]:
    """Return the sections of a report by title."""
    if not report.exists():
        return {}
    _, *parts = report.read_text().split("\n## ")
    return {title: text.strip() for title, _, text in (part.partition("\n") for part in parts)}


def put(report: Path, title: str, text: str) -> None:
    """Replace a section of a report."""
    sections = {**sections_of(report), title: text}
    known = [one for one in TITLES.values() if one in sections]
    blocks = [f"\n## {one}\n\n{sections[one]}\n" for one in known]
    report.write_text(HEAD + "".join(blocks))


def run_part(part: str, arguments: argparse.Namespace) -> Outcome:
    """Run one part; in a process of its own, in whose memory no other part has left anything."""
    return PARTS[part](arguments)


def main() -> None:
    """Run the parts that the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=1800, help="under faults")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--bursts", choices=BURSTS, default="mixed")
    parser.add_argument("--report", type=Path, default=REPORT)
    arguments = parser.parse_args()
    shown = ("seconds", "every", "seed")
    how = ", ".join(f"{name} {getattr(arguments, name):g}" for name in shown)
    is_good = True
    spawn = multiprocessing.get_context("spawn")
    for part in arguments.parts:
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            said, was_good = process.submit(run_part, part, arguments).result()
        is_good &= was_good
        today = datetime.datetime.now(tz=datetime.UTC).date()
        put(arguments.report, TITLES[part], f"{today}, {how}.\n\n{said}")
        print(f"{TITLES[part]}: {said}")
    raise SystemExit(0 if is_good else 1)


if __name__ == "__main__":
    main()

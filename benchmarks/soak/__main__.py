"""All long runs under faults, and the report of the last of each: ``make soak``.

Each part takes its place in ``benchmarks/soak/README.md``; the other parts stay as they are
there. Fails if a part of ours lost, doubled or changed a point, or took too much memory.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.soak.parts import PARTS, run_part
from benchmarks.soak.soak import BURSTS

REPORT = Path(__file__).with_name("README.md")
HEAD = """# Soaks

Each part is what its last run by `make soak` found, on two shared cores, with SiriDB 2.0.52;
every point of every series was read and compared, but for the outage, where they were counted.
`make soak SOAK_ARGS="--parts overflow --seconds 60"` runs one part, and shorter.
"""
TITLES = {
    "overflow": "A writer under faults: `verify`, `safe`, spool",
    "journal": "The same, with a journal",
    "reference": "The reference driver under the same faults",
    "clients": "The client is killed, with a journal",
    "mixed": "One pool of two is killed, packages mixed over the pools",
    "own": "One pool of two is killed, each point to the server of its pool",
    "outage": "No server for ten minutes, 100,000 points a second",
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

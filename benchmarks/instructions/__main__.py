"""Count the instructions of the hot paths, and fail where one takes more than its bound.

`make instructions`, or `make instructions ARGS="--help"`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.instructions.bounds import BOUNDS, Bounds, Build, Verdict, machine
from benchmarks.instructions.callgrind import CountingError, count_instructions
from benchmarks.instructions.kernels import KERNELS
from benchmarks.instructions.valgrind import find_valgrind
from siridb_fast.testing.install.debian import PackageError

FOLDER = Path("build/instructions").absolute()
TOOLS = Path("build/valgrind").absolute()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names = [name for name in KERNELS if all(part in name for part in options.part)]
    if not names or (options.update and len(names) < len(KERNELS)):
        parser.error("no kernel has such a name" if not names else "--update counts all kernels")
    try:
        counts = _counts(names)
    except (CountingError, PackageError) as exc:
        print(exc, file=sys.stderr)
        return 2
    build = Build.ours()
    bounds = Bounds.parse(BOUNDS.read_text())
    if options.update:
        bounds = bounds.updated(machine(), build, counts)
        BOUNDS.write_text(bounds.dump())
    verdicts = {
        name: bounds.verdict(machine(), build, name, count) for name, count in counts.items()
    }
    print(*_table(verdicts), sep="\n")
    print(*_remarks(bounds, build), sep="\n")
    return int(any(verdict.is_over for verdict in verdicts.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make instructions", description=__doc__)
    parser.add_argument("part", nargs="*", help="count only kernels whose names have all of these")
    parser.add_argument("--update", action="store_true", help=f"write the counts to {BOUNDS.name}")
    return parser


def _counts(names: Sequence[str]) -> dict[str, float]:
    valgrind = find_valgrind(TOOLS)
    print(f"{valgrind.version} ({valgrind.program})")
    actions = count_instructions(names, FOLDER, valgrind)
    return {name: actions[name] / KERNELS[name].amount for name in names}


def _table(verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    width = max(map(len, verdicts))
    yield f"{'instructions':{width}}  {'counted':>8}  {'bound':>8}"
    for name, verdict in verdicts.items():
        bound = "none" if verdict.bound is None else _number(verdict.bound)
        yield (
            f"{name:{width}}  {_number(verdict.count):>8}  {bound:>8}  "
            f"a {KERNELS[name].unit:5}  {_comment(verdict)}"
        ).rstrip()


def _number(count: float) -> str:
    return f"{count:,.2f}" if count < 100 else f"{count:,.0f}"


def _comment(verdict: Verdict) -> str:
    change = verdict.change
    if change is None or not (verdict.is_over or verdict.is_under):
        return ""
    return f"{change:+.1%}: {'OVER' if verdict.is_over else 'fewer, --update the bound'}"


def _remarks(bounds: Bounds, build: Build) -> Iterator[str]:
    counted = bounds.machines.get(machine())
    if counted is None:
        yield f"There are no bounds for {machine()}: --update adds them."
    elif counted.build == build:
        yield f"Allowed are {bounds.same_build:.0%} more: the bounds are of the same build."
    else:
        yield f"Allowed are {bounds.other_build:.0%} more: the bounds are of {counted.build},"
        yield f"and this is {build}."
    yield f"Where in a kernel: callgrind_annotate {FOLDER}/profiles/… (benchmarks/PROFILING.md)"


if __name__ == "__main__":
    sys.exit(main())

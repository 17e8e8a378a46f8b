"""Compare two runs of the measurements by their ratios: ``make bench-compare BASE=old.json``.

Only ratios are compared, to a peer or a ceiling of the same run. Two ratios are the same where the
ranges of their rounds overlap, or 5 % apart at most; what differs is printed, and what only one of
the runs has. A single round has no spread, so nothing is said of it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.record import Row, Run
from benchmarks.table import number

__all__ = ["difference", "differences"]

BETTER, WORSE, SAME, UNKNOWN = "better", "worse", "same", "unknown"
NOISE = 1.05  # between two ranges, which a few rounds do not show


def difference(old: Row, new: Row) -> str:
    """Tell whether a row is the same within the spread of both, better, worse or unknown."""
    if len(old.ratios) < 2 or len(new.ratios) < 2:
        return UNKNOWN
    if min(new.ratios) > max(old.ratios) * NOISE:
        return BETTER
    return WORSE if max(new.ratios) * NOISE < min(old.ratios) else SAME


def differences(old: Run, new: Run) -> Iterator[str]:
    """Yield a line for each row that differs, and the sums."""
    before = {(row.file, row.key): row for row in old.rows}
    after = {(row.file, row.key): row for row in new.rows}
    counts: Counter[str] = Counter()
    for place, row in after.items():
        if place in before:
            verdict = difference(before[place], row)
            counts[verdict] += 1
            if verdict in (BETTER, WORSE):
                yield f"{verdict:<6}  {_change(before[place], row)}"
    for title, only in (
        ("only before", [place for place in before if place not in after]),
        ("only after", [place for place in after if place not in before]),
    ):
        yield from (f"{title}: {file}: {key}" for file, key in only)
    judged = counts.total() - counts[UNKNOWN]
    yield (
        f"{counts[SAME]} of {judged} ratios agree within the spread of both runs; "
        f"{counts[BETTER]} better, {counts[WORSE]} worse; {counts[UNKNOWN]} of a single round"
    )


def _change(old: Row, new: Row) -> str:
    factor = new.ratio / old.ratio
    return f"x{factor:.2f}  {_spread(old)} -> {_spread(new)}  {new.file}: {new.key}"


def _spread(row: Row) -> str:
    return f"{number(row.ratio)} ({number(min(row.ratios))}..{number(max(row.ratios))})"


def main() -> None:
    """Print the differences of two files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="the JSON file of the earlier run")
    parser.add_argument("new", type=Path, help="of the later one")
    arguments = parser.parse_args()
    try:
        runs = [Run.read(path) for path in (arguments.base, arguments.new)]
    except (OSError, ValueError) as exc:
        raise SystemExit(f"bench-compare: {exc}") from None
    for line in differences(*runs):
        print(line)


if __name__ == "__main__":
    main()

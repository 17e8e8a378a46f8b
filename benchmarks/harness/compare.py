"""Compare two runs of the measurements by their ratios: ``make bench-compare BASE=old.json``.

Only ratios are compared, to a peer or a ceiling of the same run. Two ratios are the same where
their spreads overlap: the range of their rounds, with what a round scatters by on either side, as
each run's report states it (twice that, of a single round). Of a limit, such as that of points
that are slow for the server, all that counts is whether both keep it. What differs is printed, and
what only one of the runs has.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.record import Row, Run
from benchmarks.harness.table import number

__all__ = ["difference", "differences"]

BETTER, WORSE, SAME = "better", "worse", "same"


def difference(old: tuple[float, float], new: tuple[float, float]) -> str:
    """Tell whether the new one of two spreads is better, worse or the same."""
    if new[0] > old[1]:
        return BETTER
    return WORSE if new[1] < old[0] else SAME


def differences(old: Run, new: Run) -> Iterator[str]:
    """Yield a line for each row that differs, and the sums."""
    before = {(row.file, row.key): row for row in old.rows}
    after = {(row.file, row.key): row for row in new.rows}
    counts: Counter[str] = Counter()
    for key, row in after.items():
        if key in before:
            verdict = _verdict(old, before[key], new, row)
            counts[verdict] += 1
            if verdict in (BETTER, WORSE):
                yield f"{verdict:<6}  {_change(before[key], row)}"
    for title, only in (
        ("only before", [key for key in before if key not in after]),
        ("only after", [key for key in after if key not in before]),
    ):
        yield from (f"{title}: {file}: {key}" for file, key in only)
    yield (
        f"{counts[SAME]} of {counts.total()} ratios agree within the spread of both runs; "
        f"{counts[BETTER]} better, {counts[WORSE]} worse"
    )


def _verdict(old: Run, before: Row, new: Run, after: Row) -> str:
    if not after.is_limit:
        return difference(old.spread(before), new.spread(after))
    if before.is_short == after.is_short:
        return SAME
    return WORSE if after.is_short else BETTER


def _change(old: Row, new: Row) -> str:
    factor = new.ratio / old.ratio
    return f"x{factor:.2f}  {_range(old)} -> {_range(new)}  {new.file}: {new.key}"


def _range(row: Row) -> str:
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

"""What a soak calls good: not a run in which nothing was written, reported or compared."""

import pytest

from benchmarks.soak.client_kills import Kills
from benchmarks.soak.oracle import Found
from benchmarks.soak.pool_kills import Outcome
from siridb_fast import Report

COMPLETE = Report(1, 0, 1, 0.0)


@pytest.mark.parametrize(
    ("wanted", "lost", "doubled", "changed", "is_exact"),
    [
        (5, 0, 0, 0, True),
        (0, 0, 0, 0, False),
        (5, 1, 0, 0, False),
        (5, 0, 1, 0, False),
        (5, 0, 0, 1, False),
    ],
)
def test_a_comparison_is_good_if_there_was_something_and_nothing_is_wrong(
    wanted: int, lost: int, doubled: int, changed: int, is_exact: bool
) -> None:
    found = Found(wanted, lost, doubled, changed)
    assert found.is_exact == is_exact
    assert Outcome("own", 1, found, [COMPLETE], []).is_exact == is_exact
    if not changed:
        assert Kills(1, wanted, wanted, lost, doubled).is_exact == is_exact


def test_a_run_whose_report_has_points_in_doubt_is_not_good() -> None:
    in_doubt = Report(1, 0, 1, 0.0, in_doubt_points=1)
    assert not Outcome("own", 1, Found(5, 0, 0, 0), [COMPLETE, in_doubt], []).is_exact

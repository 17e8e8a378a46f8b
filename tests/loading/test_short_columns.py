"""Many short columns of a file are taken at once: the same points and errors as one by one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import siridb_fast
from siridb_fast.columns.rows import group_rows, rows_of_columns
from siridb_fast.errors import ColumnError
from siridb_fast.loading import short_columns
from siridb_fast.loading.already_stored import arrays_of
from siridb_fast.loading.frame_reader import FramePoints, FrameReader
from siridb_fast.loading.frames.arrow_frame import ArrowFrame
from siridb_fast.loading.loader import Loader
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.sources import portions
from tests.fix_server import Database

ROWS, COLUMNS = 50, 40
NAMES = [f"c{number}" for number in range(COLUMNS)]
TIMES = np.arange(ROWS) + 1_700_000_000
VALUES = np.random.default_rng(1).random((COLUMNS, ROWS)).round(3)


def table(**changed: Any) -> pa.Table:
    columns: dict[str, Any] = dict(zip(NAMES, VALUES, strict=True))
    return pa.table({"ts": TIMES, **columns, **changed})


def points_of(frame: pa.Table, **options: Any) -> FramePoints:
    return FrameReader(LoadOptions(time="ts", **options), 0).read(ArrowFrame(frame))


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FramePoints]:
    def read(frame: pa.Table, **options: Any) -> FramePoints:
        with monkeypatch.context() as patched:
            patched.setattr(short_columns, "MOST_ROWS", 0)
            return points_of(frame, **options)

    return read


CHANGED: dict[str, tuple[Any, int]] = {
    "a value is missing": (pa.array([None, *VALUES[3, 1:]]), COLUMNS - 1),
    "a value is NaN": (np.array([np.nan, *VALUES[3, 1:]]), COLUMNS - 1),
    "all are missing": (pa.nulls(ROWS, pa.float64()), COLUMNS - 1),
    "nothing": (VALUES[3], COLUMNS),
    "infinity": (np.full(ROWS, np.inf), COLUMNS),
    "integers": (np.arange(ROWS), 0),
    "texts": (pa.array(["text"] * ROWS), 0),
}


@pytest.mark.parametrize("what", CHANGED)
def test_points_are_those_of_columns_one_by_one(
    one_by_one: Callable[..., FramePoints], what: str
) -> None:
    column, together = CHANGED[what]
    frame = table(c3=column)
    found, expected = points_of(frame, on_missing="drop"), one_by_one(frame, on_missing="drop")
    assert sum(len(mixed.names) for mixed in found.mixed) == together
    assert not expected.mixed
    assert (found.rows, found.missing) == (expected.rows, expected.missing)
    ours, theirs = arrays_of(found), arrays_of(expected)
    assert ours.keys() == theirs.keys()
    for name, (timestamps, values) in theirs.items():
        assert (ours[name][0] == timestamps).all()
        assert (ours[name][1] == values).all()


def test_few_or_long_columns_come_one_by_one() -> None:
    assert not points_of(table().select(["ts", *NAMES[:3]])).mixed
    long = pa.table({"ts": np.arange(3000), **{name: np.ones(3000) for name in NAMES}})
    assert not points_of(long).mixed


def test_chunks_of_a_table_come_one_by_one() -> None:
    assert not points_of(pa.concat_tables([table(), table()])).mixed


def test_an_error_names_column_and_row_as_one_by_one(
    one_by_one: Callable[..., FramePoints],
) -> None:
    frame = table(c7=pa.array([*VALUES[7, :-1], None]))
    texts = []
    for read in (points_of, one_by_one):
        with pytest.raises(ColumnError) as caught:
            read(frame, on_missing="error")
        texts.append((str(caught.value), caught.value.series, caught.value.index))
    assert texts[0] == texts[1]
    assert texts[0][1:] == ("c7", ROWS - 1)


def test_rows_of_columns_know_the_row_of_each_point() -> None:
    mixed = rows_of_columns(NAMES, TIMES, VALUES)
    assert [mixed.row(index) for index in (0, ROWS - 1, ROWS, 7 * ROWS + 5)] == [0, 49, 0, 5]
    slices = list(mixed.slices(3 * ROWS + 7))
    assert slices[1].row(0) == 7
    rows = group_rows(slices[1])
    assert (rows.row(0), rows.names[0], rows.start(1)) == (7, "c3", ROWS - 7)
    assert np.concatenate([group_rows(some).values for some in slices]).tolist() == (
        VALUES.ravel().tolist()
    )


def csv_file(folder: Path, column: list[str] | None = None) -> Path:
    """Write a file of the values; ``column`` has those of c5 instead."""
    path = folder / "wide.csv"
    texts = [[f"{value:.3f}" for value in values] for values in VALUES]
    texts[5] = texts[5] if column is None else column
    rows = zip(TIMES.tolist(), *texts, strict=True)
    lines = [",".join(map(str, row)) for row in rows]
    path.write_text("\n".join([",".join(["ts", *NAMES]), *lines, ""]))
    return path


def test_a_wide_file_is_stored_whole(tmp_path: Path, database: Database) -> None:
    report = siridb_fast.load(csv_file(tmp_path), database.url, time="ts", unit="s")
    assert (report.rows, report.points) == (ROWS, ROWS * COLUMNS)
    with siridb_fast.connect(database.url) as client:
        found = client.query_arrays("select * from /.*/")
    assert sorted(found) == sorted(NAMES)
    for name, values in zip(NAMES, VALUES, strict=True):
        timestamps, stored = found[name]
        assert (timestamps == TIMES * 10**9).all()
        assert (stored == values).all()


def test_a_series_of_integers_refuses_a_fraction_with_its_row(
    tmp_path: Path, database: Database
) -> None:
    siridb_fast.load({"c5": ([1], [1])}, database.url)
    path = csv_file(tmp_path, ["7"] * 30 + ["2.5"] + ["7"] * (ROWS - 31))
    with pytest.raises(ColumnError, match=r"2\.5 is no integer") as caught:
        siridb_fast.load(path, database.url, time="ts", unit="s")
    assert (caught.value.series, caught.value.index) == ("c5", 30)
    with siridb_fast.connect(database.url) as client:
        assert [*client.query_arrays("select * from /.*/")] == ["c5"]  # nothing was sent


async def test_a_survey_shows_the_first_points_of_the_first_series(
    tmp_path: Path, database: Database
) -> None:
    options = LoadOptions(time="ts", unit="s")
    survey = await Loader(database.url, options).survey(portions(csv_file(tmp_path), options))
    assert survey.points == ROWS * COLUMNS
    assert [*survey.points_of] == NAMES[:10]
    first = [
        (int(time) * 10**9, repr(float(value)))
        for time, value in zip(TIMES[:3], VALUES[4, :3], strict=True)
    ]
    assert survey.points_of["c4"] == first

"""The portions of a file: which rows each has, when it is read, and which is the last."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from siridb_fast.files.parquet import ParquetTable
from siridb_fast.loading.file_source import FilePortion, FileSource
from siridb_fast.loading.options import LoadOptions

ROWS = 1_200_000  # of which each batch has less than half


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Parquet file of several batches."""
    found = tmp_path_factory.mktemp("portions") / "points.parquet"
    pq.write_table(pa.table({"ts": np.arange(ROWS), "a": np.zeros(ROWS)}), found)
    return found


def portions_of(path: Path) -> Iterator[FilePortion]:
    for portion in FileSource([path], LoadOptions.of({"time": "ts"})):
        assert isinstance(portion, FilePortion)
        yield portion


def test_first_rows_of_a_file_wait_for_no_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    batches = ParquetTable.batches

    def counted(table: ParquetTable, *of: Any) -> Iterator[Any]:
        for batch in batches(table, *of):
            read.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(ParquetTable, "batches", counted)
    portions = portions_of(path)
    first = next(portions)
    assert read == [first.rows]
    assert first.rows + sum(portion.rows for portion in portions) == ROWS


def test_only_the_last_portion_ends_the_file(path: Path) -> None:
    found = [(portion.start, portion.stop, portion.is_last) for portion in portions_of(path)]
    starts, stops, are_last = zip(*found, strict=True)
    assert len(found) > 2
    assert starts == (0, *stops[:-1])
    assert stops[-1] == ROWS
    assert are_last == (*(False,) * (len(found) - 1), True)


def test_file_without_rows_has_one_portion(tmp_path: Path) -> None:
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"ts": np.arange(0), "a": np.zeros(0)}), empty)
    assert [(portion.rows, portion.is_last) for portion in portions_of(empty)] == [(0, True)]

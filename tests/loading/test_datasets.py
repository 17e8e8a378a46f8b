"""Datasets and scanners of pyarrow, and the tables of Delta Lake and Iceberg that they read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast.errors import ColumnError, FileError
from tests.fix_server import Database
from tests.loading.frame_kinds import read
from tests.loading.load_runs import START, stored_points, write_table

TABLE = pa.table({"ts": [1, 2, 3], "host": ["a", "b", "a"], "x": [0.5, 1.5, 2.5], "y": [1, 2, 3]})
EXPECTED = {"a": [(1, 0.5), (3, 2.5)], "b": [(2, 1.5)]}
MAKERS: dict[str, Callable[[pa.Table], Any]] = {
    "dataset": ds.dataset,
    "scanner": lambda table: ds.dataset(table).scanner(batch_size=2),
    "union": lambda table: ds.dataset([ds.dataset(table.slice(0, 1)), ds.dataset(table.slice(1))]),
    "filtered": lambda table: ds.dataset(table).scanner(filter=ds.field("ts") < 10),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_dataset_is_read_as_its_table(make: Callable[[pa.Table], Any]) -> None:
    assert read(make(TABLE), 0, time="ts", series="{host}", values="x") == EXPECTED
    assert read([make(TABLE)], 0, time="ts", series="{host}", values="x") == EXPECTED


def test_keys_of_the_partitions_of_a_dataset_are_columns(tmp_path: Path) -> None:
    pq.write_to_dataset(TABLE, tmp_path, partition_cols=["host"])
    dataset = ds.dataset(tmp_path, partitioning="hive")
    assert read(dataset, 0, time="ts", series="{host}", values="x") == EXPECTED
    assert read(tmp_path, 0, time="ts", series="{host}", values="x") == EXPECTED


def test_nested_columns_of_a_dataset_do_not_matter_if_others_are_chosen() -> None:
    table = TABLE.append_column("list", pa.array([[1], [2], [3]]))
    assert len(read(ds.dataset(table), 0, time="ts", values="x")) == 1


def test_column_that_a_dataset_lacks_is_named() -> None:
    with pytest.raises(ColumnError, match=r"no column 'z'; there are .*'host'"):
        read(ds.dataset(TABLE), time="ts", values="z")


def test_dataset_of_many_files_is_stored(database: Database, tmp_path: Path) -> None:
    for number in range(5):
        columns = {"ts": [START + number], "v": [number / 2]}
        write_table(tmp_path / f"{number}.parquet", columns)
    siridb_fast.load(ds.dataset(tmp_path), database.url, time="ts", unit="s")
    assert stored_points(database.url)["v"].total() == 5


def delta(folder: Path) -> str:
    (folder / "_delta_log").mkdir(parents=True)
    (folder / "_delta_log" / "00000000000000000000.json").write_text("{}")
    write_table(folder / "part-00000.parquet", {"ts": [1], "x": [1.5]})
    return f"deltalake.DeltaTable({str(folder)!r}).to_pyarrow_dataset()"


def partitioned_delta(folder: Path) -> str:
    line = delta(folder)
    (folder / "year=2024").mkdir()
    (folder / "part-00000.parquet").rename(folder / "year=2024" / "part-00000.parquet")
    return line


def iceberg(folder: Path) -> str:
    (folder / "metadata").mkdir(parents=True)
    for name in ("v9", "v10", "v2"):
        (folder / "metadata" / f"{name}.metadata.json").write_text("{}")
    (folder / "data").mkdir()
    write_table(folder / "data" / "00000.parquet", {"ts": [1], "x": [1.5]})
    return f"from_metadata({str(folder / 'metadata' / 'v10.metadata.json')!r}).scan()"


@pytest.mark.parametrize("make", [delta, partitioned_delta, iceberg])
@pytest.mark.parametrize("meant", ["", "above", "**/*.parquet"])
def test_table_of_a_lake_is_refused_with_the_line_that_reads_it(
    tmp_path: Path, make: Callable[[Path], str], meant: str
) -> None:
    folder = tmp_path / "some" / "table"
    line = make(folder)
    path = tmp_path if meant == "above" else folder / meant
    with pytest.raises(FileError) as caught:
        read(path, time="ts")
    assert line in str(caught.value)


def test_folder_that_is_called_metadata_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "readme.json").write_text("{}")
    write_table(tmp_path / "a.parquet", {"ts": [1], "x": [1.5]})
    assert read(tmp_path, time="ts") == {"x": [(1, 1.5)]}

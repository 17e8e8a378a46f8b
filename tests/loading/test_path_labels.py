"""Series that are named by the paths of files: a file for each sensor, folders, partitions."""

from pathlib import Path
from typing import Any

import pytest

import siridb_fast
from siridb_fast.errors import FileError
from siridb_fast.files.path_labels import path_labels
from tests.fix_server import Database
from tests.loading.frame_kinds import read
from tests.loading.load_runs import START, stored_points, write_table

COLUMNS: dict[str, list[Any]] = {"ts": [START, START + 1], "value": [0.5, 1.5]}
SUFFIXES = [".csv", ".csv.gz", ".parquet", ".feather"]

LABELS = [
    ("/data/kitchen/sensor1.csv", {"file": "sensor1.csv", "stem": "sensor1", "folder": "kitchen"}),
    ("/data/a/b.c.csv.gz", {"file": "b.c.csv.gz", "stem": "b.c", "folder": "a"}),
    ("/data/year=2024/host=a/0.parquet", {"year": "2024", "host": "a", "folder": "host=a"}),
    ("/data/place=K%C3%B6ln%2FS%C3%BCd/0.parquet", {"place": "Köln/Süd"}),
    ("/data/host=__HIVE_DEFAULT_PARTITION__/0.parquet", {"host": None}),
    ("/data/host=/0.parquet", {"host": ""}),
]


@pytest.mark.parametrize(("path", "expected"), LABELS)
def test_path_says_what_a_template_may_take(path: str, expected: dict[str, str | None]) -> None:
    assert expected.items() <= path_labels(Path(path)).items()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folder_with_a_file_for_each_sensor_gives_a_series_for_each(
    tmp_path: Path, suffix: str
) -> None:
    for name in ("temp", "hum"):
        write_table(tmp_path / f"{name}{suffix}", COLUMNS)
    found = read(tmp_path, 0, time="ts", series="{folder}.{stem}")
    points = [(START, 0.5), (START + 1, 1.5)]
    assert found == {f"{tmp_path.name}.hum": points, f"{tmp_path.name}.temp": points}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_of_the_path_go_with_columns_that_name_series(tmp_path: Path, suffix: str) -> None:
    path = write_table(tmp_path / f"meter{suffix}", {**COLUMNS, "host": ["a", "b"]})
    found = read(path, 0, time="ts", series="{stem}.{host}.{column}", values="value")
    assert found == {"meter.a.value": [(START, 0.5)], "meter.b.value": [(START + 1, 1.5)]}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("values", [None, "value"])
def test_column_of_a_file_goes_before_what_its_path_says(
    tmp_path: Path, suffix: str, values: str | None
) -> None:
    path = write_table(tmp_path / f"meter{suffix}", {**COLUMNS, "stem": ["x", "y"]})
    found = read(path, 0, time="ts", series="{stem}", values=values)
    assert found == {"x": [(START, 0.5)], "y": [(START + 1, 1.5)]}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_keys_of_partitions_name_series(tmp_path: Path, suffix: str) -> None:
    for year, host in (("2024", "a"), ("2025", "b")):
        folder = tmp_path / f"year={year}" / f"host={host}"
        folder.mkdir(parents=True)
        write_table(folder / f"0{suffix}", COLUMNS)
    found = read(tmp_path, 0, time="ts", series="{host}.{year}.{column}")
    assert list(found) == ["a.2024.value", "b.2025.value"]


def test_series_may_be_called_as_a_column_if_the_path_says_so(tmp_path: Path) -> None:
    path = write_table(tmp_path / "value.csv", COLUMNS)
    assert list(read(path, 0, time="ts", series="{stem}")) == ["value"]


def test_function_may_take_labels_of_the_path(tmp_path: Path) -> None:
    path = write_table(tmp_path / "meter-7.csv", COLUMNS)
    found = read(path, 0, time="ts", series=lambda stem, column: f"{stem[6:]}.{column}")
    assert list(found) == ["7.value"]


def test_partition_without_a_value_names_no_series(tmp_path: Path) -> None:
    folder = tmp_path / "host=__HIVE_DEFAULT_PARTITION__"
    folder.mkdir()
    path = write_table(folder / "0.csv", COLUMNS)
    with pytest.raises(FileError, match="the path has no value of 'host'") as caught:
        read(path, 0, time="ts", series="{host}")
    assert str(path) in str(caught.value)


def test_key_that_no_path_has_is_still_an_error(tmp_path: Path) -> None:
    path = write_table(tmp_path / "0.csv", COLUMNS)
    with pytest.raises(FileError, match="host"):
        read(path, 0, time="ts", series="{host}")


def test_a_file_for_each_sensor_is_stored(database: Database, tmp_path: Path) -> None:
    for number, suffix in enumerate(SUFFIXES):
        write_table(tmp_path / f"sensor{number}{suffix}", COLUMNS)
    siridb_fast.load(tmp_path, database.url, time="ts", unit="s", series="{stem}")
    assert sorted(stored_points(database.url)) == [f"sensor{n}" for n in range(len(SUFFIXES))]

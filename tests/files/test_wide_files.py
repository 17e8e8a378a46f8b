"""Wide files are read in passes over some columns each: the same points, in little memory."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import siridb_fast
from siridb_fast.delivery.report import Report
from siridb_fast.errors import FileError
from siridb_fast.files.ipc import is_compressed
from siridb_fast.files.open import ReadOptions, TableFile, open_file
from siridb_fast.files.parquet import memory_by_column
from siridb_fast.files.passes import columns_per_pass, split_passes
from siridb_fast.loading.file_source import FilePortion, FileSource
from siridb_fast.loading.frame_reader import FrameReader
from siridb_fast.loading.options import LoadOptions
from tests.fix_server import Database

ROWS = 1000
COMMON = ("ts", "host")
VALUES = ("a", "b", "c")
TABLE = pa.table(
    {
        "a": [row / 8 for row in range(ROWS)],
        "host": [f"host{row % 7}" for row in range(ROWS)],
        "b": [None if row % 10 == 3 else row for row in range(ROWS)],
        "ts": range(1_700_000_000, 1_700_000_000 + ROWS),
        "c": [f"text {row}" for row in range(ROWS)],
    }
)


def write_parquet(path: Path, table: pa.Table = TABLE, **options: Any) -> None:
    pq.write_table(table, path, **{"row_group_size": 300, **options})


def write_lz4(path: Path, table: pa.Table = TABLE) -> None:
    feather.write_feather(table, path, compression="lz4", chunksize=300)


def write_plain(path: Path, table: pa.Table = TABLE) -> None:
    feather.write_feather(table, path, compression="uncompressed", chunksize=300)


def write_csv(path: Path, table: pa.Table = TABLE) -> None:
    lines = [
        ",".join("" if v is None else str(v) for v in row.values()) for row in table.to_pylist()
    ]
    path.write_text("\n".join([",".join(table.column_names), *lines]) + "\n")


IN_PASSES = [("w.parquet", write_parquet), ("w.feather", write_lz4)]
AT_ONCE = [("plain.feather", write_plain), ("w.csv", write_csv)]
Write = Callable[[Path], None]


@pytest.fixture
def narrow_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a single column of values in each pass, in batches of some ten rows."""

    def open_narrow(path: Path, options: ReadOptions, _: object) -> TableFile:
        return open_file(path, replace(options, pass_bytes=1, batch_bytes=1000))

    monkeypatch.setattr("siridb_fast.loading.file_source.open_file", open_narrow)


@pytest.mark.parametrize(
    ("sizes", "passes"),
    [
        ((4, 4, 4), [("a", "b", "c")]),
        ((4, 4, 5), [("a", "b"), ("c",)]),
        ((13, 1, 1), [("a",), ("b", "c")]),
        ((1, 13, 1), [("a",), ("b",), ("c",)]),
        ((99, 99, 99), [("a",), ("b",), ("c",)]),
    ],
)
def test_passes_are_as_large_as_they_may_be(
    sizes: tuple[int, ...], passes: list[tuple[str, ...]]
) -> None:
    memory = {"ts": 3, "host": 5, **dict(zip(VALUES, sizes, strict=True))}
    assert split_passes(COMMON, VALUES, memory, 20, 3) == passes


def test_passes_are_small_enough_for_full_runs() -> None:
    memory = dict.fromkeys((*COMMON, *VALUES), 1)
    assert split_passes(COMMON, VALUES, memory, 20, 2) == [("a", "b"), ("c",)]
    assert columns_per_pass(10**7, 8 * 2**20) == 32
    assert columns_per_pass(1000, 8 * 2**20) == 1048
    assert columns_per_pass(0, 1) == 1


@pytest.mark.parametrize(("name", "write"), IN_PASSES)
@pytest.mark.parametrize("start", [0, 299, 300, 555, ROWS])
def test_passes_together_give_the_table(
    tmp_path: Path, name: str, write: Write, start: int
) -> None:
    write(tmp_path / name)
    options = ReadOptions(names=("host",), pass_bytes=1, batch_bytes=1000)
    with open_file(tmp_path / name, options) as file:
        passes = file.passes(COMMON, VALUES)
        assert passes == [("a",), ("b",), ("c",)]
        for values in passes:
            columns = [*COMMON, *values]
            rows = [row for batch in file.batches(start, columns) for row in batch.to_pylist()]
            assert rows == TABLE.select(columns).to_pylist()[start:]


@pytest.mark.parametrize(("name", "write"), AT_ONCE)
def test_what_takes_no_memory_for_a_column_is_read_at_once(
    tmp_path: Path, name: str, write: Write
) -> None:
    write(tmp_path / name)
    with open_file(tmp_path / name, ReadOptions(pass_bytes=1)) as file:
        assert file.passes(COMMON, VALUES) == [VALUES]
        rows = [row for batch in file.batches(5, ["c", "ts"]) for row in batch.to_pylist()]
        assert rows == TABLE.select(["c", "ts"]).to_pylist()[5:]


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"use_dictionary": False, "max_rows_per_page": ROWS}, 2 * 8 * ROWS),
        ({"use_dictionary": False, "max_rows_per_page": 100}, 2 * 8 * 100),
        ({"data_page_version": "2.0", "compression": "none"}, 3 * 8 * ROWS),
        ({"compression": "snappy"}, 3 * 8 * ROWS),
    ],
)
def test_headers_show_the_memory_of_a_parquet_column(
    tmp_path: Path, options: dict[str, Any], least: int
) -> None:
    path = tmp_path / "h.parquet"
    write_parquet(
        path,
        pa.table({"v": np.random.default_rng(1).random(ROWS)}),
        **options,
        row_group_size=ROWS,
    )
    with path.open("rb") as file:
        memory = memory_by_column(file, pq.read_metadata(path))
    assert least < memory["v"] < least + 70_000


def test_page_without_a_header_counts_as_all_of_the_column(tmp_path: Path) -> None:
    path = tmp_path / "h.parquet"
    write_parquet(path, use_dictionary=False)
    metadata = pq.read_metadata(path)
    (tmp_path / "other").write_bytes(b"\x15" * path.stat().st_size)
    with (tmp_path / "other").open("rb") as file:
        memory = memory_by_column(file, metadata)
    assert memory["a"] > 2 * metadata.row_group(0).column(0).total_uncompressed_size


def test_parquet_file_without_rows_has_no_batches(tmp_path: Path) -> None:
    write_parquet(tmp_path / "e.parquet", TABLE.slice(0, 0))
    with open_file(tmp_path / "e.parquet", ReadOptions(pass_bytes=1)) as file:
        assert [*file.batches(0, ["ts", "a"])] == []


@pytest.mark.parametrize(("codec", "expected"), [(None, False), ("lz4", True), ("zstd", True)])
def test_compression_of_an_arrow_file_is_detected(codec: str | None, expected: bool) -> None:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_file(sink, TABLE.schema, options=options) as file:
        file.write_table(TABLE)
    content = sink.getvalue()
    assert is_compressed(content) is expected
    assert is_compressed(content.slice(0, 100))  # it cannot be read


class Noted:
    """A progress that remembers."""

    def __init__(self, done: int = 0, doubtful: int = 0) -> None:
        self.limits = done, doubtful
        self.passes = ""
        self.calls: list[tuple[str, int]] = []

    has_done = False

    def dialect_of(self, file: Path) -> str:
        return ""

    def begin(
        self, file: Path, passes: str, dialect: str, *, may_grow: bool = False
    ) -> tuple[int, int]:
        self.passes = passes
        return self.limits

    def announce(self, files: object) -> None:
        pass

    def start(self, file: Path, rows: int) -> None:
        self.calls.append(("start", rows))

    def deliver(self, file: Path, rows: int) -> None:
        self.calls.append(("deliver", rows))

    def finish(self, file: Path) -> None:
        self.calls.append(("finish", 0))


OPTIONS = LoadOptions(time="ts", series="{host}.{column}")


def cells(portions: Sequence[FilePortion]) -> int:
    return sum(portion.batch.num_rows for portion in portions)


@pytest.mark.usefixtures("narrow_passes")
@pytest.mark.parametrize(("name", "write"), IN_PASSES)
@pytest.mark.parametrize(
    ("done", "doubtful"),
    [(0, 0), (0, 555), (300, 300), (555, 1300), (1000, 1000), (1500, 3000), (3000, 3000)],
)
def test_every_row_of_every_pass_comes_once_in_doubt_or_not(
    tmp_path: Path, name: str, write: Write, done: int, doubtful: int
) -> None:
    write(tmp_path / name)
    noted = Noted(done, doubtful)
    source = FileSource([tmp_path / name], OPTIONS, noted)
    portions = [*source]
    assert noted.passes == "1 1 1"
    assert cells(portions) == 3 * ROWS - done
    assert cells([portion for portion in portions if portion.maybe_stored]) == doubtful - done
    assert [portion.is_last for portion in portions] == [False] * (len(portions) - 1) + [True]
    assert [portion.start for portion in portions[1:]] == [one.stop for one in portions[:-1]]
    assert source.bytes_read == source.size


@pytest.mark.usefixtures("narrow_passes")
def test_rows_of_all_passes_are_written_down_in_their_order(tmp_path: Path) -> None:
    write_parquet(tmp_path / "w.parquet")
    noted = Noted()
    reader = FrameReader(OPTIONS, 0)
    rows = 0
    for portion in FileSource([tmp_path / "w.parquet"], OPTIONS, noted):
        rows += portion.read(reader).rows
        portion.on_delivered(Report(points=0, packages=0, bytes=0, seconds=0))
    started = [rows for what, rows in noted.calls if what == "start"]
    assert started == sorted(set(started))
    assert noted.calls[-2:] == [("deliver", 3 * ROWS), ("finish", 0)]
    assert rows == ROWS


@pytest.mark.usefixtures("narrow_passes")
@pytest.mark.parametrize(("name", "write"), IN_PASSES)
@pytest.mark.parametrize("values", [None, ["c", "a"]])
def test_points_are_those_of_a_file_that_is_read_at_once(
    make_database: Callable[..., Database],
    tmp_path: Path,
    name: str,
    write: Write,
    values: list[str] | None,
) -> None:
    write(tmp_path / name)
    options: dict[str, Any] = {"time": "ts", "series": "{host}.{column}", "values": values}
    found = []
    for data in (TABLE, tmp_path / name):
        database = make_database(time_precision="s")
        report = siridb_fast.load(data, database.url, **options)
        with siridb_fast.connect(database.url) as client:
            arrays = client.query_arrays("select * from *")
        points = {
            series: [*zip(*map(np.ndarray.tolist, pair), strict=True)]
            for series, pair in arrays.items()
        }
        found.append((report.rows, report.points, report.missing, report.series, points))
    assert found[0] == found[1]
    assert len(found[0][4]) == 7 * (3 if values is None else 2)


@pytest.mark.usefixtures("narrow_passes")
def test_error_in_a_later_pass_names_the_row_of_the_file(
    make_database: Callable[..., Database], tmp_path: Path
) -> None:
    values = np.arange(ROWS, dtype=np.uint64)
    values[700] = 2**63
    path = tmp_path / "w.parquet"
    write_parquet(path, pa.table({"ts": TABLE["ts"], "a": TABLE["a"], "b": values}))
    database = make_database(time_precision="s")
    with pytest.raises(FileError, match="row 700: series 'b': column 'b': ") as caught:
        siridb_fast.load(path, database.url, time="ts")
    assert ROWS <= caught.value.points_inserted < ROWS + 700


@pytest.mark.usefixtures("narrow_passes")
@pytest.mark.parametrize("options", [{"series": "x"}, {"time": None}, {"values": ["a", "ts"]}])
def test_columns_that_do_not_fit_are_found_before_the_first_pass(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    write_parquet(tmp_path / "w.parquet")
    noted = Noted()
    given = LoadOptions(**{"time": "ts", **options})
    with pytest.raises(FileError, match=r"w\.parquet: "):
        next(iter(FileSource([tmp_path / "w.parquet"], given, noted)))
    assert noted.passes == ""


READ = r"""
import re, sys
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.frames.arrow_frame import arrow_cells
found = 0
for one in FileSource([sys.argv[1]], LoadOptions(time="ts")):
    for column in one.batch.columns[1:]:
        found += (arrow_cells("c", column).values < 1000).sum()
assert found == 200 * 100_000, found
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])  # not a parent's
"""


def one_row_group(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path, row_group_size=table.num_rows)


def one_page_each(path: Path, table: pa.Table) -> None:
    rows = table.num_rows
    sizes = {"row_group_size": rows, "data_page_size": 8 * rows, "max_rows_per_page": rows}
    pq.write_table(table, path, use_dictionary=False, **sizes)


def one_packed_batch(path: Path, table: pa.Table) -> None:
    feather.write_feather(table, path, compression="lz4", chunksize=table.num_rows)


def one_plain_batch(path: Path, table: pa.Table) -> None:
    feather.write_feather(table, path, compression="uncompressed", chunksize=table.num_rows)


@pytest.mark.memory
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("w.parquet", one_row_group),
        ("w.parquet", one_page_each),
        ("w.feather", one_packed_batch),
        ("w.feather", one_plain_batch),
    ],
)
def test_two_hundred_columns_of_one_row_group_take_little_memory(
    tmp_path: Path, name: str, write: Callable[[Path, pa.Table], None]
) -> None:
    rows = 100_000
    random = np.random.default_rng(1)
    columns = {f"c{number}": random.normal(20, 2, rows) for number in range(200)}
    write(tmp_path / name, pa.table({"ts": np.arange(rows), **columns}))
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / name], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 250 * 1024

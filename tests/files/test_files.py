"""Files → record batches: which files are meant, and the same rows from each format."""

import builtins
import bz2
import gzip
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from siridb_fast.errors import ConfigError, FileError
from siridb_fast.files.open import ReadOptions, find_files, open_file

ROWS = 1000
TABLE = pa.table(
    {
        "host": [f"host{row % 7}" for row in range(ROWS)],
        "ts": range(1_700_000_000_000, 1_700_000_000_000 + ROWS),
        "value": [None if row % 10 == 3 else row / 8 for row in range(ROWS)],
        "note": [f"text {row}" for row in range(ROWS)],
    }
)
OPTIONS = ReadOptions(names=("host",), time="ts", batch_bytes=4000)


def text(separator: str = ",") -> bytes:
    options = pyarrow.csv.WriteOptions(delimiter=separator)
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(TABLE, sink, options)
    return bytes(sink.getvalue())


def write_ipc(path: Path, *, is_stream: bool, codec: str | None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=codec)
    opener = pa.ipc.new_stream if is_stream else pa.ipc.new_file
    with opener(path, TABLE.schema, options=options) as sink:
        sink.write_table(TABLE, max_chunksize=300)


def parquet(codec: str, group: int) -> Callable[[Path], object]:
    return lambda path: pq.write_table(TABLE, path, compression=codec, row_group_size=group)


def ipc(codec: str | None, *, is_stream: bool = False) -> Callable[[Path], object]:
    return lambda path: write_ipc(path, is_stream=is_stream, codec=codec)


def pieces(compress: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Return a writer of two compressed members, one behind the other."""
    return lambda path: path.write_bytes(compress(text()[:5000]) + compress(text()[5000:]))


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


FORMATS: list[tuple[str, Callable[[Path], object]]] = [
    ("none.parquet", parquet("none", ROWS)),
    ("snappy.pq", parquet("snappy", 300)),
    ("zstd.PARQUET", parquet("zstd", 1)),
    ("polars.parquet", lambda path: pl.DataFrame(TABLE).write_parquet(path)),
    ("none.arrow", ipc(None)),
    ("lz4.ipc", ipc("lz4")),
    ("zstd.arrow", ipc("zstd")),
    ("feather.feather", lambda path: pyarrow.feather.write_feather(TABLE, path)),
    ("polars.ipc", lambda path: pl.DataFrame(TABLE).write_ipc(path)),
    ("none.arrows", ipc(None, is_stream=True)),
    ("stream.arrow", ipc("lz4", is_stream=True)),
    ("plain.csv", lambda path: path.write_bytes(text())),
    ("tabs.tsv", lambda path: path.write_bytes(text("\t"))),
    ("tabs.TSV.gz", lambda path: path.write_bytes(gzip.compress(text("\t")))),
    ("crlf.csv", lambda path: path.write_bytes(text().replace(b"\n", b"\r\n"))),
    ("mark.csv", lambda path: path.write_bytes(b"\xef\xbb\xbf" + text())),
    ("gzip.csv.gz", pieces(gzip.compress)),
    ("zstd.csv.zst", pieces(zstd)),
    ("zstd.csv.zstd", pieces(zstd)),
    ("bzip.csv.bz2", pieces(bz2.compress)),
]  # fmt: skip
each_format = pytest.mark.parametrize(
    ("name", "write"), FORMATS, ids=[name for name, _ in FORMATS]
)


def rows_of(batches: Any) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


@each_format
def test_every_format_gives_the_same_rows(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    write(tmp_path / name)
    with open_file(tmp_path / name, OPTIONS) as file:
        batches = [*file]
        assert rows_of(batches) == TABLE.to_pylist()
        assert {batch.schema for batch in batches} == {file.schema}
        assert file.schema.field("host").type.index_type == pa.int32()
        assert file.rows in (None, ROWS)
        assert file.size == file.bytes_read == (tmp_path / name).stat().st_size
        assert (file.bad_lines, [*file.first_bad]) == (0, [])
        assert len(batches) > 3
        assert max(batch.nbytes for batch in batches) < 5 * OPTIONS.batch_bytes


@each_format
@pytest.mark.parametrize("start", [1, 299, 300, 555, ROWS - 1, ROWS, ROWS + 5])
def test_start_gives_the_same_remainder(
    tmp_path: Path, name: str, write: Callable[[Path], object], start: int
) -> None:
    write(tmp_path / name)
    with open_file(tmp_path / name, OPTIONS) as file:
        assert rows_of(file.batches(start)) == TABLE.to_pylist()[start:]
        assert file.bytes_read == file.size
        if start < ROWS:
            is_text = "csv" in name or "tsv" in name.lower()
            assert file.row_label(start) == (f"line {start + 2}" if is_text else f"row {start}")
        assert rows_of(file) == TABLE.to_pylist()


@each_format
def test_only_the_columns_asked_for_are_read_in_their_order(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    write(tmp_path / name)
    with open_file(tmp_path / name, ReadOptions(columns=("value", "host"))) as file:
        assert file.schema.names == ["value", "host"]
        assert rows_of(file) == TABLE.select(["value", "host"]).to_pylist()


@each_format
@pytest.mark.parametrize(
    "options",
    [
        {"columns": ("ts", "nope")},
        {"names": ("nope",)},
        {"time": "nope"},
        {"types": {"nope": "float"}},
    ],
)
def test_column_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, name: str, write: Callable[[Path], object], options: dict[str, Any]
) -> None:
    write(tmp_path / name)
    with pytest.raises(FileError, match=r"'nope'.*'host', 'ts', 'value', 'note'") as caught:
        open_file(tmp_path / name, ReadOptions(**options))
    assert (caught.value.file, caught.value.column) == (str(tmp_path / name), "nope")


@each_format
def test_progress_grows_while_a_file_is_read(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    write(tmp_path / name)
    with open_file(tmp_path / name, OPTIONS) as file:
        seen = [file.bytes_read for _ in file]
    assert seen == sorted(seen)
    assert 0 < seen[0] <= seen[-1] <= file.size


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.arrows"])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.99])
def test_truncated_file_is_named(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    same = {"a.parquet": "snappy.pq", "a.feather": "lz4.ipc", "a.arrows": "none.arrows"}
    dict(FORMATS)[same[name]](path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FileError, match=r"^.*a\.\w+: not a.*that can be read") as caught:
        rows_of(open_file(path))
    assert caught.value.file == str(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv.gz", "a.csv.zst", "a.csv.bz2"])
def test_file_of_another_format_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"ts,value\n1,2\n" * 100)
    with pytest.raises(FileError, match=f"{name}: not a"):
        rows_of(open_file(tmp_path / name))


def test_truncated_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text())[:-500])
    with pytest.raises(FileError, match=r"a\.csv\.gz: not a CSV file compressed with gzip"):
        rows_of(open_file(tmp_path / "a.csv.gz"))


def test_feather_of_version_1_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "a.feather").write_bytes(b"FEA1" + bytes(100))
    with pytest.raises(FileError, match="version 1; write it anew as version 2"):
        open_file(tmp_path / "a.feather")


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_nested_columns_are_left_out_and_refused_if_asked_for(tmp_path: Path, name: str) -> None:
    table = pa.table({"ts": [1, 2], "tags": [["a"], ["b"]], "place": [{"x": 1}, {"x": 2}]})
    write: Any = pq.write_table if name == "a.parquet" else pyarrow.feather.write_feather
    write(table, tmp_path / name)
    with open_file(tmp_path / name) as file:
        assert file.schema.names == ["ts"]
        assert list(file.left_out) == ["tags", "place"]
        assert rows_of(file) == [{"ts": 1}, {"ts": 2}]
    with open_file(tmp_path / name, ReadOptions(ignore=("tags",))) as file:
        assert list(file.left_out) == ["place"]
    with pytest.raises(FileError, match=r"column 'tags': the column is nested \(list"):
        open_file(tmp_path / name, ReadOptions(columns=("ts", "tags")))


@pytest.mark.parametrize(
    "names",
    [
        pa.array(["a", None, "b"]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, None, 1], pa.int8()), ["a", "b"]),
        pa.array(["a", None, "b"], pa.large_string()),
        pa.array(["a", None, "b"], pa.string_view()),
    ],
)
def test_names_of_every_kind_come_with_codes_of_32_bits(tmp_path: Path, names: pa.Array) -> None:
    with pa.ipc.new_file(tmp_path / "a.arrow", pa.schema([("n", names.type)])) as sink:
        sink.write_table(pa.table({"n": names}))
    with open_file(tmp_path / "a.arrow", ReadOptions(names=("n",))) as file:
        (batch,) = file
    assert batch.column("n").type.index_type == pa.int32()
    assert batch.column("n").to_pylist() == ["a", None, "b"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows", "a.csv"])
def test_empty_table_gives_no_batch(tmp_path: Path, name: str) -> None:
    table = TABLE.slice(0, 0)
    if name == "a.parquet":
        pq.write_table(table, tmp_path / name)
    elif name == "a.csv":
        (tmp_path / name).write_text("host,ts,value,note\n")
    else:
        opener = pa.ipc.new_stream if name == "a.arrows" else pa.ipc.new_file
        with opener(tmp_path / name, table.schema) as sink:
            sink.write_table(table)
    with open_file(tmp_path / name, OPTIONS) as file:
        assert file.schema.names == ["host", "ts", "value", "note"]
        assert [*file] == []
        assert file.bytes_read == file.size or name == "a.arrows"


def test_long_texts_make_short_batches(tmp_path: Path) -> None:
    table = pa.table(
        {"ts": range(5000), "log": ["x" * 1000 + str(row % 3) for row in range(5000)]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    with open_file(tmp_path / "a.parquet", ReadOptions(batch_bytes=100_000)) as file:
        sizes = [batch.nbytes for batch in file]
    assert max(sizes) < 300_000


def test_files_are_found_by_path_folder_and_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "b.csv",
        "a.CSV.GZ",
        "x/c.parquet",
        "x/y/d.feather",
        "x/e.txt",
        "x/about.json",
        "z/f.json",
        "z/g.ndjson.gz",
        "j/h.json",
        ".h.csv",
        ".g/h.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))

    def found(*paths: str | os.PathLike[str]) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in find_files(paths)]

    everything = ["a.CSV.GZ", "b.csv", "x/c.parquet", "x/y/d.feather", "z/g.ndjson.gz"]
    assert found(tmp_path) == everything
    assert found("~") == everything
    assert found(str(tmp_path / "*.csv")) == ["b.csv"]
    assert found("~/**/*.[pf]*") == ["x/c.parquet", "x/y/d.feather"]
    assert found("~/x", tmp_path / "b.csv", tmp_path) == [
        *everything[2:4],
        "b.csv",
        "a.CSV.GZ",
        everything[4],
    ]
    assert found(tmp_path / ".h.csv") == [".h.csv"]
    assert found(tmp_path / "j") == ["j/h.json"]  # there is nothing else
    assert found(tmp_path / "z/f.json", tmp_path / "z") == ["z/f.json", "z/g.ndjson.gz"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nope.csv", "nope.csv: no such file"),
        ("*.csv", r"\*\.csv: the pattern matches no file"),
        ("empty", r"empty: the folder holds no file with one of \.parquet"),
        ("a.txt", r"a\.txt: the suffix is not known; known are \.parquet .*\.tsv .*\.zstd"),
        ("a.parquet.gz", r"a\.parquet\.gz: the suffix is not known"),
    ],
)
def test_what_cannot_be_found_is_named(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").touch()
    (tmp_path / "a.parquet.gz").touch()
    with pytest.raises(FileError, match=text):
        find_files([tmp_path / path])


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv"])
def test_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match=f"{name}: no such file"):
        open_file(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"columns": ()}, "at least one column"),
        ({"columns": "ts"}, "columns is a tuple of column names, got 'ts'"),
        ({"names": ("a", "a")}, "names each column once"),
        ({"names": (1,)}, "names is a tuple of column names"),
        ({"types": {"a": "double"}}, "'a' is one of .*, ns: 'double'"),
        ({"types": {"a": "float"}, "names": ("a",)}, "'a' names series, its type is string"),
        ({"time": 1}, "time is the name of a column"),
        ({"skip_bad": 1}, "skip_bad is true or false"),
        ({"delimiter": ";;"}, "delimiter is one ASCII character"),
        ({"delimiter": '"'}, "delimiter is one ASCII character"),
        ({"batch_bytes": 0}, "batch_bytes is an integer from 1"),
    ],
)
def test_bad_option_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ReadOptions(**options)


def test_file_error_keeps_its_place_over_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(FileError("no", file="a.csv", line=3, column="b")))  # noqa: S301
    assert str(error) == "a.csv:3: column 'b': no"
    assert (error.file, error.line, error.column) == ("a.csv", 3, "b")


def test_missing_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pyarrow":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    (tmp_path / "a.csv").touch()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install siridb_fast\[arrow\]"):
        open_file(tmp_path / "a.csv")


def test_files_import_without_pyarrow() -> None:
    code = "import sys, siridb_fast.files.open; assert 'pyarrow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


READ = r"""
import re, sys
from siridb_fast.files.open import ReadOptions, open_file
with open_file(sys.argv[1], ReadOptions(names=("name",), time="ts")) as file:
    assert sum(batch.num_rows for batch in file) == 10_000_000
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])  # not a parent's
"""


@pytest.mark.memory
def test_ten_million_rows_of_one_row_group_take_little_memory(tmp_path: Path) -> None:
    rows = 500_000
    names = pa.array([f"host{number:04}" for number in range(1000)])
    codes = pa.array([row % 1000 for row in range(rows)], pa.int32())
    batch = pa.table(
        {
            "name": pa.DictionaryArray.from_arrays(codes, names).cast(pa.string()),
            "ts": pa.array(range(rows)),
            "value": pa.array([row * 0.37 for row in range(rows)]),
        }
    )
    path = tmp_path / "long.parquet"
    pq.write_table(pa.concat_tables([batch] * 20), path, row_group_size=20 * rows)
    done = subprocess.run(
        [sys.executable, "-c", READ, path], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 250 * 1024

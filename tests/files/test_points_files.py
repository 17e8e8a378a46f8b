"""Files of points in small blocks: rows, lines, labels, compression, and what is left out."""

import bz2
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from siridb_fast.errors import FileError
from siridb_fast.files.base import TableFile
from siridb_fast.files.open import ReadOptions, open_file

LINES = [f"cpu,host=h{n % 7},dc=d{n % 2} a={n}.5,b={n}i {n * 10}" for n in range(300)]
TEXT = "\n".join(LINES) + "\n"
SMALL = 900  # bytes of a batch: many blocks


def opened(path: Path, text: str | bytes = TEXT, **options: Any) -> TableFile:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_file(path, ReadOptions(**{"batch_bytes": SMALL, **options}))


def rows(file: TableFile, start: int = 0) -> list[dict[str, Any]]:
    return [row for batch in file.batches(start) for row in batch.to_pylist()]


def test_rows_are_points_in_their_order_from_any_row_on(tmp_path: Path) -> None:
    with opened(tmp_path / "a.lp") as file:
        assert file.schema.names == [
            "series",
            "time",
            "value_float",
            "value_integer",
            "value_text",
        ]
        assert file.schema.field("time").type == pa.timestamp("ns", "UTC")
        found = rows(file)
        assert len(found) == 600
        assert len(list(file.batches())) > 10
        assert [row["series"] for row in found[:2]] == [
            "cpu,dc=d0,host=h0:a",
            "cpu,dc=d0,host=h0:b",
        ]
        assert [row["value_float"] for row in found[::2]] == [n + 0.5 for n in range(300)]
        assert [row["value_integer"] for row in found[1::2]] == list(range(300))
        assert [row["time"].value for row in found[::2]] == [n * 10 for n in range(300)]
        assert file.bytes_read == file.size == len(TEXT)
        assert rows(file, 355) == found[355:]
        assert file.row_label(355) == "line 178"


def compressed_with_zip(data: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.lp", data)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.lp.gz", lambda data, path: path.write_bytes(gzip.compress(data))),
        ("a.lp.bz2", lambda data, path: path.write_bytes(bz2.compress(data))),
        ("a.zip", compressed_with_zip),
    ],
)
def test_compressed_file_is_read(
    tmp_path: Path, name: str, write: Callable[[bytes, Path], None]
) -> None:
    write(TEXT.encode(), tmp_path / name)
    with open_file(tmp_path / name) as file:
        assert len(rows(file)) == 600


def test_template_takes_parts_and_tags(tmp_path: Path) -> None:
    names = ("measurement", "host", "field", "tags")
    with opened(tmp_path / "a.lp", names=names) as file:
        found = rows(file)
    first = {"measurement": "cpu", "host": "h0", "field": "a", "tags": "dc=d0,host=h0"}
    assert {name: found[0][name] for name in names} == first
    assert {row["host"] for row in found} == {f"h{n}" for n in range(7)}


def test_tag_that_some_series_have_not_is_missing(tmp_path: Path) -> None:
    with opened(tmp_path / "a.lp", "m,a=1 v=1 1\nm,b=2 v=1 2\n", names=("a",)) as file:
        assert [row["a"] for row in rows(file)] == ["1", None]


def test_optional_label_is_left_out(tmp_path: Path) -> None:
    with opened(tmp_path / "a.lp", names=("stem", "field"), optional=("stem",)) as file:
        assert "stem" not in file.schema.names
        assert rows(file)[0]["field"] == "a"


def test_two_series_of_one_name_are_an_error(tmp_path: Path) -> None:
    text = "m:a b=1 1\nm a:b=1 1\n"
    with (
        opened(tmp_path / "a.lp", text) as file,
        pytest.raises(FileError, match=r"a\.lp: two series would have the name 'm:a:b'"),
    ):
        rows(file)


def test_bad_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    text = "\n".join([*LINES[:100], "bad", *LINES[100:], "m v=1", "m v=x 5", "m v=2 6"])
    with opened(tmp_path / "a.lp", text, skip_bad=True) as file:
        found = rows(file)
        assert len(found) == 601
        assert file.bad_lines == 3
        assert [one.line for one in file.first_bad] == [101, 302, 303]
        assert file.row_label(600) == "line 304"
    with opened(tmp_path / "a.lp", text) as file, pytest.raises(FileError) as caught:
        rows(file)
    assert caught.value.line == 101
    assert "--skip-bad" in caught.value.text


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "\ufeff"])
def test_file_without_a_point_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(FileError, match="the file has no point"):
        opened(tmp_path / "a.lp", text)


def test_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    with opened(tmp_path / "a.lp", "\ufeffm v=1 5") as file:
        assert [row["series"] for row in rows(file)] == ["m:v"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"time_columns": ("ts",)}, "column 'ts': the file has no such column"),
        ({"types": {"usage": "float"}}, "column 'usage': the file has no such column"),
        ({"names": ("hots",)}, "column 'hots': the file has no such column; it has 'series'"),
    ],
)
def test_column_that_is_not_there_is_named(
    tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(FileError, match=text):
        opened(tmp_path / "a.lp", **options)


def test_csv_whose_time_is_said_is_read_as_any_other(tmp_path: Path) -> None:
    head = "#datatype,string,dateTime:RFC3339,double\n,table,_time,_value\n"
    text = head + ",0,2024-03-01T00:00:00Z,1\n"
    with opened(tmp_path / "a.csv", text, time_columns=("_time",)) as file:
        assert "_value" in file.schema.names
    with opened(tmp_path / "b.csv", text) as file:
        assert [row["series"] for row in rows(file)] == [":value"]

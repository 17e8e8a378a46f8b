"""Files of JSON in small blocks: rows, lines, what comes late, and what is left out."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from siridb_fast import FileError
from siridb_fast.files.json.reader import JsonTable
from siridb_fast.files.open import ReadOptions, open_file

START = 1_709_251_200
ROWS = [{"ts": START + row, "v": row * 0.5, "note": f"n{row % 3}"} for row in range(200)]
SMALL = 400  # bytes of a batch: blocks of half of that have few objects


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def opened(path: Path, text: str, **options: Any) -> Any:
    path.write_text(text)
    return open_file(path, ReadOptions(**{"batch_bytes": SMALL, "time": "ts", **options}))


def values(file: JsonTable, start: int = 0) -> list[float]:
    return [value for batch in file.batches(start) for value in batch["v"].to_pylist()]


@pytest.mark.parametrize("name", ["a.ndjson", "a.jsonl", "a.json"])
def test_all_rows_come_in_their_order_from_any_row_on(tmp_path: Path, name: str) -> None:
    text = json.dumps(ROWS) if name == "a.json" else lines(ROWS)
    with opened(tmp_path / name, text) as file:
        assert file.bytes_read == 0
        assert values(file) == [row["v"] for row in ROWS]
        assert file.bytes_read == file.size
        assert values(file, 150) == [row["v"] for row in ROWS[150:]]
        label = "object 8" if name == "a.json" else "line 8"
        assert file.row_label(7) == label


def test_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    path.write_bytes(gzip.compress(lines(ROWS).encode()))
    with open_file(path, ReadOptions(time="ts")) as file:
        assert values(file) == [row["v"] for row in ROWS]  # type: ignore[arg-type]


def test_lines_are_counted_with_blank_ones(tmp_path: Path) -> None:
    text = lines(ROWS[:50]) + "\n \n\n" + lines(ROWS[50:])
    with opened(tmp_path / "a.ndjson", text) as file:
        assert len(values(file)) == len(ROWS)
        assert [file.row_label(row) for row in (49, 50, 199)] == ["line 50", "line 54", "line 203"]


def test_field_that_comes_late_is_an_error_that_says_how_to_name_it(tmp_path: Path) -> None:
    late = [*ROWS[:150], {**ROWS[150], "extra": 1.5}, *ROWS[151:]]
    with (
        opened(tmp_path / "a.ndjson", lines(late)) as file,
        pytest.raises(FileError, match=r"a\.ndjson:151: column 'extra': .*--type extra=float"),
    ):
        values(file)
    with opened(tmp_path / "a.ndjson", lines(late), types={"extra": "float"}) as file:
        found = [value for batch in file.batches() for value in batch["extra"].to_pylist()]
    assert [value for value in found if value is not None] == [1.5]


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ('{"ts": 1, "v": ', "not JSON"),
        ("3", "expected an object, got 3"),
        ('{"ts": 1, "v": "off", "note": "n"}', "column 'v': expected a number, got \"off\""),
        ('{"ts": 1, "v": true, "note": "n"}', "column 'v': expected a number, got true"),
        ('{"ts": 1, "v": 1, "note": 7}', "column 'note': expected a text, got 7"),
        ('{"ts": 1, "v": [1], "note": "n"}', r"column 'v': expected a number, got \[1\]"),
        ('{"ts": -1, "v": 1, "note": "n"}', "column 'ts': .*before 1970"),
        ('{"ts": 1.5, "v": 1, "note": "n"}', "column 'ts': expected an integer"),
        (
            '{"ts": 1, "v": 9007199254740993, "note": "n"}',
            "column 'v': the integer 900",
        ),
    ],
)
def test_bad_object_is_named_by_its_line_or_left_out_and_counted(
    tmp_path: Path, bad: str, text: str
) -> None:
    whole = lines(ROWS[:150]) + bad + "\n" + lines(ROWS[150:])
    with (
        opened(tmp_path / "a.ndjson", whole) as file,
        pytest.raises(FileError, match=rf"a\.ndjson:151: {text}"),
    ):
        values(file)
    with opened(tmp_path / "a.ndjson", whole, skip_bad=True) as file:
        assert values(file) == [row["v"] for row in ROWS]
        assert file.bad_lines == 1
        assert [error.line for error in file.first_bad] == [151]
        assert [file.row_label(row) for row in (149, 150)] == ["line 150", "line 152"]


def test_bad_object_of_an_array_is_named_by_its_place(tmp_path: Path) -> None:
    text = json.dumps([*ROWS[:3], {**ROWS[3], "v": 2**53 + 1}])
    with (
        opened(tmp_path / "a.json", text) as file,
        pytest.raises(FileError, match=r"a\.json: column 'v': object 4: the integer"),
    ):
        values(file)


@pytest.mark.parametrize(
    ("types", "text"),
    [
        ({"w": "float"}, "column 'w': the file has no such column; it has 'ts', 'v', 'note'"),
        ({"v": "mixed"}, "'mixed' of 'v' is nothing that a file of JSON has"),
        ({"v": "string"}, "column 'v': expected a text, got 0"),
    ],
)
def test_type_that_no_object_has_is_an_error(
    tmp_path: Path, types: dict[str, str], text: str
) -> None:
    with pytest.raises(FileError, match=text):
        opened(tmp_path / "a.ndjson", lines(ROWS), types=types)

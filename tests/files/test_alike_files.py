"""Short CSV files of one header, read as one before them: they give what they give alone."""

from pathlib import Path
from typing import Any

import pytest

from siridb_fast import FileError
from siridb_fast.files.csv.alike import AlikeFiles
from siridb_fast.files.csv.reader import CsvTable
from siridb_fast.files.open import ReadOptions

FIRST = "time,v,state\n2024-01-01T00:00:00Z,1.5,on\n2024-01-01T01:00:00Z,2.5,off\n"
ALONE = {  # of the same header
    "the same": FIRST,
    "other rows": "time,v,state\n2025-01-01T00:00:00Z,-7,idle\n",
    "missing values": "time,v,state\n2025-01-01T00:00:00Z,1,\n,1,on\n",
    "finer times": "time,v,state\n2025-01-01T00:00:00.123456Z,1,on\n",
    "local times": "time,v,state\n2025-01-01 00:00:00,1,on\n",
    "numbers as states": "time,v,state\n2025-01-01T00:00:00Z,1,1\n2025-01-01T00:00:01Z,2,0\n",
    "texts as numbers": "time,v,state\n2025-01-01T00:00:00Z,high,on\n",
    "decimal commas": 'time,v,state\n2025-01-01T00:00:00Z,"1,5",on\n',
    "other times": "time,v,state\n25.12.2024 00:00,1,on\n",
    "seconds": "time,v,state\n1700000000,1,on\n",
    "quotes": 'time,v,state\n2025-01-01T00:00:00Z,1,"a\n""b"""\n2025-01-02T00:00:00Z,2,on\n',
    "carriage returns": "time,v,state\r\n2025-01-01T00:00:00Z,1,on\r\n",
    "semicolons": "time;v;state\n2025-01-01T00:00:00Z;1;on\n",
    "another order": "v,time,state\n1,2025-01-01T00:00:00Z,on\n",
    "a bad line": "time,v,state\n2025-01-01T00:00:00Z,1,on\n2025-01-01T00:00:01Z,1\n",
    "not UTF-8": "time,v,state\n2025-01-01T00:00:00Z,1,\udcff\n",
    "a long file": FIRST + "2025-01-01T00:00:00Z,1,on\n" * 3000,
    "nothing": "",
}


def opened(folder: Path, text: str, alike: AlikeFiles | None, name: str = "b.csv") -> Any:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    options = ReadOptions(types={"state": "string"} if "said" in name else {})
    return CsvTable(path, options) if alike is None else alike.opened(path, options)


def content(folder: Path, text: str, alike: AlikeFiles | None) -> Any:
    """Return what a file gives, also what its errors say."""
    try:
        with opened(folder, text, alike) as table:
            rows = [row for batch in table for row in batch.to_pylist()]
            labels = [table.row_label(row) for row in range(min(len(rows), 9))]
            again = [row for batch in table.batches(1, ["v"]) for row in batch.to_pylist()]
            return table.schema, rows, labels, again, table.bytes_read
    except FileError as exc:
        return str(exc)


@pytest.mark.parametrize("case", ALONE)
def test_file_gives_what_it_gives_alone(tmp_path: Path, case: str) -> None:
    alike = AlikeFiles()
    opened(tmp_path, FIRST, alike, "a.csv")
    assert content(tmp_path, ALONE[case], alike) == content(tmp_path, ALONE[case], None)


def test_file_that_fits_is_read_as_the_one_before(tmp_path: Path) -> None:
    alike = AlikeFiles()
    first = opened(tmp_path, FIRST, alike, "a.csv")
    assert opened(tmp_path, ALONE["other rows"], alike).columns is first.columns
    assert opened(tmp_path, ALONE["decimal commas"], alike).columns is not first.columns
    (tmp_path / "c.tsv").write_text(FIRST)
    assert alike.opened(tmp_path / "c.tsv", ReadOptions()).columns is not first.columns
    other = alike.opened(tmp_path / "a.csv", ReadOptions(types={"v": "integer"}))
    assert other.columns is not first.columns


@pytest.mark.parametrize(
    "text",
    ['time,v\n2024-01-01T00:00:00Z,"1,5"\n', "time,v\n13/04/2024,1\n", "time;v\n13.04.2024;1,5\n"],
)
def test_what_could_be_read_otherwise_is_taken_over_by_nobody(tmp_path: Path, text: str) -> None:
    alike = AlikeFiles()
    first = opened(tmp_path, text, alike, "a.csv")
    assert opened(tmp_path, text, alike).columns is not first.columns


@pytest.mark.parametrize("rows", ["", "2025-01-01T00:00:00Z,,\n,1,on\n"])
def test_what_a_file_does_not_show_is_as_in_the_one_before(tmp_path: Path, rows: str) -> None:
    alike = AlikeFiles()
    first = opened(tmp_path, FIRST, alike, "a.csv")
    with opened(tmp_path, "time,v,state\n" + rows, alike) as table:
        assert table.schema == first.schema
        assert sum(batch.num_rows for batch in table) == rows.count("\n")

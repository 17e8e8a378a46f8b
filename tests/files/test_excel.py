"""Spreadsheets, written by openpyxl: their sheets are read as CSV files are."""

import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from siridb_fast import FileError
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.open import ReadOptions, find_files, open_file
from siridb_fast.files.paths import Format
from siridb_fast.loading.options import LoadOptions

AT = [datetime(2024, 1, day, 12, 30, 15) for day in (1, 2, 3)]
HEADER = ["When", "Flow, m³/s", "State"]
OPEN_DOCUMENT = "urn:oasis:names:tc:opendocument:xmlns"
NAMESPACES = ("office", "table", "text")
ROWS: list[list[Any]] = [HEADER, *([at, 1.5 * n, f"s{n}"] for n, at in enumerate(AT))]


def written(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def open_document(path: Path, rows: list[list[str]]) -> Path:
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    lines = ["".join(map(cell.format, row)) for row in rows]
    body = "".join(f"<table:table-row>{line}</table:table-row>" for line in lines)
    names = " ".join(f'xmlns:{name}="{OPEN_DOCUMENT}:{name}:1.0"' for name in NAMESPACES)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet>"
            f'<table:table table:name="Data">{body}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def read(path: Path, sheet: str | None = None, **options: Any) -> list[dict[str, Any]]:
    with open_file(path, ReadOptions(csv=CsvGiven(sheet=sheet), **options)) as file:
        rows = [row for batch in file for row in batch.to_pylist()]
        assert file.bytes_read == file.size
        return rows


def test_sheet_is_read_with_its_types(tmp_path: Path) -> None:
    rows = read(written(tmp_path / "a.xlsx", Data=ROWS))
    assert [row["When"].to_pydatetime() for row in rows] == [at.replace(tzinfo=UTC) for at in AT]
    assert [row["Flow, m³/s"] for row in rows] == [0.0, 1.5, 3.0]
    assert [row["State"] for row in rows] == ["s0", "s1", "s2"]


@pytest.mark.parametrize(
    ("cell", "read_as"),
    [
        (7, 7.0), (-0.125, -0.125), (1e300, 1e300), (2**53 - 1, 2.0**53 - 1),
        (True, True), ("high", "high"), ('a,"b"\nc', 'a,"b"\nc'), (timedelta(hours=1), 3600.0),
        (time(1, 2, 3), "01:02:03"),
    ],
)  # fmt: skip
def test_each_kind_of_cell_is_read(tmp_path: Path, cell: Any, read_as: Any) -> None:
    rows = [["time", "v"], [AT[0], cell], [AT[1], cell], [AT[2], None]]
    found = read(written(tmp_path / "a.xlsx", Data=rows))
    assert [row["v"] for row in found] == [read_as, read_as, None]


def test_dates_without_a_time_are_times(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["day", "v"], [date(2024, 1, 1), 1], [date(2024, 1, 2), 2]]
    found = read(written(tmp_path / "a.xlsx", Data=rows))
    assert [row["day"].isoformat() for row in found] == [
        "2024-01-01T00:00:00+00:00", "2024-01-02T00:00:00+00:00",
    ]  # fmt: skip


def test_title_above_the_header_and_empty_rows_are_passed_over(tmp_path: Path) -> None:
    rows = [[], ["Report of the plant"], [], *ROWS, [], [datetime(2024, 1, 9), 9, "x"]]
    path = written(tmp_path / "a.xlsx", Data=rows)
    assert [row["State"] for row in read(path)] == ["s0", "s1", "s2", "x"]
    with open_file(path, ReadOptions(time="When")) as file:
        assert sum(batch.num_rows for batch in file) == 4
        assert [file.row_label(row) for row in (0, 3)] == ["line 5", "line 9"]  # as Excel counts


def test_sheet_is_the_only_one_with_something_or_the_one_that_is_said(tmp_path: Path) -> None:
    one = written(tmp_path / "one.xlsx", Empty=[], Data=ROWS)
    assert len(read(one)) == 3
    two = written(tmp_path / "two.xlsx", January=ROWS, February=ROWS[:2])
    assert [len(read(two, sheet)) for sheet in ("January", "February")] == [3, 1]
    with pytest.raises(FileError, match=r"several sheets: 'January', 'February'; .*--sheet"):
        read(two)
    with pytest.raises(FileError, match="no sheet 'March'; there are 'January', 'February'"):
        read(two, "March")


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.json", "a.parquet", "a.feather"])
def test_sheet_of_what_is_no_spreadsheet_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = pa.table({"ts": ["2024-01-01"], "v": [1.5]})
    write: dict[str, Callable[[], object]] = {
        "csv": lambda: path.write_text("ts,v\n2024-01-01,1.5\n"),
        "ndjson": lambda: path.write_text('{"ts": "2024-01-01", "v": 1.5}\n'),
        "json": lambda: path.write_text('[{"ts": "2024-01-01", "v": 1.5}]'),
        "parquet": lambda: pq.write_table(table, path),
        "feather": lambda: feather.write_feather(table, str(path)),
    }
    write[path.suffix.removeprefix(".")]()
    assert [row["v"] for row in read(path)] == [1.5]
    with pytest.raises(FileError, match=r"sheet= \(--sheet\) is of spreadsheets; ") as caught:
        read(path, "Data")
    assert caught.value.file == str(path)


def test_bad_cell_is_named_by_its_row(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", Data=[*ROWS, [AT[0], "broken", "s"]])
    with pytest.raises(FileError, match=r"a\.xlsx:5: column 'Flow, m³/s'"):
        read(path)


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.ods", "a.xlsb"])
def test_what_is_no_spreadsheet_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("ts,v\n1,2\n")
    with pytest.raises(FileError, match="not a spreadsheet that can be read"):
        read(path)


@pytest.mark.parametrize("name", ["data", "data.bin", "data.csv", "data.ods", "data.XLSX"])
def test_format_that_is_said_goes_before_the_suffix(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.xlsx", Data=ROWS, More=ROWS[:2]).rename(tmp_path / name)
    assert find_files([tmp_path], "xlsx") == [path]
    assert len(read(path, "Data", format="xlsx")) == 3
    with pytest.raises(FileError, match="several sheets"):
        read(path, format="xlsx")


@pytest.mark.parametrize("said", ["xlsx", "xls", "xlsb", "ods"])
def test_format_is_that_of_any_spreadsheet(tmp_path: Path, said: Format) -> None:
    path = written(tmp_path / "a.xlsx", Data=ROWS).rename(tmp_path / "data")
    assert LoadOptions.of({"format": said}).format == said
    assert len(read(path, format=said)) == 3
    path.write_text("ts,v\n1,2\n")
    with pytest.raises(FileError, match="not a spreadsheet that can be read"):
        read(path, format=said)


def test_open_document_is_read_under_any_name(tmp_path: Path) -> None:
    for name in ("a.ods", "data"):
        path = open_document(tmp_path / name, [["time", "v"], ["2024-01-01", "high"]])
        assert [row["v"] for row in read(path, format="ods")] == ["high"]


def test_spreadsheet_in_a_folder_of_tables_is_left_out(tmp_path: Path) -> None:
    book = written(tmp_path / "notes.xlsx", Data=ROWS)
    (tmp_path / "~$notes.xlsx").touch()  # as Excel makes it
    assert find_files([tmp_path]) == [book]
    (tmp_path / "a.csv").write_text("ts,v\n1,2\n")
    assert find_files([tmp_path]) == [tmp_path / "a.csv"]
    with pytest.raises(FileError, match="suffix is not known"):
        find_files([written(tmp_path / "b.xlsx", D=ROWS).rename(tmp_path / "b.xlsx.gz")])

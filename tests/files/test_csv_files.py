"""CSV: types, times, missing values, bad lines; the line of every row."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.errors import FileError
from siridb_fast.files.base import TableFile
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.lines import LineMap, record_lines, whole_records
from siridb_fast.files.csv.text_blocks import TextBlocks
from siridb_fast.files.csv.typed_blocks import TypedBlocks
from siridb_fast.files.open import ReadOptions, open_file

SAID = CsvGiven.__dataclass_fields__


def opened(folder: Path, text: str | bytes, **options: Any) -> TableFile:
    path = folder / "a.csv"
    path.write_bytes(encoded(text))
    said = {name: options.pop(name) for name in [*options] if name in SAID}
    return open_file(path, ReadOptions(csv=CsvGiven(**said), **options))


def encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def read(folder: Path, text: str | bytes, **options: Any) -> pa.Table:
    with opened(folder, text, **options) as file:
        return pa.Table.from_batches(file, schema=file.schema)


VALUES: list[tuple[list[str], str | None, str, list[Any]]] = [
    (["1", "-2", "+3", " 4 "], None, "double", [1.0, -2.0, 3.0, 4.0]),
    (["1", "-2", "+3", " 4 "], "integer", "int64", [1, -2, 3, 4]),
    (["9223372036854775807", "-9223372036854775808"], "integer", "int64", [2**63 - 1, -(2**63)]),
    (["9007199254740993", "1"], "float", "double", [2.0**53, 1.0]),
    (["9007199254740992", "1e300"], None, "double", [2.0**53, 1e300]),
    (["9223372036854775808", "1"], None, "double", [2.0**63, 1.0]),
    (["1", "2.5", "1e3", ".5", "-inf"], None, "double", [1.0, 2.5, 1000.0, 0.5, float("-inf")]),
    (["1", "", "NA", "null", "N/A"], None, "double", [1.0, None, None, None, None]),
    (["1", "", "NA", "null", "N/A"], "integer", "int64", [1, None, None, None, None]),
    (["1.5", "NaN", "nan", '""'], None, "double", [1.5, None, None, None]),
    (["", ""], None, "double", [None, None]),
    (["a", "1", "b"], None, "string", ["a", "1", "b"]),
    (["a", "", '""', "NA", '"x ""y"""'], None, "string", ["a", None, "", "NA", 'x "y"']),
    (["1", "2"], "float", "double", [1.0, 2.0]),
    (["1", "NA"], "string", "string", ["1", "NA"]),
    (["true", "False", "1", "", "0"], "bool", "bool", [True, False, True, None, False]),
    (["true", "false"], None, "bool", [True, False]),
]


@pytest.mark.parametrize(("fields", "kind", "arrow", "expected"), VALUES)
def test_column_takes_its_type_from_its_values_or_as_given(
    tmp_path: Path, fields: list[str], kind: str | None, arrow: str, expected: list[Any]
) -> None:
    text = "ts,v\n" + "".join(f"{row},{field}\n" for row, field in enumerate(fields))
    table = read(tmp_path, text, types={} if kind is None else {"v": kind})
    assert str(table.schema.field("v").type) == arrow
    assert table["v"].to_pylist() == expected


NOON = 1_704_110_400_000_000_000  # 2024-01-01T12:00:00Z
TIMES: list[tuple[list[str], str, list[int]]] = [
    (["5", " 6", "7"], "int64", [5, 6, 7]),
    (["2024-01-01T12:00:00", "2024-01-01 12:00"], "ns", [NOON, NOON]),
    (["2024-01-01T12:00:00Z", "2024-01-01 14:00:00+02:00"], "ns", [NOON, NOON]),
    (["2024-01-01T12:00:00", "2024-01-01T07:00:00.5-0500"], "ns", [NOON, NOON + 500_000_000]),
    (["2024-01-01T12:00:00.123456789"], "ns", [NOON + 123_456_789]),
    (["2024-01-01"], "ns", [NOON - 43_200 * 10**9]),
    (["2262-04-11T23:47:16.854775807"], "ns", [2**63 - 1]),
    (["9999-12-31T23:59:59.999999Z"], "us", [253402300799999999]),
    (["1970-01-01"], "ns", [0]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "kind", "expected"), TIMES)
def test_times_are_exact(
    tmp_path: Path, fields: list[str], kind: str, expected: list[int]
) -> None:
    table = read(tmp_path, "\n".join(["ts", *fields]), time="ts")
    assert str(table["ts"].type) in (kind, f"timestamp[{kind}, tz=UTC]")
    assert table["ts"].cast(pa.int64()).to_pylist() == expected


def test_only_column_of_iso_times_is_that_of_times(tmp_path: Path) -> None:
    table = read(tmp_path, "time,a\n2024-03-01 00:00:00,3.1\n2024-03-01 00:10:00,3.2\n")
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert table["a"].to_pylist() == [3.1, 3.2]


def test_number_with_a_comma_is_never_text(tmp_path: Path) -> None:
    for field, number in [("1,5", 1.5), ("1,234.5", 1234.5), ("1 234,5", 1234.5)]:
        assert read(tmp_path, f'ts,v\n1,"{field}"\n', time="ts")["v"].to_pylist() == [number]
    with pytest.raises(FileError, match="decimal"):
        read(tmp_path, 'ts,v\n1,"1,234"\n', time="ts")


@pytest.mark.parametrize("field", ["1.5", "1.234,5", "1,5,5", "1e", "x"])
def test_number_that_is_written_otherwise_in_a_later_line_is_an_error(
    tmp_path: Path, field: str
) -> None:
    text = "ts;v\n" + "1;1,5\n" * 2000 + f"1;{field}\n"
    with pytest.raises(FileError, match=rf"a.csv:2002: column 'v': .*{field}"):
        read(tmp_path, text, time="ts")


def test_another_column_can_be_of_times(tmp_path: Path) -> None:
    table = read(tmp_path, "ts,seen\n1,2024-01-01\n", time="ts", types={"seen": "time"})
    assert table["seen"].cast(pa.timestamp("s", "UTC")).to_pylist() == [
        datetime(2024, 1, 1, tzinfo=UTC)
    ]


LONG = "ts,v\n" + "".join(f"{row},{row}\n" for row in range(100))
BAD: list[tuple[str | bytes, int, str | None, str]] = [
    (LONG + "100,x\n", 102, "v", r"got 'x'.*skip_bad"),
    (LONG + "soon,1\n", 102, "ts", "expected a number since 1970, got 'soon'"),
    ("ts,v\n2024-01-01,1\n2024-02-30,1\n", 3, "ts", "an ISO 8601 time.*'2024-02-30'"),
    (LONG + "1,-9007199254740993\n", 102, "v", "-9007199254740993 is not exact .*--type v=int"),
    (LONG + "1,2,3\n", 102, None, "expected 2 fields, got 3: '1,2,3'"),
    (LONG + "\n\n1\n", 104, None, "expected 2 fields, got 1: '1'"),
    ("ts,é\n1,2\n\n1,".encode() + b"\xe9\n", 4, None, "not UTF-8"),
    ("ts,n,v\n1,\"a\nb\",2\n1,c,3\n1,d,4\n1,e,x\n", 6, "v", "got 'x'"),
]  # fmt: skip


@pytest.mark.parametrize("batch_bytes", [128, 1 << 24])
@pytest.mark.parametrize(("text", "line", "column", "reason"), BAD)
def test_bad_line_is_named(
    tmp_path: Path, text: str | bytes, line: int, column: str | None, reason: str, batch_bytes: int
) -> None:
    file = opened(tmp_path, text, time="ts", batch_bytes=batch_bytes)
    with pytest.raises(FileError, match=rf"^.*a\.csv:{line}: .*{reason}") as caught:
        list(file)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(("text", "line", "column", "reason"), BAD)
def test_bad_line_is_left_out_and_counted_on_request(
    tmp_path: Path, text: str | bytes, line: int, column: str | None, reason: str
) -> None:
    with opened(tmp_path, text, time="ts", skip_bad=True, batch_bytes=128) as file:
        rows = sum(batch.num_rows for batch in file)
        assert file.bad_lines == 1
        assert [(bad.line, bad.column) for bad in file.first_bad] == [(line, column)]
    records = [*csv.reader(io.TextIOWrapper(io.BytesIO(encoded(text)), "latin-1"))]
    assert rows == len([*filter(None, records)]) - 2  # the header and the bad one


def test_float_in_a_later_batch_of_an_integer_column_says_how_to_go_on(tmp_path: Path) -> None:
    file = opened(tmp_path, LONG + "100,1.5\n", batch_bytes=128, types={"v": "integer"})
    way = r"an integer of 64 bits, got '1\.5'; to go on: types=\{'v': 'float'\} \(--type v=float\)"
    with pytest.raises(FileError, match=rf"a\.csv:102: column 'v': expected {way}"):
        list(file)
    assert read(tmp_path, LONG + "100,1.5\n")["v"].to_pylist()[-1] == 1.5


@pytest.mark.parametrize("batch_bytes", [128, 1000, 1 << 24])
@pytest.mark.parametrize("start", [0, 1, 200])
def test_every_row_knows_its_line_among_bad_blank_and_long_ones(
    tmp_path: Path, batch_bytes: int, start: int
) -> None:
    lines, expected, bad = ["line,note"], [], 0
    for number in range(500):
        kind = number % 11 if number > 5 else 0
        here = len(lines) + 1
        if kind == 3:
            lines += ["", "  "]
        elif kind in (5, 6):
            lines.append(f"{here},x,y" if kind == 5 else "oops,x")
            bad += 1
        elif kind == 8:
            lines += [f'{here},"several', "", 'lines, ""all"" one"']
            expected.append(here)
        else:
            lines.append(f'{here},5" wide')
            expected.append(here)
    text = "\r\n".join(lines)
    with opened(tmp_path, text, skip_bad=True, batch_bytes=batch_bytes) as file:
        found = [row for batch in file.batches(start) for row in batch["line"].to_pylist()]
        assert found == expected[start:]
        assert file.bad_lines == bad
        assert len(file.first_bad) == 10
        labels = [file.row_label(row) for row in range(len(expected))]
        with pytest.raises(IndexError, match="not among the"):
            file.row_label(len(expected))
    assert labels == [f"line {line}" for line in expected]


def test_line_that_was_forgotten_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "line,v\n" + "".join(f"\n{3 + 2 * row},1\n" for row in range(300))
    monkeypatch.setattr("siridb_fast.files.csv.reader.LineMap", lambda: LineMap(50))
    with opened(tmp_path, text, batch_bytes=256, types={"line": "integer"}) as file:
        lines = [line for batch in file for line in batch["line"].to_pylist()]
        labels = [file.row_label(row) for row in range(0, 300, 23)]
    assert lines == [*range(3, 603, 2)]
    assert labels == [f"line {line}" for line in lines[::23]]


def test_line_map_forgets_what_was_read_first() -> None:
    lines = LineMap(10)
    for block in range(10):
        lines.add(np.arange(block * 10, block * 10 + 10, 2))
    assert [lines.line(row) for row in (0, 39, 40, 49)] == [None, None, 80, 98]


HEADERS: list[tuple[str | bytes, str]] = [
    ("", "a.csv: the file is empty, expected a header"),
    ("\n\n", "a.csv: the file is empty, expected a header"),
    ('ts,v\n1,2\n3,"4\n5,6\n', 'a.csv:3: a quoted field that begins here or soon after has no'),
    ("ts,v\r1,2\r", "a.csv:1: the header"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), HEADERS)
def test_text_that_is_no_table_is_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(FileError) as caught:
        read(tmp_path, text)
    assert reason in str(caught.value)


ROWS = [f"{row},{row}.5" for row in range(1000)]
DRESSES = [{}, {"encoding": "utf-16-le"}, {"encoding": "latin-1"}]


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("end", ["", "0", "0,", '0,"', "999,9"])
def test_file_that_becomes_shorter_gives_its_whole_lines_and_an_error(
    tmp_path: Path, dress: dict[str, str], end: str
) -> None:
    encoding = dress.get("encoding", "utf-8")
    text = "\n".join(["ts,v", *ROWS, ""]).encode(encoding)
    cut = "\n".join(["ts,v", *ROWS[:700], end]).encode(encoding)
    rows: list[float] = []
    with opened(tmp_path, text, time="ts", batch_bytes=128, **dress) as file:
        (tmp_path / "a.csv").write_bytes(cut)
        rows_of_batches = (row for batch in file for row in batch["v"].to_pylist())
        with pytest.raises(FileError, match=f"shorter .* had {len(text):,} .* after {len(cut):,}"):
            rows.extend(map(float, rows_of_batches))
    assert rows == [row + 0.5 for row in range(700)]


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("end", ["", "0", "0,", '0,"x', "999,9"])
def test_of_a_file_that_grows_the_lines_are_read_that_it_had(
    tmp_path: Path, dress: dict[str, str], end: str
) -> None:
    encoding = dress.get("encoding", "utf-8")
    path = tmp_path / "a.csv"
    text = "\n".join(["ts,v", *ROWS, end]).encode(encoding)
    with opened(tmp_path, text, time="ts", batch_bytes=128, **dress) as file:
        with path.open("ab") as grown:
            grown.write("5\n1000,1000.5\n".encode(encoding))
        rows = [row for batch in file for row in batch["v"].to_pylist()]
    assert rows == [row + 0.5 for row in range(1000)]


def test_line_within_quotes_is_no_comment(tmp_path: Path) -> None:
    text = 'ts,note\n# "x\n1,"a\n# b"\n# y\n2,c\n'
    table = read(tmp_path, text, time="ts", comment="#")
    assert table.to_pydict() == {"ts": [1, 2], "note": ["a\n# b", "c"]}


SAME: list[tuple[str, dict[str, Any]]] = [
    ("1,2.5,x\n" * 30, {}),
    ("1,2.5,x\n" * 30, {"names": ("c",)}),
    ("1,2.5,x\n,,\n3,NA,NA\n4,nan,nan\n" * 9, {}),
    ('1,2.5,x\n\n2,"3.5","a\nb"\n3,+1,""\n' * 9, {"names": ("c",)}),
    ("1,2.5,x\n1,-,-\n1, - ,y\n" * 9, {"nulls": ("-",)}),
    ("1,2.5,x\n1,-,-\n1, - ,y\n" * 9, {"nulls": ("-",), "names": ("c",)}),
    ("1;2,5;x\n2;3;y\n" * 9, {"decimal": ",", "delimiter": ";"}),
    ("1;1.234,5;x\n2;3;y\n" * 9, {"decimal": ",", "thousands": ".", "delimiter": ";"}),
    ("2024-01-01 10:00,1e20,x\n2024-01-02,9007199254740992,y\n" * 9, {}),
    ("2024-01-01 10:00Z,-1e20,x\n2024-01-01T10:00+01:00,1,y\n" * 9, {}),
    ("2024-01-01 10:00Z,1,x\n2024-01-01T10:00,1,y\n" * 9, {}),
    ("2024-07-01 10:00,1,x\n2024-01-01T10:00,1,y\n" * 9, {"time_zone": "Europe/Berlin"}),
    ("01.02.2024 10:00,1,x\n13.02.2024 10:00,1,y\n" * 9, {}),
    ("1,true,é\r\n2,FALSE,y\r\n3,,z\r\n" * 9, {}),
    ("1.5,1,x\n2.25,2,y\n" * 9, {"unit": "s"}),
    ("1 , 2.5 , x\n2, 3, y\n" * 9, {"types": {"b": "integer"}, "skip_bad": True}),
]


@pytest.mark.parametrize("batch_bytes", [128, 1 << 24])
@pytest.mark.parametrize(("text", "options"), SAME)
def test_block_is_read_alike_as_values_and_as_texts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    options: dict[str, Any],
    batch_bytes: int,
) -> None:
    text = "a,b,c\n".replace(",", options.get("delimiter", ",")) + text
    with opened(tmp_path, text, time="a", batch_bytes=batch_bytes, **options) as file:
        table = pa.Table.from_batches(file, schema=file.schema)
        lines = [file.row_label(row) for row in range(table.num_rows)]
    monkeypatch.setattr(TypedBlocks, "read", lambda *_: None)
    with opened(tmp_path, text, time="a", batch_bytes=batch_bytes, **options) as file:
        slowly = pa.Table.from_batches(file, schema=file.schema)
        assert [file.row_label(row) for row in range(slowly.num_rows)] == lines
    assert table.to_pydict() == slowly.to_pydict()
    assert table.schema == slowly.schema


@pytest.mark.parametrize(("text", "options"), [SAME[0], SAME[1], SAME[6], SAME[8], SAME[9]])
def test_plain_block_is_read_straight_into_its_kinds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, options: dict[str, Any]
) -> None:
    def read_as_texts(*_: Any) -> Any:
        raise AssertionError("it was read as texts")

    text = "a,b,c\n".replace(",", options.get("delimiter", ",")) + text.replace("1e20", "1e10")
    monkeypatch.setattr(TextBlocks, "read", read_as_texts)
    assert read(tmp_path, text.replace("9007199254740992", "1"), time="a", **options).num_rows


def test_header_may_have_quotes_and_blanks(tmp_path: Path) -> None:
    table = read(tmp_path, '"the\ntime"; v\n1; 2\n', delimiter=";")
    assert table.to_pydict() == {"the\ntime": [1], "v": [2]}


def test_line_longer_than_a_block_is_read(tmp_path: Path) -> None:
    text = "ts,v\n" + "".join(f"{row},{'x' * 5000}\n" for row in range(5))
    assert read(tmp_path, text, batch_bytes=100)["v"].to_pylist() == ["x" * 5000] * 5


@given(
    st.lists(
        st.lists(st.text('a,"\n\r ', max_size=5), min_size=2, max_size=2).filter(any), max_size=8
    )
)
def test_records_are_those_of_the_csv_module(rows: list[list[str]]) -> None:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    text = sink.getvalue().encode()
    lines, after = record_lines(text, ",", 1)
    heights = [1 + sum(field.count("\n") for field in row) for row in rows]
    assert lines.tolist() == np.cumsum([1, *heights])[:-1].tolist()
    assert after == 1 + sum(heights)
    for cut in range(len(text) + 1):
        end, ends = whole_records(text[:cut], ",")
        assert text[:end] in {b"".join(pieces(rows)[:count]) for count in range(len(rows) + 1)}
        assert ends == text[:end].count(b"\n")


def pieces(rows: list[list[str]]) -> list[bytes]:
    quoted = [[field.replace('"', '""') for field in row] for row in rows]
    return [",".join(f'"{field}"' for field in row).encode() + b"\n" for row in quoted]

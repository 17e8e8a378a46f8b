"""Blocks of plain fields: the kernel reads what pyarrow reads, to the bit, or leaves it to it."""

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.errors import FileError
from siridb_fast.files._plain_records import joined_texts, numbered_texts, read_plain
from siridb_fast.files._records import count_ends, has_byte, is_ascii, scan_records
from siridb_fast.files.csv import plain_blocks
from siridb_fast.files.csv.blocks import Block
from siridb_fast.files.csv.given import CsvGiven
from siridb_fast.files.csv.plain_blocks import PlainBlocks
from siridb_fast.files.open import ReadOptions, open_file

LEFT_OUT, FLOAT, INTEGER, TEXT = range(4)
NO_TEXTS = np.empty((0, 1), np.int32)


def one_number(text: str, kind: int = FLOAT, point: str = ".") -> float | int | None:
    """Return what a field is read as; None if it is not plain."""
    numbers, missing = np.empty((1, 1), np.int64), np.zeros(1, np.int64)
    line, kinds = f"{text}\n".encode(), np.array([kind], np.uint8)
    is_plain = read_plain(line, ord(";"), ord(point), kinds, numbers, missing, NO_TEXTS, NO_TEXTS)
    if not is_plain:
        return None
    found = numbers.view(np.float64) if kind == FLOAT else numbers
    return found[0, 0].item()  # type: ignore[no-any-return]


DIGITS = st.text("0123456789", max_size=25)
NUMBERS = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, places=3).map(str),
    st.builds("{}{}.{}e{}".format, st.sampled_from(["", "-", "+"]), DIGITS, DIGITS, DIGITS),
    st.text("0123456789.,eE+-_ infa", max_size=12),
)


@given(NUMBERS)
def test_float_is_that_of_python_or_is_not_plain(text: str) -> None:
    value = one_number(text)
    if value is not None and text:
        assert value == float(text)
        assert np.signbit(value) == np.signbit(float(text))
        assert pa.array([text]).cast(pa.float64())[0].as_py() == value


@given(NUMBERS)
def test_integer_is_that_of_python_or_is_not_plain(text: str) -> None:
    value = one_number(text, INTEGER)
    if value is not None:
        assert value == int(text)


PLAIN = ["0", "-0", "7", "12.5", "-12.500", "0.001", "1e5", "2.5E-3", "123456789012345"]
PLAIN += ["0.1234567890123456789", "1.7976931348623157e308", "9007199254740991"]
ODD = [".5", "5.", "+1", " 1", "1 ", "1_0", "nan", "inf", "1e", "1e+", "--1", "-", "0x1", "1e400"]
ODD += ["9007199254740993", "1e-400", '"1"', "1,5"]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_floats(text: str) -> None:
    assert one_number(text) == float(text)
    assert one_number(text.replace(".", ","), point=",") == float(text)


@pytest.mark.parametrize("text", ODD)
def test_what_is_left_to_others(text: str) -> None:
    assert one_number(text) is None


def test_integers_beyond_64_bits_are_left_to_others() -> None:
    assert one_number("1732704000123456789", INTEGER) == 1732704000123456789
    assert one_number("-9223372036854775807", INTEGER) == -(2**63) + 1
    for text in ("9223372036854775808", "12345678901234567890", "007", "1.0", "", "1e3"):
        assert one_number(text, INTEGER) is None


FIELDS = st.one_of(
    st.text('ab ,"\n5', max_size=8), st.integers(0, 10**12).map(str), st.just('"a b"')
)


@given(st.lists(st.lists(FIELDS, min_size=2, max_size=2), min_size=1, max_size=6))
def test_texts_are_those_of_the_csv_module_or_are_not_plain(rows: list[list[str]]) -> None:
    text = "".join(f"{','.join(row)}\n" for row in rows).encode()
    starts, stops = (np.empty((2, len(rows)), np.int32) for _ in range(2))
    kinds, none = np.array([TEXT, TEXT], np.uint8), np.empty((0, len(rows)), np.int64)
    if not read_plain(text, ord(","), ord("."), kinds, none, none[:, 0], starts, stops):
        return
    found = [
        [text[start:stop].decode() for start, stop in zip(*spans, strict=True)]
        for spans in zip(starts.T, np.maximum(starts, stops).T, strict=True)
    ]
    assert found == list(csv.reader(text.decode().split("\n")[:-1]))
    assert (
        (stops < starts)
        == [[field == "" for field in column] for column in zip(*rows, strict=True)]
    ).all()


@given(st.lists(st.sampled_from(["", "a", "host1", "host2", "x" * 8, "x" * 9, "y" * 40])))
def test_texts_are_numbered_and_joined(texts: list[str]) -> None:
    data = ("|".join(texts) + "|").encode()
    sizes = np.array([len(text) for text in texts], np.int32)
    starts = (np.cumsum(sizes + 1) - sizes - 1).astype(np.int32)
    codes, labels = numbered_texts(data, starts, starts + sizes)
    assert [labels[code].decode() for code in codes] == texts
    assert labels == [text.encode() for text in dict.fromkeys(texts)]
    offsets, joined, is_there = joined_texts(data, starts, starts + sizes)
    assert joined[: offsets[-1]].tobytes() == "".join(texts).encode()
    assert is_there.all()


@given(st.binary(max_size=600), st.integers(0, 255))
def test_bytes_of_a_text(text: bytes, byte: int) -> None:
    assert count_ends(text) == text.count(b"\n")
    assert is_ascii(text) == text.isascii()
    assert has_byte(text, byte) == (byte in text)


@given(st.lists(st.sampled_from(['"', ",", "\n", "a", "ab\n", '"a",', "x" * 9]), max_size=300))
def test_end_of_the_last_record_is_that_of_a_slow_scan(parts: list[str]) -> None:
    text = "".join(parts).encode()
    assert scan_records(text, ord(",")) == slow_scan(text)


def slow_scan(text: bytes) -> tuple[int, bool]:
    stop, is_inside, closed = 0, False, -1
    for at, character in enumerate(text):
        if character == ord('"'):
            if is_inside:
                is_inside, closed = False, at
            elif at == 0 or closed == at - 1 or text[at - 1] in b",\n\r":
                is_inside = True
        elif character == ord("\n") and not is_inside:
            stop = at + 1
    return stop, is_inside


# ---- whole files

ROWS = 700
NUMBER = random.Random(1).random


def file_text(fields: str, rows: int = ROWS) -> str:
    lines = (fields.format(row=row, number=100 * NUMBER(), host=row % 7) for row in range(rows))
    return "".join(f"{line}\n" for line in lines)


FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "wide": ("ts,a,b", "{row},{number:.3f},{row}.5", {}),
    "long": ("ts,host,v", '{row},"host {host}",{number:.2f}', {"names": ("host",)}),
    "exact": ("ts,a", "{row},{number!r}", {}),
    "exponents": ("ts,a", "{row},{number:.3e}", {}),
    "negative": ("ts,a", "{row},-{number:.3f}", {}),
    "ISO times": ("time,a", "2024-01-01T00:00:00.{row:03}Z,{number:.3f}", {}),
    "local times": (
        "time,a",
        "2024-01-01 00:00:00.{row:03},{number:.3f}",
        {"time_zone": "Asia/Tokyo"},
    ),
    "two columns of time": (
        "d,t,a",
        "2024-01-01,00:00:00.{row:03},{row}",
        {"time_columns": ("d", "t")},
    ),
    "seconds": ("ts,a", "{row},{number:.3f}", {"unit": "s"}),
    "integers": ("ts,a", "{row},{row}", {"types": {"a": "integer"}}),
    "texts": ("ts,a,s", "{row},{number:.3f},text é {row}", {}),
    "Windows": ("ts,a", "{row},{number:.3f}\r", {}),
    "decimal comma": ("ts;a", "{row};{row},5", {}),
    "no end": ("ts,a", "{row},{number:.3f}", {}),
    "columns left out": ("ts,a,b", "{row},{number:.3f},anything", {"ignore": ("b",)}),
    "booleans": ("ts,a", "{row},true", {}),
}


def table_of(path: Path, **options: Any) -> pa.Table:
    said = {
        name: options.pop(name) for name in [*options] if name in CsvGiven.__dataclass_fields__
    }
    with open_file(path, ReadOptions(csv=CsvGiven(**said), **options)) as file:
        return pa.Table.from_batches(file, schema=file.schema)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each block that was read was plain."""
    found: list[bool] = []
    read = PlainBlocks.read

    def noted(blocks: PlainBlocks, block: Block) -> pa.RecordBatch | None:
        batch = read(blocks, block)
        found.append(batch is not None)
        return batch

    monkeypatch.setattr(PlainBlocks, "read", noted)
    return found


def by_pyarrow(monkeypatch: pytest.MonkeyPatch, path: Path, **options: Any) -> pa.Table:
    with monkeypatch.context() as patched:
        patched.setattr(plain_blocks, "FEWEST_BYTES", 1 << 40)
        return table_of(path, **options)


@pytest.mark.parametrize("name", FILES)
def test_plain_files_are_read_as_pyarrow_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: list[bool], name: str
) -> None:
    header, fields, options = FILES[name]
    path = tmp_path / "a.csv"
    text = f"{header}\n{file_text(fields)}"
    path.write_text(text.removesuffix("\n") if name == "no end" else text, newline="")
    expected = by_pyarrow(monkeypatch, path, **options)
    assert not any(plain)
    plain.clear()
    found = table_of(path, **options)
    assert any(plain)
    assert found.num_rows == ROWS
    assert found.equals(expected)
    assert found.schema == expected.schema


@pytest.mark.parametrize("missing", ["", "NA"])
def test_missing_values_are_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: list[bool], missing: str
) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{row},{missing if row % 9 == 4 else row},{row},\n" for row in range(ROWS)]
    path.write_text("ts,a,b,c\n" + "".join(rows))
    found = table_of(path)
    assert plain == [missing == ""]
    assert found["a"].null_count == len(range(4, ROWS, 9))
    assert found["c"].null_count == ROWS
    assert found.equals(by_pyarrow(monkeypatch, path))


ODD_LINES = [
    '5,"1\n2"',
    "5",
    "5,1,2",
    "",
    "5, 1",
    '5,"1"',
    "5,+1",
    "5,x",
    "5,9007199254740993",
]


@pytest.mark.parametrize("line", ODD_LINES)
def test_a_block_with_an_odd_line_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: list[bool], line: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"ts,a\n{file_text('{row},{number:.3f}')}{line}\n7,8\n", newline="")
    results = []
    for read in (table_of, lambda *args: by_pyarrow(monkeypatch, *args)):
        try:
            results.append(read(path).to_pydict())
        except FileError as exc:
            results.append({"error": [str(exc)]})
    assert results[0] == results[1]
    assert plain == [False, False]


def test_a_null_that_is_a_number_stays_one_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,a\n" + file_text("{row},-999"))
    assert table_of(path, nulls=("-999",))["a"].null_count == ROWS


def test_a_file_that_is_not_plain_is_not_tried_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def noted(text: Any, *args: Any) -> bool:
        tried.append(len(text))
        return read_plain(text, *args)

    monkeypatch.setattr(plain_blocks, "read_plain", noted)
    monkeypatch.setattr("siridb_fast.files.csv.reader.MAX_THREADS", 1)
    path = tmp_path / "a.csv"
    path.write_text("ts,a\n" + file_text("{row},+{number:.3f}", 20 * ROWS))
    assert table_of(path, batch_bytes=16_384).num_rows == 20 * ROWS
    assert 0 < len(tried) <= plain_blocks.MOST_ODD + 3  # some are under way

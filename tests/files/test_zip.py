"""Archives of zip with one file, and files whose format is said because no suffix says it."""

import zipfile
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from siridb_fast import FileError
from siridb_fast.files.open import ReadOptions, find_files, open_file
from siridb_fast.files.paths import Format
from siridb_fast.files.text_file import TextFile

CSV = "ts,v\n2024-01-01,1.5\n2024-01-02,2.5\n"
NDJSON = '{"ts": "2024-01-01", "v": 1.5}\n{"ts": "2024-01-02", "v": 2.5}\n'


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def values(path: Path, said: Format | None = None) -> list[float]:
    with open_file(path, ReadOptions(time="ts", format=said)) as file:
        found = [value for batch in file for value in batch["v"].to_pylist()]
        assert file.bytes_read > 0
        return found


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("a.zip", {"data/a.csv": CSV}),
        ("a.zip", {"a.ndjson": NDJSON}),
        ("A.CSV.ZIP", {"whatever": CSV}),
        ("a.csv.zip", {"a.csv": CSV, "__MACOSX/._a.csv": "x", ".DS_Store": "x"}),
    ],
)
def test_archive_of_one_file_is_read(tmp_path: Path, name: str, members: dict[str, str]) -> None:
    path = zipped(tmp_path / name, **members)
    assert find_files([path]) == [path]
    assert values(path) == [1.5, 2.5]


def test_archive_in_another_encoding_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", CSV.encode("utf-16"))
    assert values(path) == [1.5, 2.5]


@pytest.mark.parametrize(
    ("name", "members", "text"),
    [
        ("a.zip", {"a.csv": CSV, "b.csv": CSV}, r"it holds 2 files \(a.csv, b.csv\); unpack"),
        ("a.zip", dict.fromkeys("abc", CSV), r"it holds 3 files \(a, b, c\); unpack"),
        ("a.zip", dict.fromkeys("abcd", CSV), r"it holds 4 files \(a, b, c, …\); unpack"),
        ("a.csv.zip", {"a.csv": CSV, "b.csv": CSV}, "it holds 2 files"),
        ("a.zip", {}, "it holds no file"),
        ("a.zip", {"a.txt": CSV}, "the suffix is not known"),
        ("a.zip", {"a.parquet": CSV}, "the suffix is not known"),
        ("a.csv.zip", {"a.csv": ""}, "no column|no line|empty|header"),
    ],
)
def test_archive_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, members: dict[str, str], text: str
) -> None:
    path = zipped(tmp_path / name, **members)
    with pytest.raises(FileError, match=text) as caught:
        values(find_files([path])[0])
    assert caught.value.file == str(path)


@pytest.mark.parametrize("member", ["", ".", "/", "//", "./"])
def test_member_without_a_name_is_no_file(tmp_path: Path, member: str) -> None:
    nameless = zipfile.ZipInfo("x")
    nameless.filename = member  # which `ZipInfo` would refuse
    path = zipped(tmp_path / "a.zip", **{"a.csv": CSV})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(nameless, "")
    assert values(path) == [1.5, 2.5]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(nameless, "")
    with pytest.raises(FileError, match="it holds no file"):
        values(path)


@pytest.mark.parametrize("name", ["a.zip", "a.csv.zip"])
def test_what_is_no_archive_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(CSV)
    with pytest.raises(FileError, match=r"not a.* zip.* that can be read"):
        values(find_files([path])[0])


def test_archive_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.csv.zip", a=CSV * 1000)
    data = bytearray(path.read_bytes())
    data[60:80] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(FileError, match="compressed with zip that can be read"):
        values(path)


@pytest.mark.parametrize(("name", "raised"), [("a.csv", RuntimeError), ("a.csv.zip", FileError)])
def test_error_of_zip_is_one_of_a_file_only_in_an_archive(
    tmp_path: Path, name: str, raised: type[Exception]
) -> None:
    path = zipped(tmp_path / name, **{"a.csv": CSV})  # the suffix says what it is
    file = TextFile(path, "CSV")
    with closing(file), mock.patch.object(file, "stream") as stream:
        stream.read.side_effect = RuntimeError("it has a password")
        with pytest.raises(raised, match="it has a password"):
            file.read()


def test_archive_in_a_folder_is_left_out(tmp_path: Path) -> None:
    # It often holds what is beside it.
    zipped(tmp_path / "a.csv.zip", a=CSV)
    (tmp_path / "a.csv").write_text(CSV)
    assert find_files([tmp_path]) == [tmp_path / "a.csv"]


@pytest.mark.parametrize(("said", "text"), [("csv", CSV), ("ndjson", NDJSON)])
def test_format_that_is_said_goes_before_the_suffix(
    tmp_path: Path, said: Format, text: str
) -> None:
    for name in ("a.log", "b", "c.json"):
        (tmp_path / name).write_text(text)
    files = find_files([tmp_path], said)
    assert [file.name for file in files] == ["a.log", "b", "c.json"]
    assert [values(file, said) for file in files] == [[1.5, 2.5]] * 3
    with pytest.raises(FileError, match=r"a\.log: the suffix is not known.*--format"):
        find_files([tmp_path / "a.log"])


def test_format_tsv_says_the_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("ts\tv, w\n2024-01-01\t1,5\n2024-01-02\t2,5\n")
    with open_file(path, ReadOptions(format="tsv")) as file:
        assert file.schema.names == ["ts", "v, w"]

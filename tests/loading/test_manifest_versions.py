"""Manifests that earlier versions of this package wrote: each is gone on with after an upgrade.

The files of `versions` were written by the code of their time, and are never written anew.
"""

import json
import lzma
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from siridb_fast.errors import FileError
from siridb_fast.files.csv.dialect import Dialect
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.earlier_manifest import EARLIER_NAME, VERSIONS
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.manifest_file import VERSION
from siridb_fast.loading.notes import Entry, job_key

FOLDER = Path(__file__).parent / "versions"
JOB = job_key("plant", time="time")
DATABASE = DatabaseId.of("plant", ["localhost:9000"], ["two", "three"])
DONE, PARTLY, ASKED = ("done.csv", "partly.csv", "asked.csv")


def beside(version: int, folder: Path) -> Path:
    """Unpack a kept manifest, and make the files that were loaded."""
    for name in (DONE, PARTLY, ASKED):
        file = folder / name
        file.write_text("time,a\n1,2\n")
        os.utime(file, ns=(1_750_000_000 * 10**9,) * 2)
    path = folder / EARLIER_NAME
    path.write_bytes(lzma.decompress((FOLDER / f"manifest-{version}.xz").read_bytes()))
    return path


def noted(folder: Path, database: DatabaseId = DATABASE) -> Manifest:
    return Manifest(folder / "state" / "noted.sqlite", JOB, database)


def test_manifest_without_checksums_is_brought_up_to_date(tmp_path: Path) -> None:
    beside(max(VERSIONS), tmp_path)
    file = tmp_path / PARTLY
    with noted(tmp_path) as manifest:
        before = manifest.look_up([file])
    with closing(sqlite3.connect(tmp_path / "state" / "noted.sqlite")) as base, base:
        base.execute("ALTER TABLE files DROP COLUMN checksum")
        base.execute("PRAGMA user_version = 5")
    with noted(tmp_path) as manifest:
        assert manifest.look_up([file]) == before != [None]
        assert manifest.claim(file, "2", may_grow=True) == before[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_each_version_noted_beside_the_files_is_gone_on_with(
    tmp_path: Path, version: int
) -> None:
    path = beside(version, tmp_path)
    before = path.read_bytes()
    with noted(tmp_path) as manifest:
        files = [tmp_path / name for name in (DONE, ASKED)]
        assert manifest.look_up(files) == [Entry(0, 1, is_done=True), None]
        partly = tmp_path / PARTLY
        assert manifest.look_up([partly]) == [Entry(100, 900, is_done=False)]
        assert manifest.claim(partly, "2") == Entry(100, 900, is_done=False)
        manifest.start(partly, 1000)
        dialect = manifest.dialect_of(partly)
        assert bool(dialect) == (version == max(VERSIONS))
        if dialect:
            assert Dialect.from_json(json.loads(dialect)).names == ("time", "a")
    assert path.read_bytes() == before
    path.unlink()
    with noted(tmp_path) as manifest:
        assert manifest.look_up([partly]) == [Entry(100, 1000, is_done=False)]


def test_what_an_earlier_version_noted_of_another_database_is_not_taken(tmp_path: Path) -> None:
    beside(max(VERSIONS), tmp_path)
    other = DatabaseId.of("plant", ["localhost:9000"], ["four"])
    with noted(tmp_path, other) as manifest:
        assert manifest.look_up([tmp_path / DONE]) == [None]
    unsure = DatabaseId.of("plant", ["otherhost:9000"])
    with (
        noted(tmp_path, unsure) as manifest,
        pytest.raises(FileError, match="by way of localhost"),
    ):
        manifest.look_up([tmp_path / DONE])


def test_file_in_a_folder_that_may_only_be_read_is_looked_up(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    beside(max(VERSIONS), folder)
    folder.chmod(0o500)
    try:
        with noted(tmp_path) as manifest:
            assert manifest.look_up([folder / DONE]) == [Entry(0, 1, is_done=True)]
    finally:
        folder.chmod(0o700)


@pytest.mark.parametrize("version", [min(VERSIONS) - 1, max(VERSIONS) + 7])
def test_earlier_manifest_of_no_known_version_says_what_to_do(
    tmp_path: Path, version: int
) -> None:
    path = beside(max(VERSIONS), tmp_path)
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA user_version = {version}")
    with noted(tmp_path) as manifest, pytest.raises(FileError) as caught:
        manifest.look_up([tmp_path / DONE])
    assert caught.value.file == str(path)
    assert f"of version {version}, and only the siridb-fast that wrote it" in caught.value.text


@pytest.mark.parametrize(
    ("version", "text"), [(4, "is read where it lies"), (VERSION + 1, "by a newer siridb-fast")]
)
def test_manifest_of_another_version_is_refused_and_left(
    tmp_path: Path, version: int, text: str
) -> None:
    path = beside(4, tmp_path)
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(FileError, match=f"of version {version}.*{text}"):
        Manifest(path, JOB, DATABASE)
    assert path.read_bytes() == before

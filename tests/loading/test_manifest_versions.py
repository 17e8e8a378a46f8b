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
from siridb_fast.loading.manifest import MANIFEST_NAME, UPGRADED, VERSION, Entry, Manifest, job_key

FOLDER = Path(__file__).parent / "versions"
JOB, HOSTS = job_key("plant", time="time"), "localhost:9000"


def manifest_of(version: int, folder: Path) -> Path:
    """Unpack a kept manifest, and make the files that were loaded."""
    for name in ("done", "partly", "asked"):
        file = folder / f"{name}.csv"
        file.write_text("time,a\n1,2\n")
        os.utime(file, ns=(1_750_000_000 * 10**9,) * 2)
    path = folder / MANIFEST_NAME
    path.write_bytes(lzma.decompress((FOLDER / f"manifest-{version}.xz").read_bytes()))
    return path


@pytest.mark.parametrize("version", [*UPGRADED, VERSION])
def test_manifest_of_each_version_opens_with_all_that_was_noted(
    tmp_path: Path, version: int
) -> None:
    with Manifest(manifest_of(version, tmp_path), JOB, HOSTS, ["two", "three"]) as manifest:
        assert manifest.look_up(tmp_path / "done.csv") == Entry(0, 1, is_done=True)
        assert manifest.look_up(tmp_path / "asked.csv") is None
        assert manifest.claim(tmp_path / "partly.csv", "2") == Entry(100, 900, is_done=False)
        manifest.start(tmp_path / "partly.csv", 1000)
        noted = manifest.dialect_of(tmp_path / "partly.csv")
        assert bool(noted) == (version not in UPGRADED)
        if noted:
            assert Dialect.from_json(json.loads(noted)).names == ("time", "a")
    with Manifest(tmp_path / MANIFEST_NAME, JOB, HOSTS) as manifest:
        assert manifest.look_up(tmp_path / "partly.csv") == Entry(100, 1000, is_done=False)


@pytest.mark.parametrize("version", [UPGRADED[0] - 1, VERSION + 1])
def test_manifest_of_no_known_version_says_which_version_reads_it(
    tmp_path: Path, version: int
) -> None:
    path = manifest_of(VERSION, tmp_path)
    with closing(sqlite3.connect(path)) as base:
        base.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    age = "an older" if version < VERSION else "a newer"
    with pytest.raises(FileError, match=f"of version {version}.* by {age} siridb-fast, and only"):
        Manifest(path, JOB, HOSTS)
    assert path.read_bytes() == before

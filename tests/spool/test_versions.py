"""Spools that earlier versions of this package wrote: each opens after an upgrade.

The files of `versions` were written by the code of their time, and are never written anew. Each
version has one that was closed in order, and one of a process that was killed, with its log.
"""

import lzma
from pathlib import Path

import pytest

from siridb_fast.spool.reader import SpoolReader
from siridb_fast.spool.schema import VERSIONS
from siridb_fast.spool.store import Spool

FOLDER = Path(__file__).parent / "versions"
PACKAGES = {number: bytes([number]) * (number * 20_000) for number in range(2, 6)}
SERVERS = {1: {}, 2: {2: "one"}}  # of packages, by version; 2 and 3 were sent
ENDS = ["closed", "killed"]


def file_of(version: int, end: str, folder: Path) -> Path:
    path = folder / "spool"
    for side in ("", "-wal"):
        kept = FOLDER / f"spool-{version}-{end}{side}.xz"
        if kept.exists():
            path.with_name(path.name + side).write_bytes(lzma.decompress(kept.read_bytes()))
    return path


def test_a_file_of_each_version_is_kept() -> None:
    kept = {file.name for file in FOLDER.iterdir()}
    assert kept >= {f"spool-{version}-{end}.xz" for version in VERSIONS for end in ENDS}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("end", ENDS)
def test_file_of_each_version_opens_with_all_that_was_said(
    tmp_path: Path, version: int, end: str
) -> None:
    path = file_of(version, end, tmp_path)
    with SpoolReader(path) as reader:
        assert reader.fault is None
        assert {row.id: row.payload for row in reader.packages()} == PACKAGES
    with Spool(path, dbname="plant", time_precision="ms", servers="two three") as spool:
        for row in spool.read():
            assert (row.payload, row.points) == (PACKAGES[row.id], row.id)
            assert (row.is_sent, row.server) == (row.id < 4, SERVERS[version].get(row.id))
            assert row.written_at == 1_750_000_000
        assert (spool.packages, spool.damaged) == (4, 0)
        assert spool.put(b"new", 1) == 6
        spool.mark_sent([4], "three")
    with Spool(path) as spool:
        assert (spool.dbname, spool.time_precision, spool.packages) == ("plant", "ms", 5)
        assert spool.read()[2].server == "three"
    assert not path.with_name("spool.damaged-1").exists()

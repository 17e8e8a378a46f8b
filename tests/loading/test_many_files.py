"""Folders of many short files: each point once, also where the load is killed in the middle."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from siridb_fast.delivery.report import Report
from siridb_fast.errors import FileError
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.frame_reader import FrameReader
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.notes import job_key
from siridb_fast.loading.options import LoadOptions
from siridb_fast.loading.resume import KnownFiles, Start
from siridb_fast.testing import wait_until
from tests.commands import figures, run_command
from tests.fix_server import Database
from tests.loading.load_runs import (
    START,
    WIDE,
    Points,
    manifest_entries,
    running_load,
    stored_points,
    write_table,
)

FILES, ROWS = 600, 20
OPTIONS = ["--time", "ts", "--series", "{stem}"]


@pytest.fixture
def seconds(make_database: Callable[..., Database]) -> Database:
    return make_database(time_precision="s")


def short_files(folder: Path) -> Points:
    """Write files of numbers, and some of texts; return their points."""
    expected: Points = {}
    for number in range(FILES):
        rows = [(START + row, number + row / 4) for row in range(ROWS)]
        lines = "".join(f"{at},{value}\n" for at, value in rows)
        (folder / f"s{number:04d}.csv").write_text("ts,v\n" + lines)
        expected[f"s{number:04d}"] = Counter(rows)
    return expected


def test_all_files_are_loaded_and_noted(seconds: Database, tmp_path: Path) -> None:
    expected = short_files(tmp_path)
    done = run_command("load", tmp_path, *OPTIONS, url=seconds.url)
    assert figures(done.stdout)["files"] == str(FILES)
    assert stored_points(seconds.url) == expected
    assert set(manifest_entries(tmp_path).values()) == {(ROWS, ROWS, 1)}
    done = run_command("load", tmp_path, *OPTIONS, "--resume", url=seconds.url)
    assert done.stderr.count("loaded already") == FILES


def test_load_that_is_killed_goes_on_to_each_point_once(seconds: Database, tmp_path: Path) -> None:
    expected = short_files(tmp_path)
    with running_load(tmp_path, *OPTIONS, url=seconds.url) as process:
        wait_until(lambda: bool(manifest_entries(tmp_path)), timeout=60, what="rows have left")
        process.kill()
        process.communicate(timeout=60)
    run_command("load", tmp_path, *OPTIONS, "--resume", url=seconds.url)
    assert stored_points(seconds.url) == expected


def known(files: list[Path], start: Start) -> KnownFiles:
    database = DatabaseId.of("db", ["a:9000"], ["one"])
    path = files[0].parent / "noted.sqlite"
    return KnownFiles(files, Manifest(path, job_key("db"), database), start)


def test_rows_that_are_appended_while_a_load_runs_are_not_taken_for_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file in files:
        file.write_text("ts,v\n1,1\n")
    announce = KnownFiles.announce

    def append(self: KnownFiles, some: list[Path]) -> None:
        with files[1].open("a") as end:  # its rows were read with its head
            end.write("2,2\n")
        announce(self, some)

    monkeypatch.setattr(KnownFiles, "announce", append)
    options = LoadOptions(time="ts")
    rows = 0
    with known(files, Start.FRESH) as noted:
        for portion in FileSource(files, options, noted):
            rows += portion.read(FrameReader(options, 0)).rows
            portion.on_leaving()
            portion.on_delivered(Report(0, 0, 0, 0.0))
    assert rows == 2
    with known(files, Start.RESUME) as noted:
        assert (noted.done, noted.changed) == (files[:1], files[1:])


def test_file_that_vanished_is_named_or_left_out(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.csv" for name in "abc"]
    for file in files:
        file.write_text("ts,v\n1,1\n")
    options = LoadOptions(time="ts")
    source = FileSource(files, options)
    lenient = FileSource(files, LoadOptions(time="ts", skip_bad_files=True))
    files[1].unlink()
    with pytest.raises(FileError, match="no such file") as caught:
        list(source)
    assert caught.value.file == str(files[1])
    assert sum(portion.read(FrameReader(options, 0)).rows for portion in lenient) == 2
    assert [*lenient.skipped] == [files[1]]


def test_file_that_vanishes_after_its_head_was_read_is_named(tmp_path: Path) -> None:
    files = [write_table(tmp_path / f"{name}.parquet", WIDE) for name in "ab"]
    with known(files, Start.FRESH) as noted:
        portions = iter(FileSource(files, LoadOptions(time="ts"), noted))
        files[1].unlink()
        with pytest.raises(FileError, match="no such file") as caught:
            list(portions)
    assert caught.value.file == str(files[1])

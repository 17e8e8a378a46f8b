"""The disk of a manifest: full, read-only, locked, gone, at each statement of each call.

A call says what is wrong as a `FileError`; once the disk works again, it does what it should have.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from siridb_fast.errors import FileError
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.manifest import Manifest
from siridb_fast.loading.notes import Entry, job_key
from tests.spool.failing_disk import ERRORS, on_disk

JOB = job_key("db", time="ts")
DATABASE = DatabaseId.of("db", ["host"], ["one"])
NAME = "noted.sqlite"
MOST_STATEMENTS = 30  # of one call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("ts,a\n1,2\n")
    return path


def look_up(manifest: Manifest, file: Path) -> None:
    manifest.look_up([file])


def claim(manifest: Manifest, file: Path) -> None:
    manifest.claim(file)


def start(manifest: Manifest, file: Path) -> None:
    manifest.start(file, 9)


def finish(manifest: Manifest, file: Path) -> None:
    manifest.finish(file)


def restart(manifest: Manifest, file: Path) -> None:
    manifest.restart([file])


def begin(manifest: Manifest, file: Path) -> None:
    manifest.begin_restart()


def keep(manifest: Manifest, file: Path) -> None:
    manifest.keep_restart()


def withdraw(manifest: Manifest, file: Path) -> None:
    manifest.withdraw_restart()


STEPS: dict[str, tuple[list[Callable[[Manifest, Path], None]], Entry | None]] = {
    "look up": ([look_up], Entry(5, 8, is_done=False)),
    "recall": ([claim], Entry(5, 8, is_done=False)),
    "store": ([start], Entry(5, 9, is_done=False)),
    "finish": ([finish, start], Entry(5, 9, is_done=True)),
    "forget": ([restart, begin, keep], None),
    "withdraw": ([restart, withdraw], Entry(0, 8, is_done=False)),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", STEPS)
def test_call_says_what_is_wrong_and_works_once_the_disk_does(
    file: Path, call: str, error: str
) -> None:
    path = file.parent / NAME
    steps, expected = STEPS[call]
    for number in range(MOST_STATEMENTS):
        path.unlink(missing_ok=True)
        with on_disk(ERRORS[error]) as disk, Manifest(path, JOB, DATABASE) as manifest:
            manifest.claim(file)
            manifest.start(file, 8)
            manifest.deliver(file, 5)  # written down with what comes next
            disk.fail_after(number)
            for step in steps:
                try:
                    step(manifest, file)
                except FileError as exc:
                    assert "the manifest cannot be written: " in str(exc)  # noqa: PT017 - or none
                    assert exc.file == str(path)  # noqa: PT017 - or none
                    disk.mend()
                    step(manifest, file)
            disk.mend()
        with Manifest(path, JOB, DATABASE) as manifest:
            assert manifest.look_up([file]) == [expected]
        if not disk.failures:
            assert number > 0
            return
    pytest.fail("a call has more statements than that")


@pytest.mark.parametrize("error", ERRORS)
def test_open_and_close_say_what_is_wrong(file: Path, error: str) -> None:
    path = file.parent / NAME
    for number in range(MOST_STATEMENTS):
        path.unlink(missing_ok=True)
        with on_disk(ERRORS[error]) as disk:
            disk.fail_after(number)
            try:
                with Manifest(path, JOB, DATABASE) as manifest:
                    manifest.claim(file)
                    manifest.start(file, 8)
            except FileError as exc:
                assert exc.file == str(path)  # noqa: PT017 - or none
            disk.mend()
        with Manifest(path, JOB, DATABASE) as manifest:
            assert manifest.claim(file) in (Entry(0, 0, is_done=False), Entry(0, 8, is_done=False))
        if not disk.failures:
            return
    pytest.fail("they have more statements than that")


@pytest.mark.parametrize("call", [start, claim, look_up])
def test_manifest_that_is_deleted_while_it_is_open_is_made_anew(
    file: Path, call: Callable[[Manifest, Path], None]
) -> None:
    path = file.parent / NAME
    with Manifest(path, JOB, DATABASE) as manifest:
        manifest.claim(file)
        manifest.start(file, 8)
        manifest.deliver(file, 7)
        path.unlink()
        call(manifest, file)
        assert path.exists()
        path.unlink()
    with Manifest(path, JOB, DATABASE) as manifest:
        rows = 9 if call is start else 8
        assert manifest.look_up([file]) == [Entry(7, rows, is_done=False)]
    assert {name.name for name in file.parent.iterdir()} == {NAME, file.name}


def test_file_that_takes_the_place_of_a_manifest_is_left(file: Path) -> None:
    path = file.parent / NAME
    away = path.with_name("away")
    with Manifest(path, JOB, DATABASE) as manifest:
        manifest.claim(file)
        path.rename(away)
        path.write_text("another file")
        with pytest.raises(FileError, match="another file has taken the place of the manifest"):
            manifest.start(file, 8)
        assert path.read_text() == "another file"
        away.replace(path)
        manifest.start(file, 8)
    with Manifest(path, JOB, DATABASE) as manifest:
        assert manifest.look_up([file]) == [Entry(0, 8, is_done=False)]

"""The disk of a spool: full, read-only, locked, gone, at each statement of each call.

A call says what is wrong as a `SpoolError`; once the disk works again, it does what it should
have, and nothing that was there is lost.
"""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from siridb_fast.errors import SpoolError, SpoolLockedError
from siridb_fast.spool.lock import holder_of
from siridb_fast.spool.store import Spool
from tests.spool.failing_disk import ERRORS, on_disk
from tests.spool.spools import contents, filled

MOST_STATEMENTS = 60  # of one call


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, bytes]]:
    """Make a spool of some packages once, which tests copy."""
    path = tmp_path_factory.mktemp("kept") / "spool"
    return path, filled(path, 4)


def put(spool: Spool) -> None:
    spool.put_many([(b"new", 1), (b"newer", 2)])


def recall(spool: Spool) -> None:
    assert len(spool.read()) > 0


def note(spool: Spool) -> None:
    spool.mark_sent([2, 3], "server")


def delete(spool: Spool) -> None:
    spool.remove([1, 2])


def replace(spool: Spool) -> None:
    spool.put_rows([], [3])


CALLS: dict[Callable[[Spool], None], Callable[[dict[int, bytes]], dict[int, bytes]]] = {
    put: lambda before: {**before, 5: b"new", 6: b"newer"},
    recall: lambda before: before,
    note: lambda before: before,
    delete: lambda before: {n: payload for n, payload in before.items() if n > 2},
    replace: lambda before: {n: payload for n, payload in before.items() if n != 3},
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", CALLS)
def test_call_says_what_is_wrong_and_works_once_the_disk_does(
    tmp_path: Path, kept: tuple[Path, dict[int, bytes]], call: Callable[[Spool], None], error: str
) -> None:
    for number in range(MOST_STATEMENTS):
        path = tmp_path / f"spool{number}"
        before = kept[1]
        shutil.copy(kept[0], path)
        with on_disk(ERRORS[error]) as disk, Spool(path) as spool:
            disk.fail_after(number)
            for _ in range(3):
                try:
                    call(spool)
                except SpoolError as exc:
                    assert str(path) in str(exc)  # noqa: PT017 - or none
                if not disk.failures:
                    break
            disk.mend()
            has_failed, disk.failures = disk.failures > 0, 0
            if has_failed:
                call(spool)
            found = contents(spool)
            assert sorted(found.values()) == sorted(CALLS[call](before).values())
            assert spool.packages == len(found)
        assert len(list(tmp_path.glob(f"{path.name}.damaged-?"))) <= 1
        with Spool(path) as spool:
            assert contents(spool) == found
        if not has_failed:
            return
    pytest.fail("a call has more statements than that")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("is_new", [True, False])
def test_open_says_what_is_wrong_and_works_once_the_disk_does(
    tmp_path: Path, kept: tuple[Path, dict[int, bytes]], error: str, *, is_new: bool
) -> None:
    for number in range(MOST_STATEMENTS):
        path = tmp_path / f"spool{number}"
        payloads = {} if is_new else kept[1]
        if not is_new:
            shutil.copy(kept[0], path)
        with on_disk(ERRORS[error]) as disk:
            disk.fail_after(number)
            try:
                Spool(path).close()
            except SpoolError as exc:
                assert str(path) in str(exc)  # noqa: PT017 - or none
            has_failed = disk.failures > 0
            disk.mend()
            with Spool(path) as spool:
                assert contents(spool) == payloads
        if not has_failed:
            return
    pytest.fail("it has more statements than that")


@pytest.mark.parametrize("error", ERRORS)
def test_close_is_silent_and_what_was_put_is_there_for_the_next(
    tmp_path: Path,
    kept: tuple[Path, dict[int, bytes]],
    error: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number in range(MOST_STATEMENTS):
        path = tmp_path / f"spool{number}"
        shutil.copy(kept[0], path)
        caplog.clear()
        with on_disk(ERRORS[error]) as disk:
            spool = Spool(path)
            disk.fail_after(number)
            spool.close()
            disk.mend()
        assert ("not closed in order" in caplog.text) == (disk.failures > 0)
        with Spool(path) as spool:
            assert contents(spool) == kept[1]
        if not disk.failures:
            return
    pytest.fail("it has more statements than that")


# ---- gone: what somebody does to the files while they are open


def unlink_all(path: Path) -> None:
    for file in path.parent.glob("spool*"):
        file.unlink()


def unlink_file(path: Path) -> None:
    path.unlink()


def unlink_log(path: Path) -> None:
    path.with_name("spool-wal").unlink()


DELETIONS = [unlink_all, unlink_file, unlink_log]


@pytest.mark.parametrize("spoil", DELETIONS)
@pytest.mark.parametrize("is_put", [True, False])
@pytest.mark.parametrize("is_killed", [True, False])
def test_file_that_is_deleted_while_it_is_open_is_made_anew(
    tmp_path: Path, spoil: Callable[[Path], None], *, is_put: bool, is_killed: bool
) -> None:
    path = tmp_path / "spool"
    payloads = filled(path, 3)
    with Spool(path, dbname="db") as spool:
        spool.mark_sent([2], "server")
        spoil(path)
        assert contents(spool) == payloads
        if is_put:
            payloads[spool.put(b"new", 1)] = b"new"
        elif is_killed:
            return  # nobody has put anything since, and nobody can know
        if is_killed:  # as the files are, without an orderly end
            for file in path.parent.glob("spool*"):
                if not file.name.endswith(("-shm", ".lock")):
                    file.with_name(file.name.replace("spool", "copy")).write_bytes(
                        file.read_bytes()
                    )
    with Spool(path.with_name("copy" if is_killed else "spool")) as spool:
        assert contents(spool) == payloads
        assert spool.dbname == "db"
        sent = {row.id: row.server for row in spool.read() if row.is_sent}
        assert sent == {2: "server"}


@pytest.mark.parametrize("spoil", DELETIONS)
def test_empty_spool_that_is_deleted_takes_packages(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "spool"
    with Spool(path) as spool:
        spoil(path)
        number = spool.put(b"new", 1)
    with Spool(path) as spool:
        assert contents(spool) == {number: b"new"}


def move(path: Path, to: Path) -> None:
    path.rename(to)


def take_place(path: Path, to: Path) -> None:
    path.rename(to)
    path.write_bytes(b"another file")


def move_folder(path: Path, to: Path) -> None:
    path.parent.rename(to)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (move, "was moved away, or unmounted, while it was open"),
        (take_place, "another file has taken its place while it was open"),
        (move_folder, "was moved away, or unmounted, while it was open"),
    ],
)
def test_file_that_is_moved_takes_nothing_until_it_is_back(
    tmp_path: Path, spoil: Callable[[Path, Path], None], text: str
) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    path, away = folder / "spool", tmp_path / "away"
    payloads = filled(path, 3)
    with Spool(path) as spool:
        spoil(path, away)
        for _ in range(2):
            with pytest.raises(SpoolError, match=text):
                spool.put(b"new", 1)
        assert contents(spool) == payloads
        spool.remove([1])
        away.replace(folder if away.is_dir() else path)
        payloads[spool.put(b"new", 1)] = b"new"
    del payloads[1]
    with Spool(path) as spool:
        assert contents(spool) == payloads


def test_file_that_is_deleted_and_has_no_folder_any_more_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "spool"
    payloads = filled(path, 3)
    with Spool(path) as spool:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        with pytest.raises(SpoolError, match="was deleted, cannot be made anew: No such file"):
            spool.put(b"new", 1)
        folder.mkdir()
        payloads[spool.put(b"new", 1)] = b"new"
    with Spool(path) as spool:
        assert contents(spool) == payloads


def test_open_files_do_not_stay(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with Spool(tmp_path / "spool") as spool:
            (tmp_path / "spool").unlink()
            spool.put(b"new", 1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("call", ["pwrite", "ftruncate"])
def test_lock_is_had_and_given_back_without_room_for_its_pid(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "spool"
    monkeypatch.setattr(os, call, fail)
    with Spool(path):
        with pytest.raises(SpoolLockedError):
            Spool(path)
        assert holder_of(path) is not None
    assert holder_of(path) is None

"""Damaged spools: whatever was done to the file, it opens, and only what was hit is lost."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from siridb_fast.errors import SpoolError
from siridb_fast.spool.log_replay import PAGE_SIZE
from siridb_fast.spool.store import Spool
from tests.spool.spools import contents, filled, read_all, writer_process

PACKAGES = 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, bytes]]:
    """Make a spool that was closed in order, once for all tests."""
    path = tmp_path_factory.mktemp("sound") / "spool"
    return path, filled(path, PACKAGES)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, bytes]]:
    """Make a spool of a process that was killed, most of it in the log."""
    path = tmp_path_factory.mktemp("killed") / "spool"
    filled(path, 3)
    with writer_process(path, 100) as process:
        assert process.stdout is not None
        for _ in range(PACKAGES):
            process.stdout.readline()
        process.kill()
    copy = path.with_name("copy")
    copy_of(path, copy)
    with Spool(copy) as spool:
        return path, contents(spool)


def copy_of(path: Path, to: Path) -> None:
    for side in ("", "-wal"):
        if path.with_name(path.name + side).exists():
            shutil.copy(path.with_name(path.name + side), to.with_name(to.name + side))


def flip(file: Path, offset: int, bits: int = 0xFF) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        (byte,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ bits]))


def lost_of(path: Path, payloads: dict[int, bytes]) -> set[int]:
    """Open a damaged spool, use it, and return the ids of what is lost; all else is right."""
    with Spool(path) as spool:
        found = contents(spool)
        assert {number: payloads.get(number) for number in found} == found
        assert spool.packages == len(found)
        assert spool.bytes == sum(map(len, found.values()))
        added = spool.put(b"added", 1)
        spool.mark_sent([added])
    with Spool(path) as spool:
        assert contents(spool) == {**found, added: b"added"}
        spool.remove(list(contents(spool)))
        assert spool.packages == 0
    return payloads.keys() - found.keys()


@pytest.mark.parametrize("seed", range(60))
def test_flipped_byte_costs_one_package(
    sound: tuple[Path, dict[int, bytes]], path: Path, seed: int
) -> None:
    copy_of(sound[0], path)
    source = random.Random(seed)
    flip(path, source.randrange(path.stat().st_size), source.randrange(1, 256))
    assert len(lost_of(path, sound[1])) <= 1


@pytest.mark.parametrize("seed", range(60))
def test_flipped_byte_in_the_log_costs_one_package(
    killed: tuple[Path, dict[int, bytes]], path: Path, seed: int
) -> None:
    copy_of(killed[0], path)
    source = random.Random(seed)
    log = path.with_name("spool-wal")
    flip(log, source.randrange(log.stat().st_size), source.randrange(1, 256))
    assert len(lost_of(path, killed[1])) <= 1


@pytest.mark.parametrize("offset", range(100))
def test_flipped_byte_in_the_header_costs_nothing(
    sound: tuple[Path, dict[int, bytes]], path: Path, offset: int
) -> None:
    copy_of(sound[0], path)
    flip(path, offset)
    assert lost_of(path, sound[1]) == set()


@pytest.mark.parametrize("offset", range(32 + 24))
def test_flipped_byte_in_the_header_of_the_log_costs_nothing(
    killed: tuple[Path, dict[int, bytes]], path: Path, offset: int
) -> None:
    copy_of(killed[0], path)
    flip(path.with_name("spool-wal"), offset)
    assert len(lost_of(path, killed[1])) <= 1


@pytest.mark.parametrize(
    "size", [0, 100, 4096, PAGE_SIZE, 3 * PAGE_SIZE, 200_000, -1, -PAGE_SIZE, -100_000]
)
def test_cut_file_opens_and_the_rest_is_there(
    sound: tuple[Path, dict[int, bytes]], path: Path, size: int
) -> None:
    copy_of(sound[0], path)
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size % whole if size else 0)
    lost = lost_of(path, sound[1])
    if size < 0:
        assert len(lost) <= 3


@pytest.mark.parametrize("seed", range(20))
def test_cut_log_loses_only_what_was_cut(
    killed: tuple[Path, dict[int, bytes]], path: Path, seed: int
) -> None:
    copy_of(killed[0], path)
    log = path.with_name("spool-wal")
    size = random.Random(seed).randrange(log.stat().st_size)
    with log.open("r+b") as file:
        file.truncate(size)
    lost = lost_of(path, killed[1])
    assert lost == set(sorted(killed[1])[len(killed[1]) - len(lost) :])


def test_header_that_is_overwritten_costs_nothing(
    sound: tuple[Path, dict[int, bytes]], path: Path
) -> None:
    for junk in (bytes(PAGE_SIZE), random.Random(1).randbytes(PAGE_SIZE)):
        copy_of(sound[0], path)
        with path.open("r+b") as file:
            file.write(junk)
        assert lost_of(path, sound[1]) == set()


def test_root_that_is_overwritten_costs_nothing_that_lies_elsewhere(
    sound: tuple[Path, dict[int, bytes]], path: Path
) -> None:
    copy_of(sound[0], path)
    with path.open("r+b") as file:
        file.seek(2 * PAGE_SIZE)
        file.write(bytes(PAGE_SIZE))
    assert lost_of(path, sound[1]) == set()


def test_missing_log_puts_all_in_doubt(
    killed: tuple[Path, dict[int, bytes]], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy_of(killed[0], path)
    path.with_name("spool-wal").unlink()
    with Spool(path) as spool:
        assert [package.id for package in read_all(spool)] == [1, 2, 3]
        assert all(package.is_sent for package in read_all(spool))
    assert "its log is gone; all 3 packages are in doubt" in caplog.text


def test_log_of_another_boot_puts_all_in_doubt_unless_sync_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = tmp_path / "boot"
    monkeypatch.setattr("siridb_fast.spool.open.BOOT", boot)
    for sync, expected in (("normal", True), ("full", False)):
        path = tmp_path / sync
        boot.write_text("first")
        spool = Spool(path, sync=sync)  # type: ignore[arg-type]
        spool.put(b"x", 1)
        copy_of(path, path.with_name("copy"))
        spool.close()
        boot.write_text("second")
        with Spool(path.with_name("copy")) as again:
            assert [package.is_sent for package in again.read()] == [expected]


def test_killed_process_leaves_nothing_in_doubt_that_was_not_sent(
    killed: tuple[Path, dict[int, bytes]], path: Path
) -> None:
    copy_of(killed[0], path)
    with Spool(path) as spool:
        assert not any(package.is_sent for package in read_all(spool))


def test_empty_file_is_a_new_spool(path: Path) -> None:
    path.touch()
    assert lost_of(path, {}) == set()
    assert not path.with_name("spool.damaged-1").exists()


def test_recovered_packages_are_in_doubt_and_settings_stay(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool(path, dbname="plant", time_precision="ms") as spool:
        for number in range(5):
            spool.put(bytes([number]) * 100_000, 10)
    flip(path, 0)
    with Spool(path, dbname="plant") as spool:
        assert all(package.is_sent for package in read_all(spool))
        assert (spool.dbname, spool.time_precision) == ("plant", "ms")
    assert "5 packages with 50 points were recovered, 0 damaged rows were not" in caplog.text
    for number in range(2):
        flip(path, number)
        with Spool(path, dbname="plant") as spool:
            assert spool.packages == 5
    names = sorted(file.name for file in path.parent.glob("*damaged*"))
    assert names == ["spool.damaged-1", "spool.damaged-2", "spool.damaged-3"]


def test_precision_of_seconds_stays(path: Path) -> None:
    with Spool(path, time_precision=0) as spool:
        spool.put(b"x", 1)
    flip(path, 0)
    with Spool(path) as spool:
        assert spool.time_precision == 0


def test_files_that_were_set_aside_may_be_removed(
    killed: tuple[Path, dict[int, bytes]], path: Path
) -> None:
    copy_of(killed[0], path)
    flip(path.with_name("spool-wal"), 0)
    Spool(path).close()
    path.with_name("spool.damaged-1").unlink()
    assert path.with_name("spool.damaged-1-wal").exists()  # which the operator overlooked
    for number in (1, 2):
        flip(path, 20)
        with Spool(path) as spool:
            assert contents(spool) == killed[1]
        assert path.with_name(f"spool.damaged-{number}").exists()
    path.with_name("spool.damaged-1").unlink()
    flip(path, 20)
    Spool(path).close()
    assert path.with_name("spool.damaged-3").exists()


def test_damage_that_comes_while_it_is_open_is_passed_over(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(path, PACKAGES)
    with Spool(path) as spool:
        before = contents(spool)
        victim = before[5]
        offset = path.read_bytes().index(victim[:500])
        spool.put(b"in the log", 1)
        flip(path, offset)
        spool._base.execute("PRAGMA cache_size = 0")
        spool._base.execute("PRAGMA shrink_memory")
        found = contents(spool)
        assert spool.damaged == 1
        following = spool.put(b"more", 1)
        assert found == {k: v for k, v in before.items() if k != 5} | {PACKAGES + 1: b"in the log"}
        assert following == PACKAGES + 2
    assert "package 5 is damaged" in caplog.text


def test_interrupted_recovery_is_done_again(
    sound: tuple[Path, dict[int, bytes]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of(sound[0], path)
    flip(path, 0)
    real = Path.replace

    def stopped(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        Spool(path)
    monkeypatch.setattr(Path, "replace", real)
    assert path.with_name("spool.damaged-1").exists()
    assert lost_of(path, sound[1]) == set()
    assert [file.name for file in path.parent.glob("*damaged*")] == ["spool.damaged-1"]


def test_recovery_that_is_interrupted_behind_the_new_file_drops_the_old_log(
    killed: tuple[Path, dict[int, bytes]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of(killed[0], path)
    with path.open("r+b") as file:
        file.truncate(PAGE_SIZE)

    def stopped(path: Path) -> None:
        if path.name == "spool":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("siridb_fast.spool.salvage._drop_sides", stopped)
        with pytest.raises(KeyboardInterrupt):
            Spool(path)
    assert path.with_name("spool-wal").exists()
    assert lost_of(path, killed[1]) <= {1, 2, 3}


def test_recovery_that_is_interrupted_before_the_new_file_has_the_log_still(
    killed: tuple[Path, dict[int, bytes]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of(killed[0], path)
    flip(path.with_name("spool-wal"), 0)  # SQLite takes the log for empty, and removes it

    def stopped(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("siridb_fast.spool.salvage._write", stopped)
        with pytest.raises(KeyboardInterrupt):
            Spool(path)
    assert not path.with_name("spool-wal").exists()
    assert lost_of(path, killed[1]) == set()


def test_no_room_for_a_second_file_keeps_what_could_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    payloads = filled(path, PACKAGES)
    flip(path, 0)
    monkeypatch.setattr("siridb_fast.spool.salvage.BATCH_BYTES", 1)
    written: list[int] = []

    def limited(base: sqlite3.Connection, number: int, *args: object, **options: object) -> None:
        if len(written) == 4:
            raise sqlite3.OperationalError("database or disk is full")
        written.append(number)
        insert(base, number, *args, **options)  # type: ignore[arg-type]

    from siridb_fast.spool.schema import insert

    monkeypatch.setattr("siridb_fast.spool.salvage.insert", limited)
    with Spool(path) as spool:
        assert contents(spool) == {number: payloads[number] for number in written}
    assert "more may be left in it: database or disk is full" in caplog.text


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match=f"there is no folder {tmp_path / 'nowhere'}"):
        Spool(tmp_path / "nowhere" / "spool")

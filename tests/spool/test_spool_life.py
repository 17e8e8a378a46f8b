"""A spool and processes: killed ones lose nothing, two never write at once, children keep off."""

import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from siridb_fast.errors import SpoolError, SpoolLockedError
from siridb_fast.spool.lock import holder_of
from siridb_fast.spool.log_replay import PAGE_SIZE
from siridb_fast.spool.reader import SpoolReader
from siridb_fast.spool.store import Spool
from tests.spool.spools import contents, payload, read_all, writer_process

FORK = """
import os, sys
from siridb_fast.errors import SpoolError
from siridb_fast.spool.store import Spool
spool = Spool(sys.argv[1])
spool.put(b"parent", 1)
pid = os.fork()
if not pid:
    try:
        spool.put(b"child", 1)
    except SpoolError as exc:
        spool.close()
        text = str(exc)
        os._exit(0 if f"process {os.getppid()} has this spool open" in text else 2)
    os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
spool.put(b"parent again", 1)
spool.close()
"""
ORPHAN = """
import os, sys
from siridb_fast.spool.store import Spool
spool = Spool(sys.argv[1])
pid = os.fork()
if not pid:
    sys.stdin.read()
    os._exit(0)
print("forked", flush=True)
os.kill(os.getpid(), 9)
"""
SMALL_FILES = """
import resource, sys
from siridb_fast.errors import SpoolFullError
from siridb_fast.spool.store import Spool
from tests.spool.spools import payload
spool = Spool(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
try:
    for seed in range(1000):
        print(spool.put(payload(seed), seed), flush=True)
except SpoolFullError as exc:
    assert "the disk has no room" in str(exc)
    found = [package.payload for package in spool.read(limit_bytes=1 << 30)]
    assert found == [payload(seed) for seed in range(len(found))]
    ids = [package.id for package in spool.read(limit_bytes=500_000)]
    try:
        spool.remove(ids)  # needs room, too, and there is none at all
    except SpoolFullError:
        print("refused", spool.packages)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    spool.remove(ids)
    print("removed", spool.packages)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def locks_of(path: Path) -> list[str]:
    """Return the lines of the locks that processes have in a file."""
    inode = f":{path.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    return [line.partition(":")[2] for line in lines if inode in line and "POSIX" in line]


@pytest.mark.slow
def test_killed_process_loses_nothing_that_put_returned_for(path: Path) -> None:
    printed: dict[int, int] = {}
    for attempt in range(10):
        wanted = random.Random(attempt).randrange(1, 120)
        with writer_process(path, 1000 * attempt) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            lines = [process.stdout.readline() for _ in range(wanted)]
            process.kill()
            lines += process.stdout.read().splitlines(keepends=True)
        whole = [line.split() for line in lines if line.endswith("\n")]
        printed |= {int(number): int(seed) for number, seed in whole}
        with Spool(path) as spool:
            assert spool.damaged == 0
            found = {package.id: package for package in read_all(spool)}
            assert not any(package.is_sent for package in found.values())
        assert printed.keys() <= found.keys()
        assert all(found[number].payload == payload(seed) for number, seed in printed.items())
        assert len(found) <= len(printed) + attempt + 1
    assert not list(path.parent.glob("*damaged*"))


def test_second_writer_learns_who_has_it(path: Path) -> None:
    with writer_process(path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(SpoolLockedError, match=f"process {process.pid} writes") as caught:
            Spool(path)
        assert caught.value.pid == process.pid == holder_of(path)
        assert str(path) in str(caught.value)
        process.kill()
        process.communicate()
    assert holder_of(path) is None
    Spool(path).close()


def test_second_object_of_the_same_process_is_refused(path: Path) -> None:
    with Spool(path) as spool:
        with pytest.raises(SpoolLockedError) as caught:
            Spool(path.parent / "." / "spool")
        assert caught.value.pid == os.getpid()
        spool.put(b"x", 1)
    with Spool(path) as spool:
        assert spool.packages == 1


def test_second_object_of_the_same_process_leaves_the_locks_of_the_first(path: Path) -> None:
    # Whoever closes a file gives back all locks that its process has there.
    with Spool(path):
        before = locks_of(path)
        with pytest.raises(SpoolLockedError):
            Spool(path)
        assert locks_of(path) == before != []


def test_locked_error_keeps_its_pid_over_a_pickle() -> None:
    copy = pickle.loads(pickle.dumps(SpoolLockedError("a.spool", 7)))  # noqa: S301 - our own bytes
    assert (copy.path, copy.pid) == ("a.spool", 7)
    assert "process 7 writes to this spool" in str(copy)


def test_spool_that_cannot_be_opened_is_not_locked(path: Path) -> None:
    Spool(path, dbname="a").close()
    for _ in range(2):
        with pytest.raises(SpoolError, match="for the database"):
            Spool(path, dbname="b")
    assert holder_of(path) is None


def test_child_of_a_fork_cannot_use_it(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "0\n"
    with Spool(path) as spool:
        assert list(contents(spool).values()) == [b"parent", b"parent again"]


def test_child_does_not_keep_the_lock_of_a_killed_parent(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"forked\n"
        process.wait()
        Spool(path).close()
        assert process.stdin is not None
        process.stdin.close()


def test_file_that_may_not_grow_loses_nothing(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, path],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stderr == ""
    *numbers, refused, there, removed, left = done.stdout.split()
    assert (refused, there, removed) == ("refused", str(len(numbers)), "removed")
    put = {int(n): payload(seed) for seed, n in enumerate(numbers)}
    with Spool(path) as spool:
        assert 0 < spool.packages == int(left) < len(put)
        assert contents(spool) == dict(list(put.items())[-int(left) :])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written_is_named(path: Path) -> None:
    path.parent.chmod(0o500)
    with pytest.raises(SpoolError, match="cannot be locked: Permission denied"):
        Spool(path)


def test_threads_may_take_turns(path: Path) -> None:
    with Spool(path) as spool:
        for number in range(4):
            thread = threading.Thread(target=spool.put, args=(bytes([number]), 1))
            thread.start()
            thread.join()
        assert list(contents(spool).values()) == [b"\0", b"\1", b"\2", b"\3"]


def test_process_that_is_killed_within_its_last_write_leaves_no_damage(
    path: Path, tmp_path: Path
) -> None:
    # SQLite has written that the transaction is complete, and not the page behind that.
    torn = tmp_path / "torn"
    with Spool(path) as spool:
        whole = {spool.put(payload(seed), seed): payload(seed) for seed in range(3)}
        shutil.copy(path, torn)
        before = path.with_name("spool-wal").stat().st_size
        spool.put(payload(3), 3)
        log = bytearray(path.with_name("spool-wal").read_bytes())
        assert len(log) > before
    log[-PAGE_SIZE:] = bytes(PAGE_SIZE)
    torn.with_name("torn-wal").write_bytes(log)
    with SpoolReader(torn) as reader:
        assert reader.fault is None
    with Spool(torn) as spool:
        assert contents(spool) == whole
        assert spool.damaged == 0
    assert sorted(tmp_path.glob("torn.damaged*")) == []

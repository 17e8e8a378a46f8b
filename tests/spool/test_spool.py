"""The spool's store: what is put comes back in order, limits hold, nobody else can read it."""

import os
import stat
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from siridb_fast.errors import ConfigError, SiriDBError, SpoolError, SpoolFullError
from siridb_fast.spool.store import Spool
from tests.spool.spools import contents, filled, payload, read_all

MIB = 1024 * 1024


class Clock:
    """A wall clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_packages_come_back_in_order_with_all_that_was_said(path: Path) -> None:
    clock = Clock()
    with Spool(path, clock=clock) as spool:
        first = spool.put(b"first", 3)
        clock.now = 1001.5
        second = spool.put(b"", 0, is_sent=True)
        found = spool.read()
    assert [(p.id, p.payload, p.points, p.written_at, p.is_sent) for p in found] == [
        (first, b"first", 3, 1000.0, False),
        (second, b"", 0, 1001.5, True),
    ]


def test_packages_are_there_after_it_is_opened_again(path: Path) -> None:
    payloads = filled(path)
    with Spool(path) as spool:
        assert contents(spool) == payloads
        assert spool.packages == 10
        assert spool.points == sum(range(10))
        assert spool.bytes == sum(map(len, payloads.values()))
        assert spool.damaged == 0
        assert not any(package.is_sent for package in read_all(spool))
        following = spool.put(b"x", 1)
    assert following > max(payloads)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_payload_is_anything_with_a_buffer(path: Path, make: Callable[[bytes], bytes]) -> None:
    with Spool(path) as spool:
        spool.put(make(b"abc"), 1)
        assert spool.read()[0].payload == b"abc"
        assert spool.bytes == 3


def test_many_are_put_in_order(path: Path) -> None:
    with Spool(path) as spool:
        ids = spool.put_many([(payload(seed), seed) for seed in range(5)], is_sent=True)
        assert ids == sorted(set(ids))
        assert [package.id for package in spool.read(limit_bytes=MIB)] == ids
        assert all(package.is_sent for package in spool.read(limit_bytes=MIB))
        assert spool.put_many([]) == []
        assert spool.packages == 5


def test_sent_is_stored_and_the_payload_is_what_it_was(path: Path) -> None:
    payloads = filled(path, 4)
    with Spool(path) as spool:
        spool.mark_sent([2, 3, 99])
        spool.mark_sent([3])
    with Spool(path) as spool:
        assert [package.is_sent for package in read_all(spool)] == [False, True, True, False]
        assert contents(spool) == payloads


def test_removed_packages_are_gone_and_counted_once(path: Path) -> None:
    payloads = filled(path, 6)
    with Spool(path) as spool:
        spool.mark_sent([1, 2])
        spool.remove([1, 3, 99])
        spool.remove([1])
        del payloads[1], payloads[3]
        assert contents(spool) == payloads
        assert (spool.packages, spool.points) == (4, 1 + 3 + 4 + 5)
        assert spool.bytes == sum(map(len, payloads.values()))
    with Spool(path) as spool:
        assert contents(spool) == payloads
        assert (spool.packages, spool.points) == (4, 1 + 3 + 4 + 5)


def test_no_id_is_used_again_while_it_is_open(path: Path) -> None:
    with Spool(path) as spool:
        ids = []
        for _ in range(5):
            ids.append(spool.put(b"x", 1))
            spool.remove(ids[-1:])
    assert len(set(ids)) == 5


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, [1]), (100, [1]), (299, [1, 2]), (300, [1, 2, 3]), (9999, [1, 2, 3, 4, 5])],
)
def test_read_is_bounded_and_gives_one_at_least(
    path: Path, limit: int, expected: list[int]
) -> None:
    with Spool(path) as spool:
        spool.put_many([(bytes(100), 1)] * 5)
        assert [package.id for package in spool.read(0, limit)] == expected
        assert [package.id for package in spool.read(4, limit)] == [5]
        assert spool.read(5, limit) == []


def test_oldest_is_when_the_first_was_written(path: Path) -> None:
    clock = Clock()
    with Spool(path, clock=clock) as spool:
        assert spool.oldest is None
        first = spool.put(b"a", 1)
        clock.now = 1005.0
        second = spool.put(b"b", 1)
        assert spool.oldest == 1000.0
        spool.remove([first])
        assert spool.oldest == 1005.0
        spool.remove([second])
        assert spool.oldest is None


def test_old_packages_expire(path: Path) -> None:
    clock = Clock()
    with Spool(path, max_age=60, clock=clock) as spool:
        first = spool.put(b"a", 7)
        clock.now = 1030.0
        second = spool.put(b"b", 8)
        clock.now = 1060.0
        assert spool.expire() == []
        clock.now = 1060.5
        assert [(row.id, row.points) for row in spool.expire()] == [(first, 7)]
        assert [package.id for package in spool.read()] == [second]
        assert (spool.packages, spool.points, spool.bytes, spool.oldest) == (1, 8, 1, 1030.0)


def test_nothing_expires_without_an_age(path: Path) -> None:
    clock = Clock()
    with Spool(path, clock=clock) as spool:
        spool.put(b"a", 1)
        clock.now = 1e12
        assert spool.expire() == []
        assert spool.packages == 1


def test_full_spool_refuses_all_of_a_call(path: Path) -> None:
    with Spool(path, max_bytes=1000) as spool:
        kept = spool.put(bytes(600), 1)
        with pytest.raises(SpoolFullError, match="600 bytes are there, and max_bytes is 1,000"):
            spool.put_many([(bytes(300), 1), (bytes(101), 1)])
        assert spool.packages == 1
        exact = spool.put(bytes(400), 1)
        spool.remove([kept])
        spool.put(bytes(600), 1)
        assert spool.read()[0].id == exact


def test_disk_that_is_full_loses_nothing(path: Path) -> None:
    payloads = {}
    with Spool(path) as spool:
        spool._base.execute("PRAGMA max_page_count = 60").fetchall()
        with pytest.raises(SpoolFullError, match="the disk has no room"):  # noqa: PT012
            for seed in range(1000):
                payloads[spool.put(payload(seed), seed)] = payload(seed)
        assert contents(spool) == payloads
        assert spool.packages == len(payloads) > 5
        spool.remove(list(payloads)[:5])  # then there is room again
        for number in list(payloads)[:5]:
            del payloads[number]
        payloads[spool.put(b"again", 1)] = b"again"
        assert contents(spool) == payloads
    with Spool(path) as spool:
        assert contents(spool) == payloads


def test_file_shrinks_when_it_is_drained_and_the_log_stays_small(path: Path) -> None:
    log = path.with_name("spool-wal")
    with Spool(path) as spool:
        for _ in range(200):
            spool.put(bytes(MIB), 1)
        assert path.stat().st_size > 180 * MIB
        while packages := spool.read():
            spool.remove([package.id for package in packages])
            assert log.stat().st_size < 64 * MIB
        assert path.stat().st_size < 100 * MIB
    assert path.stat().st_size < MIB
    assert not log.exists()


def test_freed_pages_are_used_again(path: Path) -> None:
    with Spool(path) as spool:
        ids = [spool.put(bytes(MIB), 1) for _ in range(10)]
        for _ in range(60):
            ids.append(spool.put(bytes(MIB), 1))
            spool.remove([ids.pop(0)])
    assert path.stat().st_size < 16 * MIB


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_nobody_else_can_read_it(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "spool"
    before = os.umask(umask)
    try:
        with Spool(path) as spool:
            spool.put(b"x", 1)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["spool", "spool-wal", "spool-shm", "spool.lock"], 0o600)


def test_file_that_others_can_read_is_made_private(path: Path) -> None:
    filled(path, 1)
    path.chmod(0o644)
    with Spool(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_spool_is_for_one_database(path: Path) -> None:
    with Spool(path) as spool:
        assert (spool.dbname, spool.time_precision) == (None, None)
    with Spool(path, dbname="plant", time_precision="ms") as spool:
        spool.put(b"x", 1)
    with Spool(path) as spool:
        assert (spool.dbname, spool.time_precision) == ("plant", "ms")
    with pytest.raises(SpoolError, match="for the database 'plant', and was opened for 'lab'"):
        Spool(path, dbname="lab")
    with pytest.raises(SpoolError, match="time precision 'ms', and was opened for 's'"):
        Spool(path, dbname="plant", time_precision="s")
    with Spool(path, dbname="plant") as spool:
        assert spool.packages == 1


@pytest.mark.parametrize("sync", ["normal", "full"])
def test_sync_is_what_sqlite_gets(path: Path, sync: str) -> None:
    with Spool(path, sync=sync) as spool:  # type: ignore[arg-type]
        (level,) = spool._base.execute("PRAGMA synchronous").fetchone()
        assert level == {"normal": 1, "full": 2}[sync]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_bytes": 0}, "max_bytes is an integer over 0, got 0"),
        ({"max_age": 0}, "max_age is a number of seconds, got 0"),
        ({"max_age": float("nan")}, "max_age is .* got nan"),
        ({"sync": "off"}, "sync is one of 'normal', 'full', got 'off'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    path: Path, options: dict[str, float], text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        Spool(path, **options)  # type: ignore[arg-type]
    assert not path.exists()


def test_closed_spool_says_so(path: Path) -> None:
    spool = Spool(path)
    spool.close()
    spool.close()
    with pytest.raises(SpoolError, match="closed"):
        spool.put(b"x", 1)
    assert issubclass(SpoolError, SiriDBError)
    assert issubclass(SpoolError, OSError)


def test_ids_only_go_up(path: Path) -> None:
    with Spool(path) as spool:
        ids = [spool.put(b"x", 1) for _ in range(20)]
    assert all(a < b for a, b in pairwise(ids))

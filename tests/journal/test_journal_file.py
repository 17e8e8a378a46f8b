"""The file of a journal: what was synced is read again, whatever is damaged costs only itself."""

import os
import random
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siridb_fast.errors import SpoolError, SpoolLockedError
from siridb_fast.journal._frames import Layout
from siridb_fast.journal.file import JournalFile, header_of
from siridb_fast.journal.remains import Frame, Remains, live_frames, portions
from tests.fix_examples import examples
from tests.fix_journal import Recorder, frames_in, remains_of

PAGE, UNIT = int(Layout.PAGE_BYTES), int(Layout.UNIT_BYTES)
Points = dict[str, list[tuple[int, Any]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plant.journal"


def points_of(remains: Remains) -> Points:
    """Return (timestamp, value) of each series, in order."""
    return {
        name: list(zip(timestamps.tolist(), values.tolist(), strict=True))
        for columns in remains.columns.values()
        for name, (timestamps, values) in columns.items()
    }


def written(path: Path, groups: int = 1) -> Points:
    """Write some points of every type, one group after the other, and end as a process does."""
    recorder = Recorder(path)
    all_points: Points = {}
    for group in range(groups):
        columns: dict[str, list[Any]] = {
            "integers": [-1, 2**62, group],
            "floats": [0.5, float(group), 1e300],
            "texts": [b"", "Zürich".encode(), b"x" * group],
        }
        for name, values in columns.items():
            stamps = [group * 10 + i for i in range(len(values))]
            recorder.write(name, stamps, values)
            all_points.setdefault(name, []).extend(zip(stamps, values, strict=True))
        recorder.sync()
    recorder.stop()
    return all_points


def test_points_of_every_type_are_read_as_they_were_written(path: Path) -> None:
    assert points_of(remains_of(path)) == {} if path.exists() else True
    expected = written(path, groups=3)
    assert points_of(remains_of(path)) == expected


def test_journal_that_was_closed_in_order_has_nothing_left(path: Path) -> None:
    recorder = Recorder(path)
    recorder.write("a", [1], [1.5])
    recorder.sync()
    recorder.close()
    assert points_of(remains_of(path)) == {}


def test_released_segments_are_not_read_and_their_place_is_used_again(path: Path) -> None:
    recorder = Recorder(path)
    size = path.stat().st_size
    for round_ in range(12):  # of a unit of 4 MiB each; the file has four
        recorder.write(f"s{round_}", range(150_000), (np.arange(150_000) * 0.5).tolist())
        recorder.sync()
        recorder.send_all()
        recorder.log.begin_segment()
        recorder.appender.release(recorder.log.segment - 1)
    recorder.write("last", [1, 2], [3.5, 4.5])
    recorder.sync()
    recorder.stop()
    assert path.stat().st_size == size
    assert points_of(remains_of(path)) == {"last": [(1, 3.5), (2, 4.5)]}


def test_last_release_is_on_disk_without_another_point(path: Path) -> None:
    recorder = Recorder(path)
    recorder.write("a", [1], [1.5])
    recorder.sync()
    recorder.log.begin_segment()
    recorder.appender.release(recorder.log.segment - 1, is_last=True)
    recorder.stop()
    assert points_of(remains_of(path)) == {}


def test_file_grows_where_segments_are_not_released(path: Path) -> None:
    recorder = Recorder(path)
    for round_ in range(12):
        recorder.write("a", range(round_ * 150_000, (round_ + 1) * 150_000), [0.5] * 150_000)
        recorder.sync()
    assert recorder.appender.used_bytes > 4 * UNIT
    recorder.stop()
    (timestamps, values) = remains_of(path).columns["float"]["a"]
    assert np.array_equal(timestamps, np.arange(1_800_000))
    assert (values == 0.5).all()


def test_series_that_becomes_another_type_has_both(path: Path) -> None:
    recorder = Recorder(path)
    recorder.write("a", [1, 2], [7, 8])
    series = recorder.coalescer.series("a")
    assert recorder.coalescer.recast(series, "float", np.array([7.0, 8.0]))
    recorder.write("a", [3], [9.5])
    recorder.sync()
    recorder.stop()
    remains = remains_of(path)
    assert points_of(Remains({"integer": remains.columns["integer"]})) == {"a": [(1, 7), (2, 8)]}
    assert points_of(Remains({"float": remains.columns["float"]})) == {"a": [(3, 9.5)]}


@pytest.mark.parametrize("seed", range(examples(5)))
def test_random_points_are_read_as_they_were_written(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    recorder = Recorder(path, segment_bytes=chance.choice([1000, 100_000, 1 << 24]))
    expected: Points = {}
    for step in range(200):
        name = f"{chance.choice('ift')}{chance.randrange(20)}"
        n = chance.choice([1, 1, 1, 3, 700])
        make = {"i": lambda i: i - 5, "f": lambda i: i / 7, "t": lambda i: b"t" * (i % 90)}
        values = [make[name[0]](i) for i in range(n)]
        stamps = [step * 1000 + i for i in range(n)]
        recorder.write(name, stamps, values)
        expected.setdefault(name, []).extend(zip(stamps, values, strict=True))
        if chance.random() < 0.1:
            recorder.send_all()
        if chance.random() < 0.1:
            recorder.sync()
    recorder.sync()
    recorder.stop()
    assert points_of(remains_of(path)) == expected


# ---- damage


def test_damaged_frame_costs_its_own_points_only(path: Path) -> None:
    expected = written(path, groups=6)
    frames = frames_in(path)
    assert len(frames) >= 6
    whole = path.read_bytes()
    for frame in frames:
        damaged = bytearray(whole)
        damaged[frame.offset + frame.length // 2] ^= 1
        path.write_bytes(damaged)
        found = points_of(remains_of(path))
        missing = {
            (name, point)
            for name, points in expected.items()
            for point in points
            if point not in found.get(name, [])
        }
        assert len(missing) == frame.points
        assert all(point in expected[name] for name in found for point in found[name])


def test_no_damage_stops_an_opening(path: Path) -> None:
    written(path, groups=3)
    whole = path.read_bytes()
    chance = random.Random(1)
    places = [0, 20, 30, 100, PAGE - 1, UNIT, UNIT + 1, UNIT + 8, UNIT + 24, UNIT + 40]
    places += [chance.randrange(UNIT, UNIT + 10 * PAGE) for _ in range(examples(60))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        found = points_of(remains_of(path))
        assert sum(map(len, found.values())) >= 27 - 9, place


@pytest.mark.parametrize("size", [0, 100, PAGE, UNIT - 1, UNIT, UNIT + 100, UNIT + PAGE + 7])
def test_file_that_was_cut_is_opened(path: Path, size: int) -> None:
    written(path, groups=3)
    os.truncate(path, size)
    recorder = Recorder(path)
    recorder.write("a", [1], [1.5])
    recorder.sync()
    recorder.stop()
    assert points_of(remains_of(path)) == {"a": [(1, 1.5)]}


def test_damaged_header_is_made_anew_and_says_so(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = written(path)
    with path.open("r+b") as file:
        file.write(b"\xff" * 50)
    assert points_of(remains_of(path)) == expected
    assert "the header of the journal is damaged; its points are read" in caplog.text
    recorder = Recorder(path)
    recorder.stop()
    header = header_of(path.read_bytes()[:PAGE])
    assert header is not None
    assert (header.database, header.time_precision) == ("db", "s")


# ---- what is refused


@pytest.mark.parametrize(
    "text", [b"a,b\n1,2\n", b"\x00" * 10 + b"x", b"siridb_fas", b"\xff" * 9000]
)
def test_file_that_is_no_journal_is_refused_and_not_touched(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(SpoolError, match=r"plant\.journal is no journal"):
        JournalFile(path, "db", "s")
    assert path.read_bytes() == text


def test_newer_version_is_refused(path: Path) -> None:
    written(path)
    page = path.read_bytes()[:PAGE]
    _, rest = page.split(b"\n", 1)
    line = b"2"
    text = rest.split(b"\n", 1)[0]
    import zlib

    path.write_bytes(b"siridb_fast journal 2\n" + text + b"\n%08x\n" % zlib.crc32(line + text))
    with pytest.raises(SpoolError, match="the journal is of version 2, this release reads 1"):
        JournalFile(path, "db", "s")


def test_journal_of_another_database_is_refused(path: Path) -> None:
    written(path)
    with pytest.raises(SpoolError, match="is for the database 'db', and was opened for 'other'"):
        JournalFile(path, "other", "s")
    with pytest.raises(SpoolError, match=r"is for the time precision 's', .* for 'ms'"):
        JournalFile(path, "db", "ms")


def test_second_writer_is_refused(path: Path) -> None:
    recorder = Recorder(path)
    with pytest.raises(SpoolLockedError):
        JournalFile(path, "db", "s")
    recorder.stop()


def test_folder_and_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="expected the file of a journal"):
        JournalFile(tmp_path, "db", "s")
    with pytest.raises(SpoolError, match="there is no folder"):
        JournalFile(tmp_path / "none" / "a.journal", "db", "s")


def test_nobody_else_can_read_it(path: Path) -> None:
    written(path)
    assert path.stat().st_mode & 0o777 == 0o600


# ---- a disk that does not take it


def test_full_file_waits_in_memory_until_there_is_room(path: Path) -> None:
    recorder = Recorder(path, max_bytes=5 * UNIT)
    for round_ in range(6):
        recorder.write("a", range(round_ * 150_000, (round_ + 1) * 150_000), [0.5] * 150_000)
        recorder.send_all()
        recorder.log.begin_segment()
    recorder.wait_for_error()
    assert os.strerror(recorder.appender.error_number) == "No space left on device"
    assert recorder.log.waiting_bytes > UNIT
    recorder.appender.release(recorder.log.segment - 3)
    recorder.sync()
    assert recorder.appender.error_number == 0
    recorder.stop()
    (timestamps, _) = remains_of(path).columns["float"]["a"]
    assert timestamps[-1] == 899_999


def test_group_that_does_not_fit_is_written_as_far_as_it_does(path: Path) -> None:
    recorder = Recorder(path, max_bytes=5 * UNIT, segment_bytes=UNIT // 2)
    recorder.appender.hold()
    for round_ in range(8):
        recorder.write("a", range(round_ * 150_000, (round_ + 1) * 150_000), [0.5] * 150_000)
    recorder.appender.go_on()
    recorder.wait_for_error()
    written = recorder.appender.bytes_written
    assert written > UNIT
    recorder.appender.release(1)  # one part is enough to go on
    recorder.appender.hurry()
    deadline = time.monotonic() + 60
    while recorder.appender.bytes_written == written:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    recorder.appender.release(recorder.log.segment - 1)
    recorder.sync()
    assert recorder.appender.error_number == 0
    recorder.stop()


def test_disk_that_is_full_costs_nothing(path: Path) -> None:
    recorder = Recorder(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        for round_ in range(8):
            recorder.write("a", range(round_ * 150_000, (round_ + 1) * 150_000), [1] * 150_000)
        recorder.wait_for_error()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recorder.sync()
    recorder.stop()
    (timestamps, _) = remains_of(path).columns["integer"]["a"]
    assert np.array_equal(timestamps, np.arange(1_200_000))


def test_deleted_file_gets_its_name_again(path: Path) -> None:
    recorder = Recorder(path)
    recorder.write("a", [1], [1.5])
    recorder.sync()
    path.unlink()
    assert not recorder.file.is_there()
    assert recorder.file.bring_back()
    recorder.write("a", [2], [2.5])
    recorder.sync()
    recorder.stop()
    assert points_of(remains_of(path)) == {"a": [(1, 1.5), (2, 2.5)]}


# ---- frames


def frame(
    position: int, length: int, segment: int = 1, live_from: int = 1, opening: int = 1
) -> Any:
    return (opening, segment, live_from, position, 1, 0, 0, length)


def test_frame_that_was_written_again_counts_once_and_the_longer_one() -> None:
    found = live_frames([frame(0, 100), frame(100, 50), frame(0, 100), frame(100, 80)])
    assert [(one.position, one.length) for one in found] == [(0, 100), (100, 80)]


def test_released_and_former_frames_do_not_count() -> None:
    found = [frame(0, 10, 5, 2), frame(10, 10, 6, 6), frame(900, 10, 9, opening=0)]
    assert [one.segment for one in live_frames(found)] == [6]


def test_portions_have_whole_segments() -> None:
    frames = live_frames([frame(10 * i, 10, segment=i // 3) for i in range(9)])
    frames = [Frame(*frame(10 * i, 10, segment=i // 3)) for i in range(9)]
    assert [[one.segment for one in some] for some in portions(frames, 40)] == [
        [0, 0, 0, 1, 1, 1],
        [2, 2, 2],
    ]

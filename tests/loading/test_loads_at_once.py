"""Two loads of one file at once, from machines that share nothing but the database."""

import itertools
import threading
from pathlib import Path

import pytest

from siridb_fast.errors import FileError
from siridb_fast.loading.resume import KnownFiles, Start
from tests.loading.note_stores import NoteMemory, Turns, file_in, manifest_in

CALLS = 5  # of a load that begins: it looks three times, writes a note, and registers


@pytest.fixture
def store() -> NoteMemory:
    return NoteMemory()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return file_in(tmp_path)


def load(store: NoteMemory, file: Path, by: str, start: Start = Start.FRESH) -> KnownFiles:
    return KnownFiles([file], manifest_in(store, by), start)


class InTurn(NoteMemory):
    """The same series for one of several loads, which wait for their turn before each call."""

    def __init__(self, shared: NoteMemory, turns: Turns, name: str) -> None:
        super().__init__()
        self.series = shared.series
        self.before = lambda: turns.wait(name)


def sent_by(file: Path, order: tuple[str, ...], start: Start) -> list[str]:
    """Return which of two loads have let rows leave, if their calls come in this order."""
    shared, turns, sent = NoteMemory(), Turns(order), []

    def run(name: str) -> None:
        try:
            files = load(InTurn(shared, turns, name), file, name, start)
            files.begin(file)
            files.start(file, 1)
            sent.append(name)
        except FileError:
            pass
        finally:
            turns.end(name)

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return sent


@pytest.mark.parametrize(
    ("start", "first"),
    [
        (Start.FRESH, ()),
        (
            Start.RESTART,
            ("a", "b"),
        ),  # else the second may take the first for ended
    ],
)
def test_rows_of_one_load_alone_leave_in_whatever_order_both_begin(
    file: Path, start: Start, first: tuple[str, ...]
) -> None:
    places = range(2 * CALLS)
    for of_a in itertools.combinations(places, CALLS):
        order = (*first, *("a" if place in of_a else "b" for place in places))
        assert len(sent_by(file, order, start)) <= 1, order


def test_load_that_began_meanwhile_is_named(store: NoteMemory, file: Path) -> None:
    first, second = load(store, file, "process 1 on one"), load(store, file, "process 2 on two")
    second.begin(file)
    first.begin(file)
    first.start(file, 1)
    with pytest.raises(FileError, match=r"a.csv: another load of it.*: process 1 on one; --res"):
        second.start(file, 1)


def test_load_with_which_another_one_goes_on_ends_with_its_next_note(
    store: NoteMemory, file: Path
) -> None:
    first = load(store, file, "process 1 on one")
    first.begin(file)
    first.start(file, 10)
    second = load(store, file, "process 2 on two", Start.RESUME)
    assert second.begin(file) == (0, 10)
    second.start(file, 20)
    first.deliver(file, 10)
    with pytest.raises(FileError, match="process 2 on two"):
        first.start(file, 20)
    assert load(store, file, "another", Start.RESUME).begin(file) == (10, 20)


def test_load_that_was_taken_for_ended_is_noticed(store: NoteMemory, file: Path) -> None:
    first = load(store, file, "process 1 on one")
    first.begin(file)
    first.start(file, 10)
    second = load(store, file, "process 2 on two", Start.RESUME)
    second.begin(file)
    first.start(file, 20)
    with pytest.raises(FileError, match="process 1 on one"):
        second.start(file, 20)


def test_rows_of_a_load_are_not_taken_for_those_of_another_one_anew(
    store: NoteMemory, file: Path
) -> None:
    first = load(store, file, "first")
    first.begin(file)
    first.start(file, 10)
    anew = load(store, file, "anew", Start.RESTART)
    anew.begin(file)
    anew.start(file, 1)
    first.deliver(file, 10)
    with pytest.raises(FileError, match="anew"):
        first.start(file, 20)
    first.deliver(file, 20)
    first.finish(file)
    first.__exit__(None, None, None)
    assert load(store, file, "another", Start.RESUME).begin(file) == (0, 1)


def test_load_that_ends_between_is_found_when_a_file_begins(store: NoteMemory, file: Path) -> None:
    second = load(store, file, "process 2 on two")
    with load(store, file, "process 1 on one") as first:
        first.begin(file)
        first.start(file, 10)
    with pytest.raises(FileError, match="was loaded in part"):
        second.begin(file)


def test_short_files_that_another_load_begins_with_are_noticed(
    store: NoteMemory, tmp_path: Path
) -> None:
    paths = [file_in(tmp_path, name) for name in ("a.csv", "b.csv")]
    first, second = (KnownFiles(paths, manifest_in(store, by), Start.FRESH) for by in "12")
    for files in (first, second):
        files.announce(paths)
        files.begin(paths[0])
    first.start(paths[0], 1)
    with pytest.raises(FileError, match="another load of it"):
        second.start(paths[0], 1)


def test_loads_of_other_files_do_not_disturb(store: NoteMemory, tmp_path: Path) -> None:
    paths = [file_in(tmp_path, name) for name in ("a.csv", "b.csv")]
    loads = [load(store, path, str(path)) for path in paths]
    for rows in (1, 2):
        for path, files in zip(paths, loads, strict=True):
            if rows == 1:
                files.begin(path)
            files.start(path, rows)
            files.deliver(path, rows)


def test_load_that_has_ended_does_not_disturb_whoever_goes_on(
    store: NoteMemory, tmp_path: Path
) -> None:
    paths = [file_in(tmp_path, name) for name in ("a.csv", "b.csv")]
    with load(store, paths[0], "ended") as ended:
        ended.begin(paths[0])
        ended.start(paths[0], 1)
    second = load(store, paths[0], "second", Start.RESUME)
    second.begin(paths[0])
    other = load(store, paths[1], "other")
    other.begin(paths[1])
    other.start(paths[1], 1)  # so that all notes are looked at
    second.start(paths[0], 2)


def test_file_that_is_finished_may_be_loaded_anew_by_others(
    store: NoteMemory, tmp_path: Path
) -> None:
    paths = [file_in(tmp_path, name) for name in ("a.csv", "b.csv")]
    first = KnownFiles(paths, manifest_in(store, "first"), Start.FRESH)
    for path in paths:
        first.begin(path)
        first.start(path, 1)
    first.deliver(paths[0], 1)
    first.finish(paths[0])
    first.start(paths[1], 2)
    with load(store, paths[0], "second", Start.RESTART) as second:
        second.begin(paths[0])
        second.start(paths[0], 1)
    first.start(paths[1], 3)

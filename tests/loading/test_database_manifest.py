"""A manifest in the database: what each load notes, and what the next one finds.

A load that is killed is one that is not closed. `test_manifest` has the same of SQLite.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from siridb_fast.errors import FileError, SiriDBError
from siridb_fast.loading.notes import EVERY_ROW, Entry, job_key
from siridb_fast.loading.resume import KnownFiles, Start
from tests.loading.note_stores import NoteMemory, file_in, manifest_in


@pytest.fixture
def store() -> NoteMemory:
    return NoteMemory()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return file_in(tmp_path)


def known(store: NoteMemory, files: Sequence[Path], start: Start) -> KnownFiles:
    return KnownFiles(files, manifest_in(store), start)


def begin(store: NoteMemory, file: Path, start: Start) -> tuple[int, int]:
    with known(store, [file], start) as files:
        return files.begin(file)


def load_some(store: NoteMemory, file: Path, *, started: int, delivered: int) -> None:
    with known(store, [file], Start.FRESH) as files:
        files.begin(file)
        files.start(file, started)
        files.deliver(file, delivered)


def test_row_leaves_when_it_is_noted(store: NoteMemory, file: Path) -> None:
    killed = known(store, [file], Start.FRESH)
    assert killed.begin(file) == (0, 0)
    assert store.series == {}
    killed.start(file, 20)
    assert manifest_in(store).look_up([file]) == [Entry(0, 20, is_done=False)]
    killed.deliver(file, 10)
    killed.start(file, 30)
    killed.deliver(file, 20)  # it would come with what is next
    assert begin(store, file, Start.RESUME) == (10, 30)


def test_what_was_delivered_is_noted_at_the_end(store: NoteMemory, file: Path) -> None:
    load_some(store, file, started=20, delivered=10)
    with known(store, [file], Start.RESUME) as files:
        assert files.begin(file) == (10, 20)
        files.start(file, 30)
        files.deliver(file, 30)
        files.finish(file)
    assert store.is_closed
    with known(store, [file], Start.RESUME) as files:
        assert (files.done, files.todo) == ([file], [])


def test_series_are_integers_under_one_prefix(store: NoteMemory, file: Path) -> None:
    load_some(store, file, started=20, delivered=10)
    load_some_more = known(store, [file], Start.RESUME)
    load_some_more.begin(file)
    load_some_more.start(file, 21)
    register = min(store.series, key=len)
    assert len(store.series[register]) == 2
    loads = {f"{register}.{load:016x}" for load in store.series[register]}
    assert store.series.keys() == {register, *loads}
    assert register.startswith("siridb_fast.loads.")
    assert str(file.parent) not in "".join(map(repr, store.series))


def test_other_roles_of_columns_are_another_job(store: NoteMemory, file: Path) -> None:
    load_some(store, file, started=20, delivered=10)
    assert manifest_in(store, job=job_key("other")).look_up([file]) == [None]


@pytest.mark.parametrize(("is_done", "state"), [(True, "loaded already"), (False, "in part")])
def test_fresh_load_refuses_what_is_known(
    store: NoteMemory, file: Path, is_done: bool, state: str
) -> None:
    load_some(store, file, started=20, delivered=20)
    if is_done:
        with known(store, [file], Start.RESUME) as files:
            files.begin(file)
            files.finish(file)
    with pytest.raises(FileError, match=state):
        begin(store, file, Start.FRESH)


def test_file_that_was_changed_is_compared(store: NoteMemory, file: Path) -> None:
    load_some(store, file, started=2, delivered=1)
    file.write_text("ts,v\n1,1\n2,2\n")
    with known(store, [file], Start.RESUME) as files:
        assert files.changed == files.todo == [file]
        assert files.begin(file, "1", "how") == (0, EVERY_ROW)
        files.start(file, 1)
        files.deliver(file, 1)
    found = manifest_in(store)
    assert found.claim(file, "1") == Entry(1, EVERY_ROW, is_done=False)
    assert found.dialect_of(file) == "how"
    assert begin(store, file, Start.RESTART) == (0, 0)


def test_file_that_is_changed_after_it_was_looked_at_is_noted_as_it_was(
    store: NoteMemory, file: Path
) -> None:
    with known(store, [file], Start.FRESH) as files:
        file.write_text("ts,v\n1,1\n2,2\n")
        files.begin(file)
        files.start(file, 1)
        files.deliver(file, 1)
        files.finish(file)
    with known(store, [file], Start.RESUME) as files:
        assert files.changed == [file]


def test_rows_that_were_counted_in_other_passes_are_not_taken_for_these(
    store: NoteMemory, file: Path
) -> None:
    with known(store, [file], Start.FRESH) as files:
        files.begin(file, "4 1", "how")
        files.start(file, 1)
    with known(store, [file], Start.RESUME) as files:
        assert files.dialect_of(file) == "how"
        assert files.begin(file, "4 1") == (0, 1)
    assert begin(store, file, Start.RESUME) == (0, EVERY_ROW)


def test_all_is_compared_where_that_is_asked(store: NoteMemory, file: Path) -> None:
    load_some(store, file, started=20, delivered=20)
    with known(store, [file], Start.COMPARE) as files:
        assert files.begin(file) == (0, EVERY_ROW)
        files.start(file, 1)
    assert begin(store, file, Start.RESUME) == (0, EVERY_ROW)


# ---- loads anew


@pytest.mark.parametrize(
    ("started", "delivered", "stored", "left"),
    [
        (0, 0, True, (10, 20)),  # it failed before its first point
        (5, 0, False, (10, 20)),  # nobody took that
        (5, 0, True, (0, 5)),  # nobody can tell
        (5, 5, True, (5, 5)),
    ],
)
def test_restart_forgets_with_its_first_point(
    store: NoteMemory,
    file: Path,
    started: int,
    delivered: int,
    stored: bool,
    left: tuple[int, int],
) -> None:
    load_some(store, file, started=20, delivered=10)
    with known(store, [file], Start.RESTART) as files:
        assert files.begin(file) == (0, 0)
        if started:
            files.start(file, started)
        if delivered:
            files.deliver(file, delivered)
        if not stored:
            files.note_nothing_stored()
    assert begin(store, file, Start.RESUME) == left


@pytest.mark.parametrize(("has_begun", "left"), [(False, (10, 20)), (True, (0, 5))])
def test_restart_that_is_killed_goes_on_if_it_had_begun(
    store: NoteMemory, file: Path, has_begun: bool, left: tuple[int, int]
) -> None:
    load_some(store, file, started=20, delivered=10)
    killed = known(store, [file], Start.RESTART)
    killed.begin(file)
    if has_begun:
        killed.start(file, 5)
    assert begin(store, file, Start.RESUME) == left


def test_restart_forgets_all_its_files_together(store: NoteMemory, tmp_path: Path) -> None:
    paths = [file_in(tmp_path, name) for name in ("a.csv", "b.csv", "c.csv")]
    for path in paths:
        load_some(store, path, started=20, delivered=10)
    with known(store, paths, Start.RESTART) as files:
        files.begin(paths[0])
        files.start(paths[0], 5)
        files.deliver(paths[0], 5)
    with known(store, paths, Start.RESUME) as files:
        assert files.unknown == paths[1:]
        assert [files.begin(path) for path in paths] == [(5, 5), (0, EVERY_ROW), (0, EVERY_ROW)]


def test_restart_that_cannot_be_withdrawn_goes_on(store: NoteMemory, file: Path) -> None:
    load_some(store, file, started=20, delivered=10)
    with known(store, [file], Start.RESTART) as files:
        files.begin(file)
        files.start(file, 5)
        store.failures = 1
        files.note_nothing_stored()
        assert files.has_begun  # so that --resume is advised
    assert begin(store, file, Start.RESUME) == (0, 5)


# ---- short files, which are noted together


def test_short_files_are_noted_at_once(store: NoteMemory, tmp_path: Path) -> None:
    paths = [file_in(tmp_path, f"{number}.csv") for number in range(200)]
    with known(store, paths, Start.FRESH) as files:
        files.announce(paths)
        for path in paths:
            assert files.begin(path, "1") == (0, 0)
            files.start(path, 1)
            files.deliver(path, 1)
            files.finish(path)
    # Before they leave: the note, the register, a look at the latter; in the end a note.
    assert store.calls == ["read", "append", "append", "count", "append"]
    store.calls.clear()
    with known(store, paths, Start.RESUME) as files:
        assert files.done == paths
    assert store.calls == ["read", "read"]


@pytest.mark.parametrize("start", [Start.FRESH, Start.RESTART])
def test_short_files_are_noted_with_the_first_row_of_them(
    store: NoteMemory, tmp_path: Path, start: Start
) -> None:
    paths = [file_in(tmp_path, f"{number}.csv") for number in range(5)]
    with known(store, paths, start) as files:
        files.announce(paths[:4])
        for path in paths[:2]:
            assert files.begin(path, "1") == (0, 0)
            files.start(path, 1)
            files.deliver(path, 1)
        files.finish(paths[0])
    with known(store, paths, Start.RESUME) as files:
        assert (files.done, files.unknown) == (paths[:1], paths[4:])
        # The others may be stored, and nobody knows how their rows were counted.
        assert [files.begin(path, "1") for path in paths[1:4]] == [(0, EVERY_ROW)] * 3


# ---- a database that fails


def test_row_does_not_leave_if_it_cannot_be_noted(store: NoteMemory, file: Path) -> None:
    with known(store, [file], Start.FRESH) as files:
        files.begin(file)
        for kept in (None, 3):
            store.failures, store.kept = int(kept is None), kept
            with pytest.raises(SiriDBError):
                files.start(file, 20)
            assert manifest_in(store).look_up([file]) == [None]
        files.start(file, 20)
        files.deliver(file, 20)
    assert begin(store, file, Start.RESUME) == (20, 20)


def test_what_is_not_noted_at_the_end_is_said(store: NoteMemory, file: Path) -> None:
    files = known(store, [file], Start.FRESH)
    files.begin(file)
    files.start(file, 20)
    files.deliver(file, 20)
    store.failures = 2
    with pytest.raises(SiriDBError, match="no server"), files:
        pass
    assert store.is_closed
    assert begin(store, file, Start.RESUME) == (0, 20)
    with pytest.raises(ValueError, match="before") as caught, files:
        raise ValueError("before")
    assert caught.value.__notes__ == ["what was delivered last is not noted: no server"]


def test_store_is_closed_if_it_cannot_be_read(store: NoteMemory) -> None:
    def fail() -> None:
        raise SiriDBError("no right")

    store.before = fail
    with pytest.raises(SiriDBError, match="no right"):
        manifest_in(store)
    assert store.is_closed


def test_load_ends_though_a_note_hangs(
    store: NoteMemory, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.loading.database_manifest.CLOSE_TIMEOUT", 0.01)
    files = known(store, [file], Start.FRESH)
    files.begin(file)
    hangs, may_end = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        assert may_end.wait(60)

    store.before = hang
    thread = threading.Thread(target=files.start, args=(file, 1))
    thread.start()
    try:
        assert hangs.wait(60)
        with files:
            pass
        assert store.is_closed
    finally:
        may_end.set()
        thread.join(60)

"""A load that is killed at any of its requests: what it has noted covers what it has sent.

The next load, which finds what the last one left, goes on from there, and may be killed as well.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from siridb_fast.loading.resume import KnownFiles, Start
from tests.loading.note_stores import NoteMemory, file_in, manifest_in

ROWS = 4  # of a file
SHORT = 3  # files that are announced together
MOST_CALLS = 60


class KilledError(Exception):
    """The process is gone."""


@dataclass
class Machine:
    """Loads files row by row, and is killed at a request.

    Attributes:
        store: Of the database.
        calls: After how many requests it is killed; None: never.
        stored: What the database has, of each file: its rows, as often as they are stored.
    """

    store: NoteMemory
    stored: dict[Path, list[int]]
    calls: int | None = None
    killed: bool = field(default=False, init=False)

    def load(self, files: list[Path], start: Start) -> None:
        """Load files; those that are short come last, and are announced."""
        self.store.before = self._count
        try:
            self._load(files, start)
        except KilledError:
            self.killed = True
        finally:
            self.store.before = lambda: None

    def _count(self) -> None:
        if self.calls is not None:
            if not self.calls:
                raise KilledError
            self.calls -= 1

    def _load(self, files: list[Path], start: Start) -> None:
        known = KnownFiles(files, manifest_in(self.store), start)
        announced = False
        for file in known.todo:
            if file in files[-SHORT:] and not announced:
                announced = True
                known.announce([each for each in known.todo if each in files[-SHORT:]])
            row, started = known.begin(file, "1")
            while row < ROWS:
                known.start(file, row + 1)
                if row >= started or row not in self.stored[file]:
                    self.stored[file].append(row)
                row += 1
                known.deliver(file, row)
            known.finish(file)
        known.__exit__(None, None, None)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [file_in(tmp_path, f"{number}.csv") for number in range(2 + SHORT)]


def killed_at(files: list[Path], starts: list[tuple[Start, int | None]]) -> Machine:
    """Return what the loads have stored, each of which is killed after so many requests."""
    store, stored = NoteMemory(), {file: list[int]() for file in files}
    for start, calls in starts:
        machine = Machine(store, stored, calls)
        machine.load(files, start)
    return machine


def test_load_that_is_killed_anywhere_goes_on_to_each_row_once(files: list[Path]) -> None:
    for first in range(MOST_CALLS):
        for second in (*range(0, MOST_CALLS, 3), None):
            starts = [(Start.FRESH, first), (Start.RESUME, second), (Start.RESUME, None)]
            stored = killed_at(files, starts).stored
            assert {tuple(sorted(rows)) for rows in stored.values()} == {(*range(ROWS),)}
        if not killed_at(files, [(Start.FRESH, first)]).killed:
            assert first > len(files)
            return
    pytest.fail("a load has more requests than that")


def test_restart_that_is_killed_anywhere_stores_each_row_once_or_twice(files: list[Path]) -> None:
    for calls in range(MOST_CALLS):
        starts = [(Start.FRESH, None), (Start.RESTART, calls), (Start.RESUME, None)]
        machine = killed_at(files, starts)
        for rows in machine.stored.values():
            assert set(rows) == {*range(ROWS)}
            assert max(map(rows.count, rows)) <= 2
        if not killed_at(files, starts[:2]).killed:
            assert {tuple(sorted(rows)) for rows in machine.stored.values()} == {
                tuple(sorted([*range(ROWS)] * 2))
            }
            return
    pytest.fail("a load has more requests than that")

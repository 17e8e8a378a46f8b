"""Series in memory for the notes of a manifest, and loads on several machines that take turns."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from siridb_fast.errors import SiriDBError
from siridb_fast.loading.database_manifest import DatabaseManifest
from siridb_fast.loading.notes import job_key

__all__ = ["JOB", "NoteMemory", "Turns", "file_in", "manifest_in"]

JOB = job_key("db", time="ts")


class NoteMemory:
    """A `NoteStore`; what it holds is there for all manifests that are given it.

    Attributes:
        series: All values.
        calls: What was asked, in order.
        failures: How many calls to append fail from now on.
        kept: Of the next points that are appended so many are kept, and the call fails.
        before: Called before each call.
    """

    def __init__(self) -> None:
        self.series: dict[str, list[int]] = {}
        self.calls: list[str] = []
        self.failures = 0
        self.kept: int | None = None
        self.before: Callable[[], None] = lambda: None
        self.is_closed = False

    def read(self, names: Sequence[str]) -> dict[str, list[int]]:
        self._note_call("read")
        return {name: [*self.series[name]] for name in names if name in self.series}

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        self._note_call("count")
        return {name: len(self.series[name]) for name in names if name in self.series}

    def append(self, name: str, values: Sequence[int], timeout: float | None) -> None:
        self._note_call("append")
        if self.failures:
            self.failures -= 1
            raise SiriDBError("no server")
        kept, self.kept = self.kept, None
        self.series.setdefault(name, []).extend(values[:kept])
        if kept is not None:
            raise SiriDBError("no answer")

    def close(self) -> None:
        self.is_closed = True

    def _note_call(self, call: str) -> None:
        self.before()
        self.calls.append(call)


class Turns:
    """Threads that go on when it is their turn, whenever they call `wait`.

    Args:
        order: Whose turn it is, one after the other; behind that all go on.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self._left = list(order)
        self._ended: set[str] = set()
        self._changed = threading.Condition()

    def wait(self, name: str) -> None:
        """Wait for the next turn of a thread, and take it."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_turn(name), 60)
            if self._left:
                del self._left[0]
            self._changed.notify_all()

    def end(self, name: str) -> None:
        """Leave the other turns of a thread to the others."""
        with self._changed:
            self._ended.add(name)
            self._changed.notify_all()

    def _is_turn(self, name: str) -> bool:
        while self._left and self._left[0] in self._ended:
            del self._left[0]
        return not self._left or self._left[0] == name


def manifest_in(store: NoteMemory, by: str = "somebody", job: str = JOB) -> DatabaseManifest:
    """Return a manifest, as a load has it that begins."""
    return DatabaseManifest(store, job, by)


def file_in(folder: Path, name: str = "a.csv") -> Path:
    """Return a file to load."""
    path = folder / name
    path.write_text("ts,v\n1,1\n")
    return path

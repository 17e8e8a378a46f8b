"""Which files of a load are to be loaded, from where on: from the manifests beside them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Self

from siridb_fast.errors import FileError
from siridb_fast.loading.manifest import MANIFEST_NAME, Manifest

__all__ = ["Manifests", "Start"]


class Start(Enum):
    """What becomes of files that are known from an earlier load."""

    FRESH = "fresh"  # there must be none
    RESUME = "resume"  # go on where it ended
    RESTART = "restart"  # load all of them again


class Manifests:
    """The manifests of some files, which may lie in several folders.

    Args:
        files: All that are meant.
        job: What `job_key` gives.
        start: What becomes of files that are known.
        hosts: Of the database.
        servers: The uuids of its servers, if they are known.

    Raises:
        FileError: A file was loaded before and ``start`` is `Start.FRESH`; or it has changed
            since, or the manifest cannot be written.
    """

    def __init__(
        self,
        files: Sequence[Path],
        job: str,
        start: Start,
        hosts: Sequence[str] = (),
        servers: Sequence[str] = (),
    ) -> None:
        self._start = start
        self._may_withdraw = start is Start.RESTART  # nothing of it is known to be stored
        self.has_begun = False  # with points that leave
        self._stack = ExitStack()
        self._manifests: dict[Path, Manifest] = {}
        self.done: list[Path] = []
        self.todo: list[Path] = []
        self.unknown: list[Path] = []  # of those to do
        try:
            for file in files:
                folder = file.parent
                if folder not in self._manifests:
                    manifest = Manifest(
                        folder / MANIFEST_NAME, job, ", ".join(sorted(hosts)), servers
                    )
                    self._manifests[folder] = self._stack.enter_context(manifest)
                self._sort(file)
            if start is Start.RESTART:
                for folder, manifest in self._manifests.items():
                    manifest.restart([file for file in files if file.parent == folder])
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            if self._may_withdraw:
                self._end_restart(is_kept=self.has_begun)
        finally:
            self._stack.close()

    @property
    def paths(self) -> list[Path]:
        """Of their SQLite files."""
        return [manifest.path for manifest in self._manifests.values()]

    @property
    def has_done(self) -> bool:
        """Tell whether some of the files were loaded before."""
        return bool(self.done)

    def dialect_of(self, file: Path) -> str:
        """Return how a file is read of which something is loaded, as it was noted; else ''."""
        return self._of(file).dialect_of(file)

    def begin(self, file: Path, passes: str = "", dialect: str = "") -> tuple[int, int]:
        """Begin with a file; return up to which row it is stored, and up to which it may be."""
        entry = self._of(file).claim(file, passes, dialect)
        return entry.delivered, entry.started

    def start(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are about to leave."""
        if not self.has_begun and self._may_withdraw:
            for manifest in self._manifests.values():
                manifest.begin_restart()
        self.has_begun = True
        self._of(file).start(file, rows)

    def deliver(self, file: Path, rows: int) -> None:
        """Note that rows up to this one are stored.

        With the first of them is forgotten what was stored before a load anew.
        """
        if self._may_withdraw:
            self._end_restart(is_kept=True)
        self._of(file).deliver(file, rows)

    def finish(self, file: Path) -> None:
        """Note that all of a file is stored."""
        self._of(file).finish(file)

    def note_nothing_stored(self) -> None:
        """Note that no point was stored: what was known before a load anew stands."""
        if self._may_withdraw:
            self._end_restart(is_kept=False)
            self.has_begun = False

    def _end_restart(self, *, is_kept: bool) -> None:
        self._may_withdraw = False
        for manifest in self._manifests.values():
            if is_kept:
                manifest.keep_restart()
            else:
                manifest.withdraw_restart()

    def _of(self, file: Path) -> Manifest:
        return self._manifests[file.parent]

    def _sort(self, file: Path) -> None:
        entry = None if self._start is Start.RESTART else self._of(file).look_up(file)
        if entry is None:
            self.unknown.append(file)
        if entry is not None and self._start is Start.FRESH and (entry.is_done or entry.started):
            state = "was loaded already" if entry.is_done else "was loaded in part"
            raise FileError(
                f"it {state}; --resume loads what is left, --restart loads all of it, which "
                "stores points twice that are still there",
                file=str(file),
            )
        (self.done if entry is not None and entry.is_done else self.todo).append(file)

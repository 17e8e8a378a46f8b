"""What becomes of a damaged spool: it is set aside, and a new file gets every package left in it.

Knows the shape of the file; nothing of locks and limits. Rules: the damaged file stays as it is,
under another name. Of what is recovered nobody knows any more whether it was sent, so all of it
is noted as sent, to nobody knows whom. Whenever this is interrupted, it can be done again.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from siridb_fast.errors import SpoolError
from siridb_fast.spool.log_replay import read_log
from siridb_fast.spool.pages import Pages
from siridb_fast.spool.schema import (
    PACKAGES_ROOT,
    SETTINGS_ROOT,
    DamagedSpoolError,
    NewPackage,
    Settings,
    Spooled,
    connect,
    create,
    insert,
    log_path,
    package_of,
    read_packages,
    set_up,
    settings_of,
    side_files,
)

__all__ = [
    "Recovery",
    "Salvage",
    "bring_back",
    "clean_up",
    "damaged_files",
    "is_empty",
    "new_file",
    "rebuild",
    "set_aside",
]

BATCH_BYTES = 16 * 1024 * 1024

logger = logging.getLogger("siridb_fast")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of a damaged file: packages and points that were saved, rows that were not.

    ``reason`` is why not all was tried: the disk has no room for two files.
    """

    packages: int
    points: int
    damaged: int
    reason: str | None = None


class Salvage:
    """What is left in a damaged file, package by package; nothing of it is changed.

    Args:
        path: Of a spool that nobody has open, or of a file that was set aside.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damaged = 0

    def settings(self) -> Settings | None:
        """Return what the spool was for, if that is left."""
        with self._pages() as pages:
            for row in pages.rows(SETTINGS_ROOT):
                with suppress(DamagedSpoolError):
                    return settings_of(tuple(map(_text, row.values[1:])))
        return None

    def packages(self) -> Iterator[Spooled]:
        """Yield each package that is as it was written, in any order."""
        seen: set[int] = set()
        with self._pages() as pages:
            for row in pages.rows(PACKAGES_ROOT):
                if len(row.values) != 6 or row.id in seen:
                    continue  # of another table, or there twice
                try:
                    package = package_of((row.id, *row.values[1:], True, None))
                except DamagedSpoolError:
                    self.damaged += 1
                    continue
                seen.add(row.id)
                yield package
            self.damaged += pages.broken

    def has_any(self) -> bool:
        """Tell whether anything of a spool is left: its settings, or a package."""
        return self.settings() is not None or next(self.packages(), None) is not None

    def _pages(self) -> Pages:
        return Pages(self._path, log_path(self._path))


def clean_up(path: Path) -> None:
    """Remove what an interrupted `rebuild` left; nobody may have the spool open."""
    _drop(_draft(path))
    log = log_path(path)
    for aside in damaged_files(path):
        old_log = log_path(aside)
        if path.exists() and path.samefile(aside):
            _take_back(aside, old_log, log)
        elif log.exists() and old_log.exists() and log.samefile(old_log):
            _drop_sides(path)


def damaged_files(path: Path) -> list[Path]:
    """Return the files that were set aside, the oldest one first."""
    start = f"{path.name}.damaged-"
    numbers = [
        int(file.name.removeprefix(start))
        for file in path.parent.iterdir()
        if file.name.startswith(start) and file.name.removeprefix(start).isdigit()
    ]
    return [_aside(path, number) for number in sorted(numbers)]


def set_aside(path: Path) -> Path:
    """Give a damaged file, and its log, a second name, and return it.

    It has one already if there was no room to rebuild it.

    Raises:
        SpoolError: The folder cannot be written.
    """
    try:
        others = damaged_files(path)
        if others and path.exists() and path.samefile(others[-1]):
            return others[-1]
        last = int(others[-1].name.rpartition("-")[2]) if others else 0
        aside = _aside(path, last + 1)
        _drop_sides(aside)  # of a file that was removed without them
        os.link(path, aside)
        if log_path(path).exists():
            os.link(log_path(path), log_path(aside))
    except OSError as exc:
        raise SpoolError(f"{path}: is damaged, cannot be set aside: {exc.strerror}") from exc
    return aside


def rebuild(path: Path, aside: Path, settings: Settings) -> Recovery:
    """Put a new file in the place of a damaged one, with the packages that are left in it.

    Args:
        path: Of the spool; nobody has it open.
        aside: What `set_aside` gave.
        settings: Of the new file, for what is not left in the old one.

    Raises:
        SpoolError: It cannot be written.
    """
    salvage = Salvage(aside)
    found = salvage.settings()
    if found is not None:
        merged = found.completed_by(settings)
        settings = replace(merged, opened_in=settings.opened_in, sync=settings.sync)
    try:
        return _write(path, settings, salvage)
    except (sqlite3.Error, OSError) as exc:
        raise SpoolError(f"{path}: is damaged, and no new file can be written: {exc}") from exc


def bring_back(path: Path, base: sqlite3.Connection, settings: Settings) -> None:
    """Write a file anew that was deleted while it was open; all of it can still be read.

    Raises:
        SpoolError: There is no room, or no folder.
    """
    draft = _draft(path)
    try:
        _drop(draft)
        create(draft)
        with closing(connect(draft, is_writer=True)) as copy:
            set_up(copy, replace(settings, opened_in=None))
            copy.execute("BEGIN IMMEDIATE")
            last = packages = 0
            while some := read_packages(base, last, BATCH_BYTES):
                for row in some:
                    new = NewPackage(row.payload, row.points, row.is_sent, row.server)
                    insert(copy, row.id, new, row.written_at)
                last, packages = some[-1].id, packages + len(some)
            copy.execute("COMMIT")
        draft.replace(path)
        _drop_sides(path)
    except OSError as exc:
        raise SpoolError(f"{path}: was deleted, cannot be made anew: {exc.strerror}") from exc
    logger.warning("%s: was deleted while it was open; made anew, %d packages", path, packages)


def is_empty(path: Path) -> bool:
    """Return whether there is nothing yet: no file, or an empty one without a log."""
    return not read_log(log_path(path)).frames and (not path.exists() or path.stat().st_size == 0)


def new_file(path: Path, settings: Settings) -> None:
    """Make a spool without packages; it appears under its name when it is complete."""
    _write(path, settings, None)


def _write(path: Path, settings: Settings, salvage: Salvage | None) -> Recovery:
    draft = _draft(path)
    _drop(draft)
    create(draft)
    with closing(connect(draft, is_writer=True)) as base:
        set_up(base, settings)
        recovery = Recovery(0, 0, 0) if salvage is None else _fill(base, salvage)
    draft.replace(path)
    _drop_sides(path)
    return recovery


def _fill(base: sqlite3.Connection, salvage: Salvage) -> Recovery:
    packages = points = waiting = 0
    saved = (0, 0)
    base.execute("BEGIN IMMEDIATE")
    try:
        for package in salvage.packages():
            new = NewPackage(package.payload, package.points, is_sent=True)
            insert(base, package.id, new, package.written_at)
            packages += 1
            points += package.points
            waiting += len(package.payload)
            if waiting > BATCH_BYTES:
                base.execute("COMMIT")
                saved, waiting = (packages, points), 0
                base.execute("BEGIN IMMEDIATE")
        base.execute("COMMIT")
    except sqlite3.OperationalError as exc:
        if base.in_transaction:
            base.execute("ROLLBACK")
        return Recovery(*saved, salvage.damaged, str(exc))
    return Recovery(packages, points, salvage.damaged)


def _take_back(aside: Path, old_log: Path, log: Path) -> None:
    # Nothing was recovered yet; SQLite may have removed the log under its first name.
    if old_log.exists() and not log.exists():
        old_log.rename(log)
    old_log.unlink(missing_ok=True)
    aside.unlink()


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.damaged-{number}")


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}.recovering")


def _drop(path: Path) -> None:
    path.unlink(missing_ok=True)
    _drop_sides(path)


def _drop_sides(path: Path) -> None:
    for side in side_files(path):
        side.unlink(missing_ok=True)


def _text(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

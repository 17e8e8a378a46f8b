"""How a spool is opened: a new one, a sound one, and one that is damaged and has to be rebuilt.

Knows nothing of limits. Rules: whatever has become of a spool, it is opened; an error is raised
only if nothing can be written there. A file that is no spool is not touched.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from siridb_fast.errors import SpoolError
from siridb_fast.spool.header import fault_of, refuse_others
from siridb_fast.spool.log_replay import Log, is_log_damaged, read_log
from siridb_fast.spool.salvage import (
    Recovery,
    clean_up,
    is_empty,
    new_file,
    rebuild,
    set_aside,
)
from siridb_fast.spool.schema import (
    DamagedSpoolError,
    Settings,
    connect,
    is_damage,
    keep_private,
    log_path,
    read_settings,
    upgrade,
    write_settings,
)

__all__ = ["Opened", "check_path", "open_spool", "recover"]

BOOT = Path("/proc/sys/kernel/random/boot_id")

TOTALS = """
SELECT count(*), coalesce(sum(points), 0), coalesce(sum(size), 0), coalesce(max(id), 0),
    (SELECT written_at FROM packages ORDER BY id LIMIT 1)
FROM packages
"""

logger = logging.getLogger("siridb_fast")


@dataclass(frozen=True, slots=True)
class Opened:
    """An open file, what it is for, and what is in it; ``last`` is the greatest id.

    ``oldest`` is when the first package was written, None if there is none.
    """

    base: sqlite3.Connection
    settings: Settings
    packages: int
    points: int
    bytes: int
    last: int
    oldest: float | None
    damaged: int = 0


def check_path(path: Path) -> None:
    """Refuse what can never be a spool, and a file that is none.

    Raises:
        SpoolError: There is a folder, or a device, or another file, or no folder for the file.
    """
    try:
        if path.exists() and not path.is_file():
            raise SpoolError(f"{path}: expected the file of a spool, this is no file")
        if not path.parent.is_dir():
            raise SpoolError(f"{path}: there is no folder {path.parent}")
        if path.exists():
            refuse_others(path)
    except SpoolError:
        raise
    except OSError as exc:
        raise SpoolError(f"{path}: cannot be opened: {exc.strerror}") from exc


def open_spool(path: Path, wanted: Settings) -> Opened:
    """Open a spool that nobody else has open, and rebuild it if it is damaged.

    Raises:
        SpoolError: It is for another database or precision, or cannot be written.
    """
    try:
        clean_up(path)
        if is_empty(path):
            new_file(path, wanted)
        keep_private(path)
        try:
            return _open_sound(path, wanted)
        except _SetAsideError as exc:
            recovery = recover(path, exc.aside, wanted, exc.reason)
            return replace(_open_sound(path, wanted), damaged=recovery.damaged)
    except SpoolError:
        raise
    except sqlite3.Error as exc:
        raise SpoolError(f"{path}: cannot be opened: {exc}") from exc
    except OSError as exc:
        raise SpoolError(f"{path}: cannot be opened: {exc.strerror}") from exc


def recover(path: Path, aside: Path, settings: Settings, reason: str) -> Recovery:
    """Rebuild a damaged file, and warn the operator."""
    recovery = rebuild(path, aside, settings)
    logger.warning(
        "%s: damaged (%s); %d packages with %d points were recovered, %d damaged rows were not; "
        "the damaged file is %s%s",
        path,
        reason,
        recovery.packages,
        recovery.points,
        recovery.damaged,
        aside.name,
        f"; more may be left in it: {recovery.reason}" if recovery.reason else "",
    )
    return recovery


class _SetAsideError(Exception):
    """The file is damaged, and was set aside."""

    def __init__(self, aside: Path, reason: str) -> None:
        super().__init__(reason)
        self.aside = aside
        self.reason = reason


def _open_sound(path: Path, wanted: Settings) -> Opened:
    base = None
    try:
        fault = fault_of(path)
        if fault is not None:
            raise DamagedSpoolError(fault)
        log = read_log(log_path(path))
        base = connect(path, is_writer=True, sync=wanted.sync)
        return _examine(base, path, wanted, log)
    except (SpoolError, sqlite3.Error) as exc:
        # SQLite removes the log when it closes the file, so it gets its second name before.
        aside = set_aside(path) if _means_damage(exc) else None
        if base is not None:
            base.close()
        if aside is None:
            raise
        raise _SetAsideError(aside, str(exc)) from exc


def _means_damage(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return is_damage(error)
    return isinstance(error, DamagedSpoolError)


def _examine(base: sqlite3.Connection, path: Path, wanted: Settings, log: Log) -> Opened:
    found = read_settings(base)
    settings = _agree(path, found, wanted)
    _, frames, _ = base.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if is_log_damaged(log_path(path), log, frames):
        raise DamagedSpoolError(f"its log is damaged: of {log.frames} pages, {frames} are sound")
    boot = _boot()
    is_late = found.sync == "normal" and found.opened_in != boot
    base.execute("BEGIN IMMEDIATE")
    upgrade(base)
    if found.opened_in is not None and (is_late or not log.is_there):
        _mark_all_sent(base, path)
    settings = replace(settings, opened_in=boot)
    write_settings(base, settings)
    base.execute("COMMIT")
    base.execute(
        "PRAGMA wal_checkpoint(PASSIVE)"
    ).fetchall()  # the file alone says that it is open
    packages, points, size, last, oldest = base.execute(TOTALS).fetchone()
    numbers = (packages, points, size, last)
    if not all(isinstance(number, int) for number in numbers) or isinstance(oldest, (str, bytes)):
        raise DamagedSpoolError("a package is damaged")
    return Opened(base, settings, packages, points, size, last, oldest)


def _agree(path: Path, found: Settings, wanted: Settings) -> Settings:
    for name, was, now in (
        ("database", found.dbname, wanted.dbname),
        ("time precision", found.time_precision, wanted.time_precision),
    ):
        if was is not None and now is not None and was != now:
            raise SpoolError(
                f"{path}: this spool is for the {name} {was!r}, and was opened for {now!r}"
            )
    if (
        found.servers
        and wanted.servers
        and set(found.servers.split()).isdisjoint(wanted.servers.split())
    ):
        logger.warning(
            "%s: the database %r is another one than that its packages were made for, or was made "
            "anew; they go there now, where they fit",
            path,
            wanted.dbname,
        )
    return wanted.completed_by(found)


def _mark_all_sent(base: sqlite3.Connection, path: Path) -> None:
    # The end of its log is gone, and with it what was sent, or removed: all packages are in doubt.
    base.execute("INSERT OR IGNORE INTO sent (id) SELECT id FROM packages")
    (packages,) = base.execute("SELECT count(*) FROM sent").fetchone()
    if packages:
        logger.warning("%s: its log is gone; all %d packages are in doubt", path, packages)


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return "unknown"  # not Linux: nobody knows

"""The options of a writer's spool, validated once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal, get_args

from siridb_fast.errors import ConfigError
from siridb_fast.spool.on_full import OnFull, check_on_full

__all__ = ["SpoolOptions", "check_path", "check_rate"]

GIB = 1024 * 1024 * 1024
LEAST_SYNC = 0.0005  # seconds
LEAST_JOURNAL = 64 * 1024 * 1024
Mode = Literal["overflow"]
Sync = Literal["normal", "full"]


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """Where a `BatchWriter` keeps packages that no server has taken yet.

    What has no place in memory goes there, and everything while no server is connected.

    Args:
        path: Of the file, which one writer at a time has. It is made if there is none.
        mode: ``"overflow"``, as above; there is no other any more. What every point needs before
            it is sent is the ``journal``.
        max_bytes: Of all packages.
        max_age: Seconds until a package is given up, and reported as not delivered; None: never.
        on_full: At ``max_bytes``, or if the disk is full: ``"wait"`` leaves points in memory, up
            to ``max_buffered``; ``"raise"`` does so too, and has each call raise `SpoolFullError`
            meanwhile; ``"drop_oldest"`` gives up the oldest packages there, ``"drop_newest"``
            those that find no room, and reports them; see docs/full-stores.md.
        max_rate: Points a second that come back from the file at most, so that a long backlog
            leaves the server time for others; None: as many as it takes.
        sync: ``"full"`` survives a power failure, ``"normal"`` all of it but the last moments. By
            default ``"full"`` with a journal, else ``"normal"``.
        journal: A file for every point that is accepted, until its fate is known or it is in the
            spool: its path. It takes some 24 bytes a point of what is in memory.
        journal_sync: Seconds until a point is in the journal at most, beside what the disk takes.
        journal_max_bytes: Of the file of the journal.
        journal_on_full: At that, or if the disk is full: ``"wait"`` leaves points in memory, up to
            ``max_buffered``, and `persisted` waits; ``"raise"`` does so too, and has each call
            raise `SpoolFullError` meanwhile; ``"drop_oldest"`` gives up the oldest points that
            were not sent, until the journal has room, ``"drop_newest"`` those of each call.

    Raises:
        ConfigError: An option makes no sense.
    """

    path: str | os.PathLike[str]
    mode: Mode = "overflow"
    max_bytes: int = GIB
    max_age: float | None = None
    on_full: OnFull = "wait"
    sync: Sync | None = None
    max_rate: float | None = None
    journal: str | os.PathLike[str] | None = None
    journal_sync: float = 0.005
    journal_max_bytes: int = GIB
    journal_on_full: OnFull = "wait"

    def __post_init__(self) -> None:
        check_path("spool", self.path)
        self._check_mode()
        for name in ("on_full", "journal_on_full"):
            check_on_full(f"spool: {name}", getattr(self, name))
        if self.file_sync not in get_args(Sync):
            expected = ", ".join(map(repr, get_args(Sync)))
            raise ConfigError(f"spool: sync is one of {expected}, got {self.sync!r}")
        if not isinstance(self.max_bytes, int) or self.max_bytes < 1:
            raise ConfigError(f"spool: max_bytes is an integer over 0, got {self.max_bytes!r}")
        if self.max_age is not None and not _is_positive(self.max_age):
            raise ConfigError(f"spool: max_age is a number of seconds, got {self.max_age!r}")
        check_rate("spool: max_rate", self.max_rate)
        self._check_journal()

    @property
    def file_sync(self) -> Sync:
        """What `sync` is, or is by default."""
        return self.sync or ("normal" if self.journal is None else "full")

    def _check_mode(self) -> None:
        mode: str = self.mode
        if mode == "always":
            raise ConfigError(
                'spool: mode="always" is gone: journal="plant.journal" keeps every point on disk '
                "before it is sent"
            )
        if mode not in get_args(Mode):
            raise ConfigError(f"spool: mode is 'overflow', or left out; got {mode!r}")

    def _check_journal(self) -> None:
        if self.journal is not None and not _is_path(self.journal):
            raise ConfigError(f"spool: journal is the path of a file, got {self.journal!r}")
        if (
            self.journal is not None
            and Path(self.journal).absolute() == Path(self.path).absolute()
        ):
            raise ConfigError(f"the journal and the spool are two files, got {self.path!r} twice")
        if not _is_positive(self.journal_sync) or not LEAST_SYNC <= self.journal_sync <= 1:
            raise ConfigError(
                f"spool: journal_sync is {LEAST_SYNC:g} to 1 seconds, got {self.journal_sync!r}"
            )
        least = LEAST_JOURNAL
        if not isinstance(self.journal_max_bytes, int) or self.journal_max_bytes < least:
            raise ConfigError(
                f"spool: journal_max_bytes is an integer from {least:,}, got "
                f"{self.journal_max_bytes!r}"
            )


def check_path(name: str, path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return it, if it is a path.

    Raises:
        ConfigError: It is something else.
    """
    if not _is_path(path):
        raise ConfigError(f"{name}: expected the path of a file, got {path!r}")
    return path


def check_rate(name: str, rate: object) -> None:
    """Check that it is None, or so many points a second.

    Raises:
        ConfigError: It is something else.
    """
    if rate is not None and not (_is_positive(rate) and 1 <= rate < inf):  # type: ignore[operator]
        raise ConfigError(f"{name} is 1 or more points a second, or None, got {rate!r}")


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike)) and bool(os.fspath(value))


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0

"""The options of a writer's spool, validated once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

from siridb_fast.errors import ConfigError

__all__ = ["SpoolOptions", "check_rate"]

GIB = 1024 * 1024 * 1024
Mode = Literal["overflow", "always"]
OnFull = Literal["wait", "drop_oldest"]
Sync = Literal["normal", "full"]


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """Where a `BatchWriter` keeps packages that no server has taken yet, and which.

    Args:
        path: Of the file, which one writer at a time has. It is made if there is none.
        mode: ``"overflow"`` writes what has no place in memory, and everything while no server is
            connected; ``"always"`` writes every package before it is sent, so that what was
            flushed survives the death of the process.
        max_bytes: Of all packages.
        max_age: Seconds until a package is given up, and reported as not delivered; None: never.
        on_full: At ``max_bytes``, or if the disk is full: ``"wait"`` leaves points in memory, up
            to ``max_buffered``; ``"drop_oldest"`` gives up the oldest packages, and reports them.
        max_rate: Points a second that come back from the file at most, so that a long backlog
            leaves the server time for others; None: as many as it takes.
        sync: ``"full"`` survives a power failure, ``"normal"`` all of it but the last moments.

    Raises:
        ConfigError: An option makes no sense.
    """

    path: str | os.PathLike[str]
    mode: Mode = "overflow"
    max_bytes: int = GIB
    max_age: float | None = None
    on_full: OnFull = "wait"
    sync: Sync = "normal"
    max_rate: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)) or not os.fspath(self.path):
            raise ConfigError(f"spool: expected the path of a file, got {self.path!r}")
        for name, choices in (("mode", Mode), ("on_full", OnFull), ("sync", Sync)):
            value = getattr(self, name)
            if value not in get_args(choices):
                expected = ", ".join(map(repr, get_args(choices)))
                raise ConfigError(f"spool: {name} is one of {expected}, got {value!r}")
        if not isinstance(self.max_bytes, int) or self.max_bytes < 1:
            raise ConfigError(f"spool: max_bytes is an integer over 0, got {self.max_bytes!r}")
        if self.max_age is not None and not _is_positive(self.max_age):
            raise ConfigError(f"spool: max_age is a number of seconds, got {self.max_age!r}")
        check_rate("spool: max_rate", self.max_rate)


def check_rate(name: str, rate: object) -> None:
    """Check that it is None, or so many points a second.

    Raises:
        ConfigError: It is something else.
    """
    if rate is not None and not (_is_positive(rate) and 1 <= rate < inf):  # type: ignore[operator]
        raise ConfigError(f"{name} is 1 or more points a second, or None, got {rate!r}")


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0

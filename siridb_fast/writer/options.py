"""The options of a `BatchWriter`, validated once. Times are seconds, sizes bytes.

Here alone stand their defaults; what they mean is in the docstring of `BatchWriter`. Knows nothing
of how they are obeyed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, get_args

from siridb_fast.columns.column import raw_series_name
from siridb_fast.columns.payloads import PACKAGE_BYTES
from siridb_fast.columns.rules import ColumnRules, MissingPolicy, PrecisionLossPolicy, TypePolicy
from siridb_fast.connection.config import OnDoubt
from siridb_fast.connection.hosts import Host
from siridb_fast.delivery.report import Delivered, Failure
from siridb_fast.errors import ColumnError, ConfigError
from siridb_fast.spool.on_full import OnFull, check_on_full
from siridb_fast.spool.options import SpoolOptions, check_path, check_rate

__all__ = [
    "IN_BACKGROUND",
    "Durability",
    "Late",
    "OnConflict",
    "WaitForServer",
    "WriterKeywords",
    "WriterOptions",
    "require_verify",
]

MIB = 1024 * 1024
IN_BACKGROUND: Literal["in_background"] = "in_background"
POINT_BYTES = 20  # of a number with its timestamp, and its part of the name
LARGEST_PACKAGE = 20_000_000  # the server takes 41,943,040, but not gladly (server-facts 3)
WaitForServer = float | Literal["in_background"]
OnDoubtFallback = Literal["report", "resend"]
Durability = Literal["acked", "safe"]
Late = Literal["compare"] | None
OnConflict = Literal["keep", "refuse"]
Spool = str | os.PathLike[str] | SpoolOptions | None
Journal = str | os.PathLike[str] | None


class WriterKeywords(TypedDict, total=False):
    """The keyword options of a writer; see `BatchWriter`."""

    linger: float
    max_buffered: int
    package_bytes: int
    max_rate: float | None
    on_full: OnFull
    wait_for_server: WaitForServer
    connections: int | None
    window: int | None
    delivery_timeout: float
    on_doubt: OnDoubt | None
    on_doubt_fallback: OnDoubtFallback
    durability: Durability
    late: Late
    on_conflict: OnConflict
    spool: Spool
    journal: Journal
    sentinel: str
    on_missing: MissingPolicy
    on_precision_loss: PrecisionLossPolicy
    on_type: TypePolicy
    time_precision: int | None
    buffer_size: int | None
    max_idle_series: int
    on_delivery: Callable[[Delivered], object] | None
    on_error: Callable[[Failure], object] | None
    on_persisted: Callable[[int], object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterOptions:
    """What the keywords say, validated; with the defaults."""

    linger: float = 1.0
    max_buffered: int = 64 * MIB
    package_bytes: int = PACKAGE_BYTES
    max_rate: float | None = None
    on_full: OnFull = "wait"
    wait_for_server: WaitForServer = 0.0
    connections: int | None = None
    window: int | None = None
    delivery_timeout: float = 120.0
    on_doubt: OnDoubt | None = None
    on_doubt_fallback: OnDoubtFallback = "report"
    durability: Durability = "acked"
    late: Late = None
    on_conflict: OnConflict = "keep"
    spool: Spool = None
    journal: Journal = None
    sentinel: str = "siridb_fast.sentinel"
    on_missing: MissingPolicy = "keep"
    on_precision_loss: PrecisionLossPolicy = "error"
    on_type: TypePolicy = "error"
    time_precision: int | None = None
    buffer_size: int | None = None
    max_idle_series: int = 1_000_000
    on_delivery: Callable[[Delivered], object] | None = None
    on_error: Callable[[Failure], object] | None = None
    on_persisted: Callable[[int], object] | None = None

    @classmethod
    def of(cls, keywords: WriterKeywords) -> WriterOptions:
        """Return the options that a caller gives.

        Raises:
            ConfigError: One makes no sense, or is none.
        """
        unknown = keywords.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise ConfigError(f"a writer has no option {min(unknown)!r}")
        return cls(**keywords)

    def __post_init__(self) -> None:
        self._check_sizes()
        check_rate("max_rate", self.max_rate)
        _check_number("linger", self.linger, 0, 3600)
        _check_number("delivery_timeout", self.delivery_timeout, 0.001, 86_400)
        _check_wait_for_server(self.wait_for_server, self.time_precision)
        self._check_choices()
        self._check_sentinel()
        for name in ("on_delivery", "on_error", "on_persisted"):
            callback: Any = getattr(self, name)
            if callback is not None and not callable(callback):
                raise ConfigError(f"{name} is a function or None, got {callback!r}")

    def _check_sizes(self) -> None:
        _check_integer("package_bytes", self.package_bytes, 1000, LARGEST_PACKAGE)
        _check_integer("max_buffered", self.max_buffered, MIB, 1 << 50)
        if self.max_buffered < 4 * self.package_bytes:
            raise ConfigError(
                f"max_buffered is at least four times package_bytes ({self.package_bytes:,}), "
                f"got {self.max_buffered:,}"
            )
        for name in ("connections", "window"):
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), 1, 64)
        if self.buffer_size is not None:
            _check_integer("buffer_size", self.buffer_size, 16, 1 << 30)
        _check_integer("max_idle_series", self.max_idle_series, 1, 1 << 40)
        spool = self.spool_options
        if spool is not None and spool.max_bytes < 4 * self.package_bytes:
            raise ConfigError(
                "spool: max_bytes is at least four times package_bytes "
                f"({self.package_bytes:,}), got {spool.max_bytes:,}"
            )

    def _check_choices(self) -> None:
        check_on_full("on_full", self.on_full)
        _check_choice("on_doubt", self.on_doubt, (None, *get_args(OnDoubt)))
        _check_choice("on_doubt_fallback", self.on_doubt_fallback, get_args(OnDoubtFallback))
        _check_choice("durability", self.durability, get_args(Durability))
        _check_choice("late", self.late, (None, "compare"))
        if self.late is not None and self.on_doubt is not None:
            require_verify(self.on_doubt)
        _check_choice("on_conflict", self.on_conflict, get_args(OnConflict))
        if self.on_conflict == "refuse" and self.late is None:
            raise ConfigError("on_conflict='refuse' needs late='compare', got late=None")
        _check_choice("on_type", self.on_type, get_args(TypePolicy))
        try:
            self.rules(self.time_precision)
        except ValueError as exc:
            raise ConfigError(str(exc)) from None

    def _check_sentinel(self) -> None:
        try:
            raw_series_name(self.sentinel)
        except ColumnError as exc:
            raise ConfigError(f"sentinel: {exc}") from None

    @property
    def full_package_bytes(self) -> int:
        """The size of a full package: at a low `max_rate` about what may leave in a second."""
        if self.max_rate is None:
            return self.package_bytes
        return min(self.package_bytes, max(1000, int(self.max_rate * POINT_BYTES)))

    def time_for(self, points: int) -> float:
        """Return how many seconds to wait at most, by default, until points are delivered."""
        return self.delivery_timeout + (points / self.max_rate if self.max_rate else 0.0)

    @property
    def spool_options(self) -> SpoolOptions | None:
        """What the spool is like, if there is one; a journal has one beside it."""
        spool, journal = self.spool, self.journal
        if journal is None:
            is_path = spool is not None and not isinstance(spool, SpoolOptions)
            return SpoolOptions(spool) if is_path else spool  # type: ignore[arg-type, return-value]
        if isinstance(spool, SpoolOptions):
            if spool.journal is not None:
                raise ConfigError("the journal is given twice: as an option, and in SpoolOptions")
            return replace(spool, journal=journal)
        if spool is None:
            spool = f"{os.fspath(check_path('journal', journal))}.spool"
        return SpoolOptions(spool, journal=journal)

    def per_host(self, host: Host) -> tuple[int, int]:
        """Return how many connections a host gets, and the window of each."""
        # Two packages with a host keep it busy while the next is made; more make its work slower
        # (benchmarks/baselines/ceiling.py).
        connections, window = (1, 2) if host.is_unix_socket else (2, 1)
        return self.connections or connections, self.window or window

    def rules(self, time_precision: int | None) -> ColumnRules:
        """Return the rules for reading points into a database of this precision."""
        return ColumnRules(
            time_precision=time_precision,
            on_missing=self.on_missing,
            on_precision_loss=self.on_precision_loss,
        )


def require_verify(on_doubt: str) -> None:
    """Refuse what would not find out whether a point is stored, where late points are compared.

    Raises:
        ConfigError: Names both options.
    """
    if on_doubt != "verify":
        raise ConfigError(f"late='compare' needs on_doubt='verify', got {on_doubt!r}")


def _check_number(name: str, value: object, least: float, most: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # type: ignore[operator]
        raise ConfigError(f"{name} is {least:g} to {most:g} seconds, got {value!r}")


def _check_integer(name: str, value: object, least: int, most: int) -> None:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or not least <= value <= most:  # type: ignore[operator]
        raise ConfigError(f"{name} is an integer from {least:,} to {most:,}, got {value!r}")


def _check_wait_for_server(wait: object, time_precision: int | None) -> None:
    if wait == IN_BACKGROUND:
        if time_precision is None:
            raise ConfigError(
                f"wait_for_server={IN_BACKGROUND!r} needs time_precision=, because there may be "
                "no server to ask"
            )
    elif isinstance(wait, str):
        raise ConfigError(f"wait_for_server is seconds or {IN_BACKGROUND!r}, got {wait!r}")
    else:
        _check_number("wait_for_server", wait, 0, 86_400)


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} is one of {', '.join(map(repr, choices))}, got {value!r}")

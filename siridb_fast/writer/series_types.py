"""Learning the types of series from the database, before the first of their points leaves.

SiriDB fixes the type of a series by its first point and silently casts all later ones. So points
of a series that is new to a writer wait until the database was asked; those of another type are
cast on request, or refused. What was learned is not believed for ever: it is forgotten with each
new connection and after a drop, and asked for again now and then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from itertools import islice
from math import inf
from typing import Any

import numpy as np

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.batching._series import Series
from siridb_fast.columns.casting import cast_values, is_exact_as_float, text_of, type_remedy
from siridb_fast.concurrency.quiet_log import QuietLog
from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.delivery.kept_points import failure_of
from siridb_fast.delivery.report import Failure
from siridb_fast.errors import ColumnError, PoolError

__all__ = ["SeriesTypeResolver"]

NAMES_AT_ONCE = 1000
RETRY_INTERVAL = 0.5  # seconds until the database is asked again that did not answer
RECHECK_INTERVAL = 60.0  # seconds between two rounds in which all types are asked for again
RECHECK_PAUSE = 1.0  # seconds between the queries of a round, each for `NAMES_AT_ONCE` types

logger = logging.getLogger("siridb_fast")


class SeriesTypeResolver:
    """Asks for the types of a coalescer's new series, in one task for all of them.

    Args:
        coalescer: Has the series.
        look_up: Returns the types of those of the names that exist.
        casts: Points of another type are cast.
        on_refused: Called with pending points that cannot be cast and were dropped, and who waits
            for how many of them.
        on_resolved: Called when types have been resolved.
        on_new: Called with the names of series that the database does not have.
        on_changed: Called when types were forgotten, or are not what they were.
    """

    def __init__(
        self,
        coalescer: Coalescer,
        look_up: Callable[[list[str]], Awaitable[dict[str, str]]],
        *,
        casts: bool,
        on_refused: Callable[[Failure, list[tuple[Any, int]]], None],
        on_resolved: Callable[[], None],
        on_new: Callable[[list[str]], None],
        on_changed: Callable[[], None],
    ) -> None:
        self._coalescer = coalescer
        self._look_up = look_up
        self._casts = casts
        self._on_refused = on_refused
        self._on_resolved = on_resolved
        self._on_new = on_new
        self._on_changed = on_changed
        self._log = QuietLog(time.monotonic)
        self._unresolved: dict[Series, None] = {}
        self._postponed: dict[Series, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._recheck_task: asyncio.Task[None] | None = None
        self.resolved_count = 0  # series, so far

    def start(self, *, may_ask: bool = True) -> None:
        """Ask for what is not resolved, unless that is under way; call this in the event loop.

        Unless it ``may_ask``, that waits until it may.
        """
        for series in self._postponed:
            self._coalescer.forget_type(series)
        self._unresolved.update(self._postponed)
        self._postponed.clear()
        self._unresolved.update(dict.fromkeys(self._coalescer.take_unresolved()))
        if may_ask and self._unresolved and (self._task is None or self._task.done()):
            self._task = begin_task(self._resolve_all())

    def postpone(self) -> None:
        """Let the points of new series leave as they are, until `start` is called again.

        Whoever takes them has to ask for the types later.
        """
        self._unresolved.update(dict.fromkeys(self._coalescer.take_unresolved()))
        for series in self._unresolved:
            self._coalescer.resolve_type(series, None)
        self._postponed.update(self._unresolved)
        self._unresolved.clear()

    @property
    def newest(self) -> Series | None:
        """The series that is resolved last of those that are asked for now."""
        return next(reversed(self._unresolved), None)

    @property
    def oldest_since(self) -> float:
        """When the oldest point was written whose type is asked for; or infinity.

        Of the first `NAMES_AT_ONCE` series: they are asked for in the order in which they came.
        """
        asked = islice(self._unresolved, NAMES_AT_ONCE)
        return min((series.since for series in asked if series.points), default=inf)

    def forget_all(self, *, is_open: bool = False) -> None:
        """Believe no type any more; each is asked for before a point of its series leaves.

        If it ``is_open``, a series without pending points may get another type by its next point.
        """
        self._coalescer.forget_types(is_open=is_open)
        self._on_changed()

    def keep_checking(self) -> None:
        """Ask for all types again now and then, from now on until `stop`."""
        self._recheck_task = begin_task(self._keep_checking())

    def type_of(self, name: str) -> str | None:
        """Return the type that a series is believed to have; None if it is not known."""
        series = self._coalescer.find(name)
        return None if series is None else self._coalescer.type_of(series)

    def correct(self, name: str, type_: str) -> None:
        """Take note of the type that the database says a series has."""
        series = self._coalescer.find(name)
        if series is None or not self._coalescer.is_resolved(series):
            return  # it is asked for in any case
        known = self._coalescer.type_of(series)
        if known is None or known == type_:
            return
        text = "series %r is of type %s in the database, not %s: points may have been converted"
        logger.warning(text, name, type_, known)
        self._coalescer.forget_type(series)
        self._resolve(series, type_)
        self._on_changed()

    def stop(self) -> None:
        """Ask no more."""
        for task in (self._task, self._recheck_task):
            if task is not None:
                cancel_task(task)

    async def _resolve_all(self) -> None:
        while self._unresolved:
            some = list(islice(self._unresolved, NAMES_AT_ONCE))
            try:
                types = await self._look_up([series.name for series in some])
                self._on_new([series.name for series in some if series.name not in types])
                self._resolve_some(some, types)
            except Exception as exc:  # noqa: BLE001 - whatever it is: nothing new would leave
                text = "the types of %d series are not known yet: %r"
                if isinstance(exc, PoolError):  # the log says already that no server is there
                    logger.debug(text, len(some), exc)
                else:
                    self._log.log(logging.WARNING, text, len(some), exc)
                await asyncio.sleep(RETRY_INTERVAL)
                continue
            self.resolved_count += len(some)
            self._on_resolved()

    def _resolve_some(self, some: list[Series], types: dict[str, str]) -> None:
        for series in some:
            if series in self._unresolved:  # not postponed meanwhile
                self._resolve(series, types.get(series.name))
                del self._unresolved[series]

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_INTERVAL)
            names = self._coalescer.names()
            for first in range(0, len(names), NAMES_AT_ONCE):
                await self._check(names[first : first + NAMES_AT_ONCE])
                await asyncio.sleep(RECHECK_PAUSE)

    async def _check(self, names: list[str]) -> None:
        try:
            types = await self._look_up(names)
        except Exception as exc:  # noqa: BLE001 - whatever it is: the next round asks again
            logger.debug("the types of %d series were not checked: %r", len(names), exc)
            return
        for name, type_ in types.items():
            self.correct(name, type_)
        self._on_new([name for name in names if name not in types])
        self._on_resolved()

    def _resolve(self, series: Series, type_: str | None) -> None:
        # Other threads may write meanwhile: it is done once the coalescer says so.
        while not self._coalescer.resolve_type(series, type_):
            assert type_ is not None  # noqa: S101 - a new series takes any type
            try:
                self._recast(series, type_)
            except ColumnError as exc:
                timestamps, values, waiting = self._coalescer.drop(series)
                self._coalescer.resolve_type(series, type_)
                self._on_refused(failure_of(series.name, timestamps, values, exc), waiting)

    def _recast(self, series: Series, type_: str) -> None:
        # Cast what is pending, then what came during that, which is less each time.
        fitted = self._cast(series, type_, 0)
        while not self._coalescer.recast(series, type_, fitted):
            more = self._cast(series, type_, len(fitted))
            if isinstance(fitted, list):
                fitted.extend(more)
            else:
                fitted = np.concatenate([fitted, more])

    def _cast(self, series: Series, type_: str, first: int) -> np.ndarray | list[bytes]:
        _, values = self._coalescer.pending(series, first)
        own = self._coalescer.type_of(series)
        if own == "integer" and type_ == "float":
            assert isinstance(values, np.ndarray)  # noqa: S101
            if is_exact_as_float(values):
                return values.astype(np.float64)
        if not self._casts:
            raise ColumnError(
                f"the series is of type {type_} in the database, what was written is {own}; "
                f"{type_remedy(type_, own)}",
                series=series.name,
            )
        if isinstance(values, list):
            values = np.array([text_of(series.name, text) for text in values], object)
        fitted = cast_values(series.name, values, type_)
        return [text.encode() for text in fitted.tolist()] if type_ == "string" else fitted

"""A writer that is still open when its process ends: it is closed where its event loop is.

That may run in another thread, or stand still in this one. Where it is closed already nothing can
be delivered any more, and the number of points is told. Knows how writers are closed; knows
nothing of why the process ends.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from siridb_fast.concurrency.loops import LEAVING_TIMEOUT

if TYPE_CHECKING:
    from siridb_fast.writer.engine import Engine

__all__ = ["Leaver", "begin_leaving", "drop_points", "warn_of_dropped"]

DISK_TIMEOUT = 35.0  # for the spool, after the time for delivering
POLL = 0.1

logger = logging.getLogger("siridb_fast")


@dataclass(frozen=True, slots=True)
class Leaver:
    """A writer, as it is closed here.

    Attributes:
        name: For messages.
        engine: What is behind it.
        close: Closes it within so many seconds, or has whoever closes it hurry.
        give_up: Lets go of what it has, without its event loop, and tells what is not delivered.
    """

    name: str
    engine: Engine
    close: Callable[[float], Coroutine[Any, Any, object]]
    give_up: Callable[[], object]


def drop_points(engine: Engine, name: str) -> int:
    """Let go of what a writer has, which cannot be delivered; return how many points that are."""
    left = engine.figures.points_in_memory
    if left:
        logger.error("%s was dropped with %s points not delivered", name, f"{left:,}")
    if engine.loop.is_closed():
        engine.stop()
    return left


def warn_of_dropped(writer: object, points: int) -> None:
    """Warn the author of a program that a writer was not closed."""
    with_points = f" with {points:,} points not delivered" if points else ""
    text = f"{writer!r} was dropped{with_points}; close it"
    warnings.warn(text, ResourceWarning, stacklevel=1, source=writer)


def begin_leaving(leaver: Leaver) -> Callable[[], None] | None:
    """Begin to close a writer; what is returned waits for that."""
    # An event loop that runs here waits for this; one that stands still is run by its own thread.
    # That of another thread may come to its end at any moment, so it is asked only once.
    loop, left = leaver.engine.loop, leaver.engine.figures.points_in_memory
    is_this_thread = leaver.engine.is_this_thread
    if loop.is_closed() or loop.is_running() == is_this_thread:
        leaver.give_up()
        return None
    if left:
        logger.warning(
            "%s is closed by the end of the program; %s points left", leaver.name, f"{left:,}"
        )
    return partial(_close_here, leaver) if is_this_thread else _Closing(leaver).wait


def _close_here(leaver: Leaver) -> None:
    leaver.engine.loop.run_until_complete(leaver.close(LEAVING_TIMEOUT))


class _Closing:
    """In an event loop that runs in another thread, which may have other things to do."""

    def __init__(self, leaver: Leaver) -> None:
        self._leaver = leaver
        self._loop = leaver.engine.loop
        self._has_begun = threading.Event()
        self._has_ended = threading.Event()
        self._future: Future[None] | None = None
        self._closing = self._close()
        with suppress(RuntimeError):  # the event loop is closed now, and `wait` finds that
            self._future = asyncio.run_coroutine_threadsafe(self._closing, self._loop)

    async def _close(self) -> None:
        self._has_begun.set()
        try:
            await self._leaver.close(LEAVING_TIMEOUT)
        finally:
            self._has_ended.set()

    def wait(self) -> None:
        """Wait until it is closed; Ctrl+C has it closed at once."""
        try:
            self._wait()
        except BaseException:
            if self._future is not None:
                self._future.cancel()
            self._has_ended.wait(1.0)  # for the number of points to be told
            raise

    def _wait(self) -> None:
        if not self._wait_for(self._has_begun, LEAVING_TIMEOUT):
            if self._loop.is_closed():
                self._closing.close()  # which nobody will run
            self._leaver.give_up()
        elif not self._wait_for(self._has_ended, LEAVING_TIMEOUT + DISK_TIMEOUT):
            left = self._leaver.engine.figures.points_in_memory
            logger.error("%s is not closed; %s points left", self._leaver.name, f"{left:,}")

    def _wait_for(self, event: threading.Event, timeout: float) -> bool:
        # Not longer than the event loop lives, which others may stop.
        while not event.wait(POLL):
            timeout -= POLL
            if timeout < 0 or self._loop.is_closed():
                return event.is_set()
        return True

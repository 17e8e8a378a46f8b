"""What is said of a host that is gone: lost, still gone after growing pauses, back.

A host that comes and goes does not say more than one that stays away: the pauses go on unless it
was back for `CALM` seconds. Knows what happened to the connections of one host; knows nothing of
how they are made. Times are given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf

from siridb_fast.concurrency.quiet_log import CALM, GrowingPauses

__all__ = ["Outage"]

logger = logging.getLogger("siridb_fast")


class Outage:
    """Those of one host, one after the other.

    Args:
        host: Its name.
        waiting: Returns what waits for a server, to be put behind a message; empty if nothing.
    """

    def __init__(self, host: str, waiting: Callable[[], str]) -> None:
        self._host = host
        self._waiting = waiting
        self._pauses = GrowingPauses()
        self._told: set[type[BaseException]] = set()  # a failure of another class is news
        self._since: float | None = None  # None: it is there
        self._back_at = -inf
        self._has_lines = False  # of this outage

    def on_lost(self, now: float) -> None:
        """Say that a connection was lost; once, however many are."""
        self._begin(now)
        if self._pauses.take(now):
            self._has_lines = True
            logger.warning("lost the connection to %s", self._host)

    def on_failure(self, failure: BaseException, now: float) -> None:
        """Say that an attempt to connect has failed, if that is news, or it is time to."""
        since = self._begin(now)
        prefix = "" if self._host in str(failure) else f"no connection to {self._host}: "
        is_news = type(failure) not in self._told
        if not (self._pauses.take(now) or is_news):
            logger.debug("%s%s", prefix, failure)
            return
        self._told.add(type(failure))
        self._has_lines = True
        lasting = f"; none for {now - since:.0f} s" if now >= since + 1 else ""
        logger.error("%s%s%s%s", prefix, failure, lasting, self._waiting())

    def on_connected(self, now: float) -> None:
        """Say that the host is back, if it was said that it is gone."""
        if self._since is None:
            return
        if self._has_lines:
            logger.warning("connected to %s after %.0f s", self._host, now - self._since)
        self._since, self._has_lines, self._back_at = None, False, now

    def _begin(self, now: float) -> float:
        # Return when the outage began, which may be now.
        if self._since is None:
            self._since = now
            if now - self._back_at > CALM:
                self._pauses.reset()
                self._told.clear()
        return self._since

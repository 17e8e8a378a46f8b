"""What the disk of a spool does not do, logged once until it does it again.

Knows texts and levels; knows nothing of when something is tried again.
"""

from __future__ import annotations

import logging

from siridb_fast.errors import SiriDBError

__all__ = ["DiskErrors"]

logger = logging.getLogger("siridb_fast")


class DiskErrors:
    """Those of one spool."""

    def __init__(self) -> None:
        self._lasting: set[str] = set()  # what is not done

    def on_error(self, what: str, error: Exception) -> None:
        """Log that something was not done; with a traceback, if no disk should raise that."""
        level = logging.DEBUG if what in self._lasting else logging.ERROR
        self._lasting.add(what)
        traceback = None if isinstance(error, SiriDBError) else error
        logger.log(level, "%s: %s; trying again until it works", what, error, exc_info=traceback)

    def on_done(self, what: str) -> None:
        """Log that something is done again, if it was not."""
        if what in self._lasting:
            self._lasting.discard(what)
            logger.warning("%s, but now it works again", what)

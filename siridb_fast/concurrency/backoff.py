"""How long to leave servers alone that cannot serve now.

Knows nothing of clocks: times are given.
"""

from __future__ import annotations

import random

__all__ = ["Backoff"]

FIRST_PAUSE = 0.1  # seconds; twice as long each time
LONGEST_PAUSE = 5.0


class Backoff:
    """Pauses that grow until a server serves again."""

    def __init__(self) -> None:
        self._pause = 0.0
        self.until = 0.0

    def begin(self, now: float) -> None:
        """Begin a pause, one for all packages that were in flight.

        With jitter, so that many writers do not come back at the same moment.
        """
        if now < self.until:
            return
        self._pause = min(self._pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
        self.until = now + self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Let the next pause be a short one."""
        self._pause = 0.0

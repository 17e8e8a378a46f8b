"""How a plain call learns that its points are given up, because there is no room for them.

Knows nothing of what is full, and of what becomes of the points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["NoRoom"]

GiveUp = Callable[[Sequence[str], Sequence[int], Sequence[object]], None]


class NoRoom(Exception):
    """Say that the points of a call are to be given up; no user ever gets it.

    Args:
        give_up: Called with the series, the timestamp and the value of each; a text is bytes.
    """

    def __init__(self, give_up: GiveUp) -> None:
        super().__init__("the points of this call are given up")
        self.give_up = give_up

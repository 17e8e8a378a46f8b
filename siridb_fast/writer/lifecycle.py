"""The states of a writer, from new to closed."""

from enum import Enum

__all__ = ["NOT_YET_OPEN", "State"]


class State(Enum):
    """Of a writer, in the order it goes through them."""

    NEW = "new"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


NOT_YET_OPEN = (State.NEW, State.OPENING)

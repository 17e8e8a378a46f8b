"""What is done where there is no room: one set of words for memory, for a journal and for a spool.

Knows words; knows nothing of stores, and of how a word is obeyed.
"""

from __future__ import annotations

from typing import Literal, get_args

from siridb_fast.errors import ConfigError

__all__ = ["OnFull", "Store", "check_on_full"]

OnFull = Literal["wait", "raise", "drop_oldest", "drop_newest"]
Store = Literal["memory", "journal", "spool"]


def check_on_full(name: str, word: object) -> None:
    """Check that it is one of the words.

    Raises:
        ConfigError: It is none; names all.
    """
    if word not in get_args(OnFull):
        raise ConfigError(
            f"{name} is one of {', '.join(map(repr, get_args(OnFull)))}, got {word!r}"
        )

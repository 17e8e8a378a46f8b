"""What belongs to one process: sockets and threads, which a fork or a pickle would tear apart.

A child of a fork has the same sockets as its parent, the same epoll, and no threads: whatever it
did with them would be done to the parent. So `disown` is called in the child for all that is
`own`ed, and whoever calls it there gets a `ForkedError`.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import NoReturn, Protocol

from siridb_fast.errors import ForkedError

__all__ = ["Home", "Unpicklable", "detach", "own"]

logger = logging.getLogger("siridb_fast")


class Owned(Protocol):
    """Something that a child of a fork must not use."""

    def disown(self) -> None:
        """Stop using it, in the child; nothing may be sent or waited for."""


_owned: weakref.WeakSet[Owned] = weakref.WeakSet()


def own(thing: Owned) -> None:
    """Have ``disown`` of this called in children of a fork, while it lives."""
    _owned.add(thing)


def _disown_all() -> None:
    for thing in list(_owned):
        try:
            thing.disown()
        except Exception:
            logger.exception("%r is not disowned in process %d", thing, os.getpid())
    _owned.clear()


if hasattr(os, "register_at_fork"):  # there is no fork in Windows
    os.register_at_fork(after_in_child=_disown_all)


def detach(descriptor: int) -> None:
    """Make a file descriptor one of the null device in this process, so that it sends nothing.

    The number stays taken; closing it has no effect on other processes, nor on an epoll that they
    share with this one.
    """
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.dup2(null, descriptor, inheritable=False)
    finally:
        os.close(null)


class Home:
    """The process that something was made in.

    Args:
        what: The name of that, for messages.
    """

    __slots__ = ("_pid", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._pid = os.getpid()

    @property
    def is_here(self) -> bool:
        """Tell whether it is this process."""
        return self._pid == os.getpid()

    def require(self) -> None:
        """Raise `ForkedError` in any other process."""
        if not self.is_here:
            raise ForkedError(
                f"the {self._what} belongs to process {self._pid}; process {os.getpid()} is a "
                f"fork of it and needs a {self._what} of its own"
            )


class Unpicklable:
    """A mixin of what has sockets: it cannot go to another process."""

    __slots__ = ()

    def __reduce_ex__(self, _: object) -> NoReturn:
        """Refuse to be copied."""
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied, because it has connections; "
            "pickle its URL or its config, and make another of that"
        )

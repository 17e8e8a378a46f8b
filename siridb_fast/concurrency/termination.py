"""SIGTERM as an exception, while something is open that has to be closed before the process ends.

Only in the main thread, where Python handles signals, and only where SIGTERM has its default: a
handler of the user's is left alone. Knows nothing of what is open.
"""

from __future__ import annotations

import os
import signal
import threading
import weakref
from types import FrameType

__all__ = ["TERMINATED", "begin_ending", "begin_handling", "end_handling", "is_unhandled"]

TERMINATED = 128 + signal.SIGTERM  # what a shell calls the exit code of a process that it ended


class _Termination:
    """What is open in this process."""

    def __init__(self) -> None:
        self._pid = 0
        self._open: weakref.WeakSet[object] = weakref.WeakSet()
        self._forking = threading.local()
        self._has_hooks = False
        self._is_ending = False  # this process, so that what is open is closed already
        self._was_told = False  # by a SIGTERM

    def add(self, thing: object) -> None:
        if not _is_main_thread() or not self.is_free:
            return
        if self._pid != os.getpid():  # what a parent has open is its own
            self._pid = os.getpid()
            self._open.clear()
            self._is_ending = self._was_told = False
        try:
            signal.signal(signal.SIGTERM, self.handle)
        except ValueError:  # another interpreter of the process is the main one
            return
        self._open.add(thing)
        if not self._has_hooks:
            self._has_hooks = True
            os.register_at_fork(
                before=self._block, after_in_parent=self._unblock, after_in_child=self._leave_child
            )

    def remove(self, thing: object) -> None:
        self._open.discard(thing)
        if not self._open and _is_main_thread() and self.has_handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    @property
    def has_handler(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self.handle

    @property
    def is_free(self) -> bool:
        return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL or self.has_handler

    def handle(self, number: int, _: FrameType | None) -> None:
        if self._pid == os.getpid() and self._open:
            is_news = not (self._is_ending and not self._was_told)
            self._was_told = True
            if is_news:
                raise SystemExit(TERMINATED)
            return
        # Closed by another thread, which may not put the default back.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def begin_ending(self) -> None:
        if self._pid == os.getpid():
            self._is_ending = True

    # ---- a fork: Python forgets a signal that comes to the child before it has its own handlers

    def _block(self) -> None:
        if self.has_handler:
            self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def _unblock(self) -> None:
        mask = self._forking.__dict__.pop("mask", None)
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _leave_child(self) -> None:
        if self.has_handler:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._unblock()


_termination = _Termination()


def begin_handling(thing: object) -> None:
    """Have SIGTERM raise `SystemExit` (143) in the main thread, while this is alive.

    Nothing happens in any other thread, and where SIGTERM has a handler.
    """
    _termination.add(thing)


def begin_ending() -> None:
    """Take the first SIGTERM from now on for what goes on already: the end of this process.

    A pool of `multiprocessing` sends one to a worker that ends by itself. The second one raises
    `SystemExit`, as ever.
    """
    _termination.begin_ending()


def end_handling(thing: object) -> None:
    """Put the default of SIGTERM back, if nothing else is open."""
    _termination.remove(thing)


def is_unhandled() -> bool:
    """Tell whether a handler for SIGTERM may be set here: nobody else has one."""
    return _is_main_thread() and _termination.is_free


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

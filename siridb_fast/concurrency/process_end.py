"""What has to be finished before this process ends: by a return, an exception or `sys.exit`.

`atexit` has it finished in a program. A worker that `multiprocessing` has forked ends by
`os._exit` and, before Python 3.13, without that: there `multiprocessing.util.Finalize` has it
finished. Nothing is called at `os._exit`, nor at a signal that nobody handles. Knows nothing of
what is to be finished.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

from siridb_fast.concurrency.termination import begin_ending

__all__ = ["before_end"]

Finish: TypeAlias = Callable[[], None]
Begin: TypeAlias = Callable[[Any], Finish | None]


class _ProcessEnd:
    """What is unfinished in this process."""

    def __init__(self) -> None:
        self._pid = 0
        self._unfinished: weakref.WeakKeyDictionary[Any, Begin] = weakref.WeakKeyDictionary()

    def add(self, thing: object, begin: Begin) -> None:
        """Remember it, while it lives."""
        if self._pid != os.getpid():
            self._enter()
        self._unfinished[thing] = begin

    def finish_all(self) -> None:
        """Finish all of it; what takes its time does so side by side."""
        if self._pid != os.getpid():
            return
        begin_ending()
        begun = [begin(thing) for thing, begin in list(self._unfinished.items())]
        self._unfinished.clear()
        for finish in begun:
            if finish is not None:
                finish()

    def _enter(self) -> None:
        # What a parent has left unfinished is its own.
        self._pid = os.getpid()
        self._unfinished.clear()
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            from multiprocessing.util import Finalize  # which only a worker has

            Finalize(None, self.finish_all, exitpriority=0)


_process_end = _ProcessEnd()
atexit.register(_process_end.finish_all)


def before_end(thing: object, begin: Begin) -> None:
    """Have ``begin(thing)`` called before this process ends, if it is still alive then.

    That begins to finish it; what it returns, if anything, is called next and waits for the rest.
    """
    _process_end.add(thing, begin)

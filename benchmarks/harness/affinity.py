"""Affinity, which cores run what: the client on one of them, what it talks to on the others.

Where a kernel chooses, the CPU time of sending the same bytes changes from lap to lap.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

__all__ = ["CLIENT", "OTHERS", "on_cores"]

_ALL = sorted(os.sched_getaffinity(0))
CLIENT = frozenset(_ALL[:1])
OTHERS = frozenset(_ALL[1:]) or CLIENT


@contextmanager
def on_cores(cores: Set[int]) -> Iterator[None]:
    """Run this process, and those that it starts meanwhile, on these cores."""
    before = os.sched_getaffinity(0)
    _move(cores)
    try:
        yield
    finally:
        _move(before)


def _move(cores: Set[int]) -> None:
    # Every thread has cores of its own; some libraries set theirs early.
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)

"""The end of a process, for a writer whose event loop comes to its end in the same moment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from siridb_fast.writer.leaving import Leaver, begin_leaving


@dataclass
class EndingLoop:
    """An event loop of another thread, which runs when it is asked first, and is closed then."""

    runs: Iterator[bool] = field(default_factory=lambda: iter([True]))
    takes_calls: bool = False
    was_asked: bool = False

    def is_running(self) -> bool:
        self.was_asked = True
        return next(self.runs, False)

    def is_closed(self) -> bool:
        return self.was_asked

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        if not self.takes_calls:
            raise RuntimeError("Event loop is closed")


@pytest.mark.parametrize("takes_calls", [False, True])
def test_writer_whose_event_loop_ends_meanwhile_is_given_up(takes_calls: bool) -> None:
    loop, given_up = EndingLoop(takes_calls=takes_calls), []
    engine: Any = SimpleNamespace(
        loop=loop, figures=SimpleNamespace(points_in_memory=7), is_this_thread=False
    )

    async def close(timeout: float) -> None:
        raise AssertionError("nobody runs this")

    wait = begin_leaving(Leaver("a writer", engine, close, lambda: given_up.append(True)))
    assert wait is not None
    wait()
    assert given_up == [True]

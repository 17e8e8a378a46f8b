"""Waiters in an event loop and in threads, which go on once what they wait for is so."""

import asyncio
import threading

import pytest

from siridb_fast import WriterClosedError
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.testing import wait_until


async def test_those_whose_wait_is_over_go_on() -> None:
    notified: list[None] = []
    waiters = Waiters(asyncio.get_running_loop(), lambda: notified.append(None))
    things: list[int] = []
    first = asyncio.ensure_future(waiters.wait_until(lambda: bool(things)))
    second = asyncio.ensure_future(waiters.wait_until(lambda: len(things) > 1))
    await asyncio.sleep(0)
    assert len(notified) == 2  # that somebody waits
    things.append(1)
    waiters.wake()
    await first
    assert not second.done()
    waiters.end(WriterClosedError("closed"))
    with pytest.raises(WriterClosedError):
        await second


async def test_threads_go_on_when_woken() -> None:
    waiters = Waiters(asyncio.get_running_loop(), lambda: None)
    has_room = threading.Event()
    thread = threading.Thread(target=lambda: waiters.wait_in_thread(has_room.is_set))
    thread.start()
    has_room.set()

    def is_gone() -> bool:
        waiters.wake()
        return not thread.is_alive()

    wait_until(is_gone, timeout=5, what="the end of the thread")

"""Look-ups of packages in doubt take turns, and wait for theirs."""

import asyncio

import pytest

from siridb_fast.delivery.doubt import LookupTurns


async def test_turn_is_waited_for_as_long_as_others_are_settled() -> None:
    loop = asyncio.get_running_loop()
    turns = LookupTurns(loop)
    past, future = loop.time() - 1, loop.time() + 60
    assert [await turns.acquire(past) > past for _ in range(2)] == [True, True]
    with pytest.raises(TimeoutError):
        await turns.acquire(past)
    turns.release(is_resolved=False)
    await turns.acquire(future)
    with pytest.raises(TimeoutError):
        await turns.acquire(past)
    turns.release(is_resolved=True)
    await turns.acquire(future)
    waiting = loop.create_task(turns.acquire(past))
    await asyncio.sleep(0)
    turns.release(is_resolved=True)
    assert await waiting > loop.time()


async def test_turn_is_waited_for_while_servers_restart() -> None:
    loop = asyncio.get_running_loop()
    turns = LookupTurns(loop)
    past = loop.time() - 1
    for _ in range(2):
        await turns.acquire(past)
    turns.extend()
    waiting = loop.create_task(turns.acquire(past))
    await asyncio.sleep(0.05)
    turns.release(is_resolved=False)
    assert await waiting > loop.time()

"""Waiting for something as long as there is hope: for what has no deadline of its own.

Knows the event loop; knows nothing of what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["wait_while_progressing"]

T = TypeVar("T")


async def wait_while_progressing(
    coroutine: Coroutine[Any, Any, T],
    moves: Callable[[], int | None],
    patience: float,
    hopeless: asyncio.Future[None],
) -> T:
    """Return what a coroutine returns; give it up when nothing moves.

    Args:
        coroutine: Cancelled if it is given up, or this is.
        moves: Returns a number that changes whenever something moves; None while something is
            under way that has a deadline of its own.
        patience: Seconds without a move.
        hopeless: Done when there is no use in waiting for it.

    Raises:
        TimeoutError: It was given up.
    """
    task = asyncio.get_running_loop().create_task(coroutine)
    try:
        while True:
            before = moves()
            done, _ = await asyncio.wait(
                (task, hopeless), timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if task in done:
                return task.result()
            if done or (before is not None and moves() == before):
                raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])

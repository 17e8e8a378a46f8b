"""Tasks that go on in the background, and end with their event loop.

When that is closed first, whoever has begun them says so, with what was not closed; asyncio's own
"Task was destroyed but it is pending!" for each of them would say less. Knows event loops; knows
nothing of what is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["begin_task", "cancel_task"]

T = TypeVar("T")


def begin_task(
    coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None
) -> asyncio.Task[T]:
    """Have a coroutine run in the background of an event loop, by default the running one."""
    task = (asyncio.get_running_loop() if loop is None else loop).create_task(coroutine)
    task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - as asyncio does
    return task


def cancel_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task; where its event loop is closed, it will never go on as it is."""
    if not task.get_loop().is_closed():
        task.cancel()

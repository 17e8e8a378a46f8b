"""Event loops for programs without one: `run` a main coroutine, a thread for blocking calls.

uvloop is used where it is installed. No global event loop policy is ever set.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from siridb_fast.concurrency.fork import Home
from siridb_fast.concurrency.termination import TERMINATED, is_unhandled

try:
    import uvloop
except ImportError:  # there is none for Windows
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

__all__ = [
    "LEAVING_TIMEOUT",
    "LoopThread",
    "leaving_timeout",
    "new_event_loop",
    "refuse_running_loop",
    "run",
]

JOIN_TIMEOUT = 5.0
LEAVING_TIMEOUT = 10.0  # seconds to deliver what is left when a program has to end

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine to its end, like `asyncio.run`, on uvloop where it is installed.

    SIGTERM cancels the coroutine, as Ctrl+C does, so that writers deliver what they have and
    clients are closed; then the process exits with code 143. A handler of your own for SIGTERM is
    respected.
    """
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        terminated = threading.Event()
        try:
            return runner.run(_terminable(main, terminated))
        except asyncio.CancelledError:
            if terminated.is_set():
                raise SystemExit(TERMINATED) from None
            raise


async def _terminable(main: Coroutine[Any, Any, T], terminated: threading.Event) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    if not is_unhandled():
        return await main
    before = signal.getsignal(signal.SIGTERM)

    def terminate() -> None:
        terminated.set()
        if task is not None:
            task.cancel()

    try:
        loop.add_signal_handler(signal.SIGTERM, terminate)
    except NotImplementedError:  # Windows
        return await main
    try:
        return await main
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)  # that of a blocking writer, or none


def leaving_timeout(usual: float, exc: BaseException | None) -> float | None:
    """Return how many seconds to go on delivering when a block is left with this exception.

    None: as many as `close` does by default; ``usual`` of them or more.
    """
    has_to_end = isinstance(exc, (asyncio.CancelledError, KeyboardInterrupt, SystemExit))
    return min(usual, LEAVING_TIMEOUT) if has_to_end else None


class LoopThread:
    """An event loop in a thread of its own, which other threads give coroutines to.

    Args:
        closed: Raised by a `call` after `close`.
        what: Whose thread it is, for messages.
    """

    def __init__(self, closed: Exception, what: str) -> None:
        self._closed = closed
        self._home = Home(what)
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._main, name="siridb_fast", daemon=True)
        self._thread.start()

    def open(self, first: Coroutine[Any, Any, object]) -> None:
        """Run a first coroutine to its end, as `call` does; close the thread if that fails."""
        try:
            self.call(first)
        except BaseException:
            self.close()
            raise

    @property
    def is_closed(self) -> bool:
        """Tell whether `close` was called, or this is a child of a fork, without the thread."""
        return not self._home.is_here or self._loop.is_closed()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread; wait for its result. Ctrl+C cancels it.

        Raises:
            RuntimeError: In an event loop, which this would block.
        """
        try:
            self._home.require()
            refuse_running_loop()
            if self._loop.is_closed():
                raise self._closed
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except BaseException:
            coroutine.close()
            raise
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def finish(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a last coroutine in the background, then end the thread."""
        if not self._home.is_here:
            coroutine.close()
            return
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        future.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))

    def close(self) -> None:
        """Stop the event loop and end the thread."""
        if self._home.is_here and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(JOIN_TIMEOUT)

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._run_until_stopped()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        finally:
            self._loop.close()

    def _run_until_stopped(self) -> None:
        # A callback of the user's may raise what ends an event loop, such as a `SystemExit`. It
        # goes where that of any thread goes; whoever waits for this one is served all the same.
        while True:
            try:
                self._loop.run_forever()
            except BaseException as exc:  # noqa: BLE001 - passed on
                args = type(exc), exc, exc.__traceback__, self._thread
                threading.excepthook(threading.ExceptHookArgs(args))
            else:
                return


def refuse_running_loop(instead: str = "use SiriDBClient there, with await") -> None:
    """Raise RuntimeError if this thread is running an event loop, which a call would block.

    ``instead`` says what to write there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"a blocking call in a running event loop, as a notebook has one: {instead}"
    )

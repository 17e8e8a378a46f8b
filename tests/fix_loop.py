"""Event loops: which ones a coroutine test runs in, and how; knows nothing of SiriDB."""

import asyncio
from collections.abc import Callable, Coroutine

import uvloop

__all__ = ["LOOPS", "LoopFactory", "eventually", "run"]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

TEST_TIMEOUT = 180.0  # whatever else the machine does
LOOPS: dict[str, LoopFactory] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run(test: Coroutine[object, object, object], factory: LoopFactory) -> None:
    """Run a test in a new loop; what the loop would only log fails the test."""
    unhandled: list[dict[str, object]] = []  # what would only be logged, as "never retrieved"
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        runner.run(asyncio.wait_for(test, TEST_TIMEOUT))
    assert not unhandled, unhandled


async def eventually(condition: Callable[[], bool], timeout: float = 30) -> None:
    """Let the event loop run until the condition is true."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.005)

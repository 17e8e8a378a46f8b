"""A callback of the user raises what ends programs: the package has its fate all the same.

The exception goes where Python sends it: out of the event loop of a coroutine, and to
`threading.excepthook` in the thread of a blocking writer.
"""

import asyncio
import gc
import threading
from collections.abc import Callable

import pytest

import siridb_fast
from siridb_fast import BatchWriter
from tests.fix_loop import LOOPS
from tests.fix_server import Database

ENDING = [KeyboardInterrupt, SystemExit]


def raising(error: type[BaseException]) -> Callable[[object], None]:
    """Return a callback that raises the first time."""
    calls: list[object] = []

    def callback(argument: object) -> None:
        calls.append(argument)
        if len(calls) == 1:
            raise error("from a callback")

    return callback


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("error", ENDING)
def test_event_loop_raises_it_and_the_package_is_booked(
    database: Database, loop: str, error: type[BaseException]
) -> None:
    writer: list[BatchWriter] = []

    async def write() -> None:
        writer.append(BatchWriter(database.url, on_delivery=raising(error)))
        await writer[0].open()
        writer[0].write("a", 1, 0.5)
        await writer[0].flush(timeout=30)
        await asyncio.sleep(30)  # the loop ends before

    with (
        pytest.raises(error, match="from a callback"),
        asyncio.Runner(loop_factory=LOOPS[loop]) as runner,
    ):
        runner.run(write())
    assert writer[0].stats().delivered == 1
    del writer[:]
    with pytest.warns(ResourceWarning, match="was dropped"):  # where its loop is gone
        gc.collect()


@pytest.mark.parametrize("error", [*ENDING, asyncio.CancelledError])
def test_blocking_writer_goes_on(
    database: Database, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[type[BaseException] | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))
    with (
        siridb_fast.connect(database.url) as client,
        client.writer(on_delivery=raising(error)) as writer,
    ):
        for timestamp in (1, 2):
            writer.write("a", timestamp, 0.5)
            assert writer.flush(timeout=30).points == 1
    assert seen == ([error] if error in ENDING else [])

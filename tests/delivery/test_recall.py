"""Rows that are read from disk while the packages that they are of come to their end."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from siridb_fast.batching._batch import Batch
from siridb_fast.columns.column import point_column
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.batch_parts import batch_of
from siridb_fast.delivery.package import Package
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.recall import Recaller
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.states import PackageEvent, PackageState, Policy
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.spool.schema import Spooled

FIRST = 1_700_000_000_000_000_000
S, E = PackageState, PackageEvent
DELIVERED = (E.SENT, E.STORED)
LEFT_AGAIN = (E.NO_SERVER,)  # before it was sent, so that it is not in doubt


class HeldDisk:
    """A spool of one row, whose reading takes as long as the test wants."""

    options = SpoolOptions("held.spool")
    spool = SimpleNamespace(packages=1)
    errors = SimpleNamespace(on_done=lambda _: None, on_error=lambda *_: None)

    def __init__(self, row: Spooled) -> None:
        self.row = row
        self.while_read: Callable[[], None] = lambda: None

    async def read(self, after: int, limit_bytes: int) -> list[Spooled]:
        if after:
            return []
        found = [self.row]
        await asyncio.sleep(0)
        self.while_read()
        return found

    async def mark_sent(self, number: int) -> None:
        self.row = Spooled(number, self.row.payload, 1, self.row.written_at, is_sent=True)


def one_point() -> Batch:
    batch = Batch()
    batch.append_column(point_column("a", [FIRST], [1.5], ColumnRules()), 0, 1)
    batch.seal()
    return batch


async def nothing(payload: bytes) -> Batch:
    return batch_of(payload)


async def read_all(recaller: Recaller) -> None:
    recaller.start()
    assert recaller._task is not None
    await recaller._task


@pytest.mark.parametrize("ends", [DELIVERED, LEFT_AGAIN])
async def test_package_that_comes_to_its_end_while_its_row_is_read_is_not_in_doubt(
    ends: tuple[PackageEvent, ...],
) -> None:
    loop = asyncio.get_running_loop()
    accounts = Accounts(loop.time, lambda *_: None, lambda *_: None, lambda *_: None)
    packages = Packages(Policy("verify", has_spool=True), accounts, lambda *_: None)
    queue = SendQueue(packages, cast("Any", None), loop.time, 100.0)
    disk = HeldDisk(Spooled(1, bytes(one_point().buffer), 1, time.time(), is_sent=False))
    recalled: list[Package] = []
    recaller = Recaller(
        cast("Any", disk), packages, queue, max_buffered=1_000_000, refit=nothing,
        on_recalled=recalled.append, on_unreadable=lambda *_: None, notify=lambda: None,
    )  # fmt: skip

    await read_all(recaller)
    (package,) = recalled
    packages.move(package, E.RECALLED)
    disk.while_read = lambda: [packages.move(package, event) for event in ends].clear()
    recaller._has_more = True
    await read_all(recaller)
    assert not any(one.maybe_stored for one in recalled)
    assert len(recalled) == (1 if ends == DELIVERED else 2)

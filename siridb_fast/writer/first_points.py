"""The first packages of new series: booked once the database has said of what type these are.

Another writer may have met the same new series at the same moment, with values of another type:
whose package comes first decides, and the server converts the other's without a word. So a package
with the first points of a series is not booked when it is acknowledged, but when its server has
told the types: one query for all new series of a batch, none for those that were known. Stands
before the accounts; knows nothing of how packages are sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from siridb_fast.batching._batch import Batch
from siridb_fast.columns._decode import decode_points
from siridb_fast.columns.casting import is_exact_as_float
from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.batch_parts import split_batch
from siridb_fast.errors import PointsChangedError, SiriDBError

__all__ = ["FirstPoints"]

RETRY_INTERVAL = 0.1  # seconds until types are asked for again, of which some are not known yet
ABSENT_RETRIES = 5  # for a replica that lags
TIMEOUT = 30.0  # seconds until packages are given up whose server does not tell

logger = logging.getLogger("siridb_fast")


@dataclass(slots=True, eq=False)
class _Held:
    """A package that was acknowledged and is not booked yet."""

    batch: Batch
    host: str
    seconds: float
    names: set[str]  # of the series that were new
    until: float  # on the loop's clock
    view: memoryview = field(repr=False)  # so that the memory of the batch is not used again


class FirstPoints:
    """Those of one writer.

    Args:
        accounts: Of the writer.
        look_up: Returns the types of those of the names that a host knows.
        waits_for_replicas: A series that is not known yet is asked for again.
        type_of: Returns the type that a series is believed to have, None if it is not known.
        on_type: Called with the name and the type of a series that has another one.
        notify: Called when packages have been booked.
    """

    def __init__(
        self,
        accounts: Accounts,
        look_up: Callable[[Sequence[str], str], Awaitable[dict[str, str]]],
        *,
        waits_for_replicas: bool,
        type_of: Callable[[str], str | None],
        on_type: Callable[[str, str], None],
        notify: Callable[[], None],
    ) -> None:
        self._accounts = accounts
        self._look_up = look_up
        self._absent_retries = ABSENT_RETRIES if waits_for_replicas else 0
        self._type_of = type_of
        self._on_type = on_type
        self._notify = notify
        self._new: set[str] = set()  # series whose type the database has not told since
        self._held: dict[_Held, None] = {}  # in order
        self._is_belief_new = False  # packages may have been sent in other types than are believed
        self._task: asyncio.Task[None] | None = None
        self._failure: Exception | None = None  # the last, if no answer came after it
        self.points = 0  # that are held

    def expect(self, names: Sequence[str]) -> None:
        """Take note of series that the database does not have yet."""
        self._new.update(names)

    def distrust(self) -> None:
        """Take note that other types are believed than some packages were sent in."""
        self._is_belief_new = bool(self._new or self._held)

    def waiting(self) -> Set[object]:
        """Return what is acknowledged and not booked yet, to be compared with this later."""
        return frozenset(self._held)

    # ---- for the packages

    def book_delivered(self, batch: Batch, host: str, seconds: float) -> None:
        """Book an acknowledged package; later, if it has first points."""
        names = self._new.intersection(batch.names) if self._new else None
        if not names:
            self._accounts.book_delivered(batch, host, seconds)
            return
        loop = asyncio.get_running_loop()
        held = _Held(batch, host, seconds, names, loop.time() + TIMEOUT, memoryview(batch.buffer))
        self._held[held] = None
        self.points += batch.points
        if self._task is None or self._task.done():
            self._task = begin_task(self._ask_all(), loop)

    def book_spooled(self, batch: Batch) -> None:
        """Book a package that left memory for the spool."""
        self._accounts.book_spooled(batch)

    def book_failed(self, batch: Batch, error: BaseException, *, in_doubt: bool) -> None:
        """Book a package that was not delivered, or may not have been."""
        self._accounts.book_failed(batch, error, in_doubt=in_doubt)

    def book_conflicts(self, batch: Batch, errors: Mapping[str, BaseException]) -> None:
        """Book a package that is refused, for a reason of each series."""
        self._accounts.book_conflicts(batch, errors)

    # ---- the end

    def stop(self) -> None:
        """Ask no more; what is held was acknowledged, and may have been converted."""
        if self._task is not None:
            cancel_task(self._task)
        self._give_up(list(self._held))

    # ---- inside

    async def _ask_all(self) -> None:
        while self._held:
            held = list(self._held)
            await asyncio.sleep(0)  # what is acknowledged in this round of the loop comes along
            by_host: dict[str, list[_Held]] = {}
            for one in self._held:
                by_host.setdefault(one.host, []).append(one)
            are_done = await asyncio.gather(*map(self._ask, by_host, by_host.values()))
            if not all(are_done):
                now = asyncio.get_running_loop().time()
                self._give_up([one for one in held if one in self._held and one.until <= now])
                await asyncio.sleep(RETRY_INTERVAL)
            self._notify()

    async def _ask(self, host: str, held: list[_Held]) -> bool:
        # Whether all of these could be booked.
        names = sorted(set().union(*(one.names for one in held)))
        try:
            types = await self._types(names, host)
        except Exception as exc:  # noqa: BLE001 - whatever it is: they are given up in time
            logger.debug("%s does not tell the types of new series: %r", host, exc)
            self._failure = exc
            return False
        self._failure = None
        other = {name for name, type_ in types.items() if self._type_of(name) != type_}
        wrong: set[str] = set()
        for one in held:
            if one not in self._held:
                continue
            if self._is_belief_new or not other.isdisjoint(one.names):
                wrong |= self._compare(one, types)
            else:
                self._forget(one)
                self._accounts.book_delivered(one.batch, one.host, one.seconds)
        self._new.difference_update(set(names) - wrong)  # more of the others may be on its way
        self._is_belief_new &= bool(self._new or self._held)
        for name in other:
            self._on_type(name, types[name])
        return True

    async def _types(self, names: list[str], host: str) -> dict[str, str]:
        # Of a replica that has not got a series yet, it is not known.
        types = await self._look_up(names, host)
        for _ in range(self._absent_retries):
            absent = [name for name in names if name not in types]
            if not absent:
                break
            await asyncio.sleep(RETRY_INTERVAL)
            types |= await self._look_up(absent, host)
        return types

    def _compare(self, held: _Held, types: dict[str, str]) -> set[str]:
        # Book it; return the series whose points are not stored as they were sent.
        batch = held.batch
        arrays = decode_points(batch.buffer)
        wrong = {
            name: PointsChangedError(
                f"it was new, and another client has made it one of type {types[name]}: the "
                f"server has converted what was sent as {sent}",
                series=name,
                sent=sent,
                stored=types[name],
            )
            for name in held.names
            if name in types and (sent := _converted_type(arrays[name][1], types[name]))
        }
        self._forget(held)
        if not wrong:
            self._accounts.book_delivered(batch, held.host, held.seconds)
            return set()
        masks = {
            name: np.full(len(timestamps), name in wrong, np.bool_)
            for name, (timestamps, _) in arrays.items()
        }
        resolution = split_batch(batch, arrays, masks)
        if resolution.stored is not None:
            self._accounts.book_delivered(resolution.stored, held.host, held.seconds)
        if resolution.missing is not None:
            self._accounts.book_changed(resolution.missing, wrong)
        return set(wrong)

    def _give_up(self, held: list[_Held]) -> None:
        for one in held:
            error = SiriDBError(
                f"{one.host} has acknowledged these points, but does not tell whether it stored "
                "them as the type that they were sent in"
            )
            error.__cause__ = self._failure
            self._forget(one)
            self._accounts.book_failed(one.batch, error, in_doubt=True)

    def _forget(self, held: _Held) -> None:
        del self._held[held]
        self.points -= held.batch.points
        held.view.release()


def _converted_type(values: np.ndarray, stored: str) -> str:
    # The type in which values were sent that are stored as another one, and not exactly; or "".
    sent = {"f": "float", "i": "integer"}.get(values.dtype.kind, "string")
    is_exact = sent == stored or (
        (sent, stored) == ("integer", "float") and is_exact_as_float(values)
    )
    return "" if is_exact else sent

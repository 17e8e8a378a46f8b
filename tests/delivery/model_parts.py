"""What a real dispatcher is given in a model: a clock, connections and a disk of its own."""

import asyncio
from types import SimpleNamespace
from typing import Any, Protocol

from siridb_fast import ConnectionLost, SpoolOptions
from siridb_fast.columns._decode import decode_points
from siridb_fast.connection.server_process import ServerProcess
from siridb_fast.delivery.disk_errors import DiskErrors
from siridb_fast.protocol import _wire
from siridb_fast.spool.store import Spooled

__all__ = ["CONNECTIONS", "Cluster", "Connection", "Disk", "Point", "VirtualClock", "points_of"]

CONNECTIONS = 2
WINDOW = 2

Point = tuple[str, int]  # series and timestamp


class World(Protocol):
    """What the parts know of their model."""

    loop: "VirtualClock"
    process: ServerProcess
    sentinels: list[asyncio.Future[Any]]
    is_safe: bool


class VirtualClock(asyncio.SelectorEventLoop):
    """An event loop in which nobody waits: when only timers are left, it is their time."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()

    def time(self) -> float:
        """Return the virtual time."""
        return self.now

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(50):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready and not self._is_due():  # type: ignore[attr-defined]
                return

    def _is_due(self) -> bool:
        timers = [t.when() for t in self._scheduled if not t.cancelled()]  # type: ignore[attr-defined]
        return any(when <= self.now for when in timers)

    def advance(self, seconds: float) -> None:
        """Let so much time pass, timer by timer."""
        end = self.now + seconds
        self.settle()
        while (timers := sorted(t.when() for t in self._scheduled if not t.cancelled())) and (  # type: ignore[attr-defined]
            timers[0] <= end
        ):
            self.now = max(self.now, timers[0]) + 0.001
            self.settle()
        self.now = max(self.now, end)
        self.settle()


class Connection:
    """One connection to a server; packages wait in `unanswered` until a test answers them."""

    def __init__(self, model: World, name: str) -> None:
        self.model = model
        self.name = name
        self.process: ServerProcess | None = model.process if model.is_safe else None
        self.is_up = True
        self.unanswered: list[tuple[Any, dict[Point, float]]] = []

    def send_for(self, sink: Any, _: int, payload: Any, deadline: float, **__: object) -> None:
        """Send a package."""
        if not self.is_up:
            raise ConnectionLost(f"there is no connection to {self.name}")
        self.unanswered.append((sink, points_of(bytes(payload))))

    def abort(self) -> None:
        """Be gone."""
        self.is_up = False

    def send(self, type_: int, payload: Any, deadline: float, **__: object) -> asyncio.Future[Any]:
        """Send a sentinel, which is answered when the model says so; or ask how many pools."""
        sent: asyncio.Future[Any] = self.model.loop.create_future()
        if type_ == _wire.REQ_QUERY:
            sent.set_result({"pools": 1})
        else:
            self.model.sentinels.append(sent)
        return sent


class Cluster:
    """The connections of the model, as a dispatcher sees them."""

    failure_suffix = ""

    def __init__(self, model: World) -> None:
        self.loop = model.loop
        self.connections = [Connection(model, f"host{n}") for n in range(CONNECTIONS)]
        self.turn = 0

    @property
    def is_connected(self) -> bool:
        return any(one.is_up for one in self.connections)

    has_active = is_connected

    def connection_with_room(self) -> Connection | None:
        ready = [o for o in self.connections if o.is_up and len(o.unanswered) < WINDOW]
        return ready[self.turn % len(ready)] if ready else None

    def want_room(self) -> None:
        pass  # only packages take room here

    def select(self, **_: object) -> Connection | None:
        return next((one for one in self.connections if one.is_up), None)

    def connection_to(self, name: str) -> Connection | None:
        return next((one for one in self.connections if one.is_up and one.name == name), None)

    def connection_to_server(self, _: str) -> Connection | None:
        return self.select()

    seeker = SimpleNamespace(need=lambda *_: None)

    def connection_behind(self, process: ServerProcess) -> Connection | None:
        return next((o for o in self.connections if o.is_up and o.process is process), None)

    def take_turn(self) -> None:
        self.turn += 1

    def suspend(self, _: object) -> None:
        pass

    def resume(self, _: object) -> None:
        pass


class Disk:
    """A spool in memory, with the calls of a `SpoolThread`; `error` is raised while it is set."""

    def __init__(self) -> None:
        self.options = SpoolOptions("model")
        self.rows: dict[int, tuple[bytes, int, bool]] = {}
        self.error: BaseException | None = None
        self.errors = DiskErrors()
        self.last = 0

    @property
    def spool(self) -> Any:
        points = sum(points for _, points, _ in self.rows.values())
        return SimpleNamespace(packages=len(self.rows), points=points, room=2**30)

    async def _work(self) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error.with_traceback(None)  # or it grows, and is logged again and again

    async def put(self, rows: Any, replacing: Any = ()) -> list[int]:
        await self._work()
        for row_id in replacing:
            del self.rows[row_id]
        for row in rows:
            self.last += 1
            self.rows[self.last] = (bytes(row.payload), row.points, row.is_sent)
        return list(range(self.last - len(rows) + 1, self.last + 1))

    async def remove(self, ids: list[int]) -> None:
        await self._work()
        for row_id in ids:
            self.rows.pop(row_id, None)

    async def read(self, after: int, _: int) -> list[Spooled]:
        await self._work()
        return [
            Spooled(row_id, payload, points, 0.0, is_sent)
            for row_id, (payload, points, is_sent) in sorted(self.rows.items())
            if row_id > after
        ][:2]

    async def mark_sent(self, row_id: int) -> None:
        await self._work()
        payload, points, _ = self.rows[row_id]
        self.rows[row_id] = payload, points, True

    def note_server(self, row_id: int, _: str) -> None:
        pass

    async def take_old(self, _: object) -> list[Spooled]:
        return []

    async def take_first(self, _: int, known: frozenset[int]) -> list[Spooled]:
        rows = [row for row in await self.read(0, 0) if row.id not in known][:1]
        for row in rows:
            del self.rows[row.id]
        return rows

    async def close(self) -> None:
        pass


def points_of(payload: bytes) -> dict[Point, float]:
    """Return the points of a package."""
    return {
        (name, int(at)): float(value)
        for name, (times, values) in decode_points(payload).items()
        for at, value in zip(times, values, strict=True)
    }

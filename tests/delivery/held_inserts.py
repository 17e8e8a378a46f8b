"""Scripted servers for writers: they answer what is no insert; inserts wait for the test."""

import itertools
from typing import Any

from siridb_fast import NANOSECOND, BatchWriter, BufferFullError, packb, unpackb
from siridb_fast.testing import ScriptedPackage, ScriptedPeer, ScriptedServer
from tests.fix_scripted import INSERT, HeldPackages, respond, scripted_client

INSERT_REFUSED, CANNOT_SERVE, POOL_IS_GONE = 66, 67, 68  # the server's error codes


class HeldInserts(HeldPackages):
    """A handler that keeps the inserts for the test, and answers all else."""

    async def __call__(self, peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        while True:
            package = await peer.read_package(timeout=30)
            if package.type == INSERT:
                self.packages.put_nowait((peer, package))
            else:
                await respond(peer, package)

    async def refuse(self, code: int, text: str = "no", timeout: float = 5) -> ScriptedPackage:
        """Answer the next insert with an error."""
        peer, package = await self.take(timeout)
        await peer.send(package.pid, code, packb({"error_msg": text}))
        return package

    async def answer_points(self, points: int) -> list[dict[str, Any]]:
        """Answer inserts until so many points have come; return what they hold."""
        inserts = []
        while points > 0:
            inserts.append(points_of(await self.answer()))
            points -= sum(map(len, inserts[-1].values()))
        return inserts


def points_of(package: ScriptedPackage) -> dict[str, Any]:
    """Return ``{name: [[timestamp, value], …]}`` of an insert."""
    return dict(unpackb(package.payload, "utf-8"))


def scripted_writer(*servers: ScriptedServer, **options: Any) -> BatchWriter:
    """Return a writer to scripted servers: one connection to each, one package on it."""
    settings: dict[str, Any] = {"time_precision": NANOSECOND, "buffer_size": 1024}
    settings |= {"connections": 1, "window": 1, "on_doubt": "report"}
    return BatchWriter(scripted_client(*servers), **(settings | options))


def fill(writer: BatchWriter, value: object = 1.5) -> int:
    """Write points until there is no room; return how many there were."""
    for points in itertools.count():
        try:
            writer.write("a", points, value)
        except BufferFullError:
            break
    return points

"""Scripted servers: clients of them, and handlers that answer or keep what clients send."""

import asyncio

from siridb_fast import SiriDBClient, packb, unpackb
from siridb_fast.testing import ScriptedPackage, ScriptedPeer, ScriptedServer

__all__ = [
    "AUTH",
    "INSERT",
    "PING",
    "QUERY",
    "HeldPackages",
    "answer_all",
    "asks_who_it_is",
    "respond",
    "scripted_client",
]

QUERY, INSERT, AUTH, PING = 0, 1, 2, 3  # requests, and the types of their answers
ANSWERS = {
    "show uuid": {
        "data": [
            {"name": "uuid", "value": "1f63"},
            {"name": "uptime", "value": 100},
            {"name": "received_points", "value": 0},
            {"name": "pool", "value": 0},
            {"name": "time_precision", "value": "ns"},
            {"name": "buffer_size", "value": 1024},
        ]
    },
    "show time_precision": {"data": [{"name": "time_precision", "value": "ns"}]},
    "list series name, type": {"columns": ["name", "type"], "series": []},
}


async def respond(peer: ScriptedPeer, package: ScriptedPackage) -> None:
    """Answer a package as a server of a ns database would that holds nothing yet."""
    body = b""
    if package.type == QUERY:
        text = unpackb(package.payload, "utf-8")[0]
        answers = [answer for start, answer in ANSWERS.items() if text.startswith(start)]
        body = packb(answers[0] if answers else {})
    elif package.type == INSERT:
        body = packb({"success_msg": "Successfully inserted 1 point(s)."})
    await peer.send(package.pid, package.type, body)


async def answer_all(peer: ScriptedPeer) -> None:
    """Accept the log-in, then answer whatever comes."""
    await peer.accept_auth()
    while True:
        await respond(peer, await peer.read_package(timeout=30))


def asks_who_it_is(package: ScriptedPackage) -> bool:
    """Tell whether it is what a writer asks each new connection."""
    return package.type == QUERY and b"show uuid" in package.payload


def scripted_client(*servers: ScriptedServer, **options: object) -> SiriDBClient:
    """Return a client of scripted servers, which take any user."""
    hostlist = [(server.host, server.port) for server in servers]
    return SiriDBClient("user", "secret-word", "db", hostlist, **options)  # type: ignore[arg-type]


class HeldPackages:
    """A handler of a scripted server that keeps the packages for the test to answer."""

    def __init__(self) -> None:
        self.packages: asyncio.Queue[tuple[ScriptedPeer, ScriptedPackage]] = asyncio.Queue()

    async def __call__(self, peer: ScriptedPeer) -> None:
        await peer.accept_auth()
        while True:
            package = await peer.read_package(timeout=30)
            if asks_who_it_is(package):
                await respond(peer, package)
            else:
                self.packages.put_nowait((peer, package))

    async def take(self, timeout: float = 5) -> tuple[ScriptedPeer, ScriptedPackage]:
        """Return the next package and who sent it."""
        return await asyncio.wait_for(self.packages.get(), timeout)

    async def answer(self, timeout: float = 5) -> ScriptedPackage:
        """Answer the next package."""
        peer, package = await self.take(timeout)
        await respond(peer, package)
        return package

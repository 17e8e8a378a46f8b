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
    "respond",
    "scripted_client",
]

QUERY, INSERT, AUTH, PING = 0, 1, 2, 3  # requests, and the types of their answers
ANSWERS = {
    "show time_precision, buffer_size": {
        "data": [
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
            self.packages.put_nowait((peer, await peer.read_package(timeout=30)))

    async def take(self, timeout: float = 5) -> tuple[ScriptedPeer, ScriptedPackage]:
        """Return the next package and who sent it."""
        return await asyncio.wait_for(self.packages.get(), timeout)

    async def answer(self, timeout: float = 5) -> ScriptedPackage:
        """Answer the next package."""
        peer, package = await self.take(timeout)
        await respond(peer, package)
        return package

"""Whatever takes the room in a connection's window, the packages that wait for it leave then."""

import asyncio
from typing import Any

import pytest

from siridb_fast import NANOSECOND, BatchWriter
from siridb_fast.testing import ScriptedServer
from tests.fix_scripted import AUTH, INSERT, QUERY, HeldPackages, scripted_client

OPTIONS: dict[str, Any] = {
    "time_precision": NANOSECOND,
    "buffer_size": 1024,
    "on_doubt": "report",
    "connections": 1,
    "window": 1,
}
INTERVAL = 3.0  # in which the server has to answer a keep-alive, and is asked the next


@pytest.mark.one_loop
async def test_package_leaves_as_soon_as_a_keep_alive_is_answered() -> None:
    held = HeldPackages()
    async with ScriptedServer(held) as server:
        client = scripted_client(server, keepalive_interval=INTERVAL)
        async with BatchWriter(client, linger=0, **OPTIONS) as writer:
            writer.write("a", 1, 0.5)
            assert [(await held.answer()).type for _ in range(3)] == [QUERY, INSERT, QUERY]
            await writer.flush()
            peer, package = await held.take(timeout=4 * INTERVAL)
            assert package.type == AUTH
            writer.write("a", 2, 0.5)  # there is no room
            await asyncio.sleep(0.1)  # the writer has looked for some, and nothing is on its way
            assert held.packages.empty()
            await peer.send(package.pid, AUTH)
            assert (await held.answer()).type == INSERT  # and no other keep-alive
            assert (await writer.flush()).points == 1

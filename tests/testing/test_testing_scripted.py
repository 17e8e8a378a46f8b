"""The scripted server: packages both ways, and every way a connection can end."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from siridb_fast.testing import PeerClosed, ScriptedPackage, ScriptedPeer, ScriptedServer

Client = Callable[[ScriptedServer], Awaitable[None]]

AUTH = bytes.fromhex("03000000 0700 02 fd") + b"\x80\x81\x82"
AUTH_ACCEPTED = bytes.fromhex("00000000 0700 02 fd")
PING = bytes.fromhex("00000000 0102 03 fc")
PING_SENT = ScriptedPackage(pid=0x0201, type=3, payload=b"")


async def connect(server: ScriptedServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(server.host, server.port)


async def exchange(server: ScriptedServer, data: bytes) -> bytes:
    """Send `data` and return what comes back until the server closes."""
    reader, writer = await connect(server)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def nothing(peer: ScriptedPeer) -> None:
    await peer.close()


async def read_one(peer: ScriptedPeer) -> None:
    await peer.read_package()


def test_packages_are_read_and_answered() -> None:
    seen = []

    async def handler(peer: ScriptedPeer) -> None:
        seen.append(await peer.accept_auth())
        seen.append(await peer.read_package())
        await peer.send(0x1234, 66, b"no")

    async def scenario() -> None:
        async with ScriptedServer(handler) as server:
            answer = await exchange(server, AUTH + PING)
        assert answer == AUTH_ACCEPTED + bytes.fromhex("02000000 3412 42 bd") + b"no"

    asyncio.run(scenario())
    assert seen == [ScriptedPackage(pid=7, type=2, payload=b"\x80\x81\x82"), PING_SENT]


def test_every_connection_gets_a_handler_of_its_own() -> None:
    async def handler(peer: ScriptedPeer) -> None:
        package = await peer.read_package()
        await peer.send(package.pid, 3)

    async def scenario() -> None:
        async with ScriptedServer(handler) as server:
            answers = await asyncio.gather(*(exchange(server, PING) for _ in range(5)))
        assert answers == [PING] * 5

    asyncio.run(scenario())


def test_bytes_that_are_no_package_are_sent_as_they_are() -> None:
    async def handler(peer: ScriptedPeer) -> None:
        await peer.send_raw(b"half a he")

    async def scenario() -> None:
        async with ScriptedServer(handler) as server:
            assert await exchange(server, b"") == b"half a he"

    asyncio.run(scenario())


def test_aborted_connection_is_reset() -> None:
    async def handler(peer: ScriptedPeer) -> None:
        await peer.read_package()
        peer.abort()

    async def scenario() -> None:
        async with ScriptedServer(handler) as server:
            with pytest.raises(ConnectionResetError):
                await exchange(server, PING)

    asyncio.run(scenario())


def test_unix_socket_is_served_as_well(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def handler(peer: ScriptedPeer) -> None:
        await peer.send((await peer.read_package()).pid, 3)

    async def scenario() -> None:
        async with ScriptedServer(handler, unix_path=path) as server:
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(PING)
            assert await asyncio.wait_for(reader.read(), 5) == PING
            writer.close()
            assert await exchange(server, PING) == PING

    asyncio.run(scenario())


def test_client_that_goes_away_is_no_error() -> None:
    async def scenario() -> None:
        async with ScriptedServer(read_one) as server:
            _, writer = await connect(server)
            writer.write(PING[:3])
            writer.close()
            await writer.wait_closed()
            await server.join()
            assert server.errors == ()

    asyncio.run(scenario())


def test_handler_may_notice_that_the_client_is_gone() -> None:
    failures = []

    async def handler(peer: ScriptedPeer) -> None:
        try:
            await peer.read_package()
        except PeerClosed as error:
            failures.append(str(error))

    async def scenario() -> None:
        async with ScriptedServer(handler) as server:
            _, writer = await connect(server)
            writer.write(PING[:3])
            writer.close()
            await writer.wait_closed()
            await server.join()

    asyncio.run(scenario())
    assert failures == ["the client closed after 3 of 8 expected bytes"]


async def fail(peer: ScriptedPeer) -> None:
    package = await peer.read_package()
    raise ArithmeticError(f"pid {package.pid}")


def test_error_of_a_handler_is_raised_at_the_exit() -> None:
    async def scenario() -> None:
        async with ScriptedServer(fail) as server:
            await exchange(server, PING)
            assert list(map(repr, server.errors)) == ["ArithmeticError('pid 513')"]

    with pytest.raises(ArithmeticError, match="pid 513"):
        asyncio.run(scenario())


def test_errors_of_several_handlers_are_raised_together() -> None:
    async def scenario() -> None:
        async with ScriptedServer(fail) as server:
            await exchange(server, PING)
            await exchange(server, PING)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(scenario())
    assert list(map(type, caught.value.exceptions)) == [ArithmeticError, ArithmeticError]


def test_error_of_a_handler_is_noted_on_the_failure_of_the_test() -> None:
    async def scenario() -> None:
        async with ScriptedServer(fail) as server:
            await exchange(server, PING)
            raise LookupError("the test's own")

    with pytest.raises(LookupError) as caught:
        asyncio.run(scenario())
    assert caught.value.__notes__ == [
        "a handler of the scripted server raised ArithmeticError('pid 513')"
    ]


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (bytes.fromhex("00000000 0100 03 03"), ValueError, "type 3 has check byte 3, not 252"),
        (PING, ValueError, "expected an AUTH package, type 2, not type 3"),
        (AUTH[:9], TimeoutError, r"no whole package came within 0\.05 s"),
    ],
)
def test_unexpected_package_is_an_error(data: bytes, error: type[Exception], text: str) -> None:
    async def handler(peer: ScriptedPeer) -> None:
        await peer.accept_auth(timeout=0.05)

    async def scenario() -> None:
        async with ScriptedServer(handler) as server:
            await exchange(server, data)

    with pytest.raises(error, match=text):
        asyncio.run(scenario())


def test_handler_that_waits_forever_is_cancelled_at_the_exit() -> None:
    ended = []

    async def handler(peer: ScriptedPeer) -> None:
        await peer.send(1, 3)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def scenario() -> None:
        async with ScriptedServer(handler) as server:
            reader, writer = await connect(server)
            await reader.readexactly(8)
            with pytest.raises(TimeoutError, match="1 handlers still run"):
                await server.join(timeout=0.05)
        assert await reader.read() == b""
        writer.close()

    asyncio.run(scenario())
    assert ended == [True]


def test_nobody_is_listening_after_the_exit() -> None:
    async def scenario() -> None:
        async with ScriptedServer(nothing) as server:
            assert await exchange(server, b"") == b""
            port = server.port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(scenario())


def test_large_package_arrives_whole() -> None:
    payload = bytes(range(256)) * 8192

    async def handler(peer: ScriptedPeer) -> None:
        package = await peer.read_package()
        await peer.send(package.pid, package.type, package.payload)

    async def scenario() -> None:
        data = struct.pack("<IHBB", len(payload), 65535, 1, 254) + payload
        async with ScriptedServer(handler) as server:
            assert await exchange(server, data) == data

    asyncio.run(scenario())

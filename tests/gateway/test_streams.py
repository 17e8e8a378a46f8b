"""Lines over TCP, UDP and unix sockets: nobody is hung up on, and what is no line is told."""

import asyncio
import json
import socket
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from siridb_fast.errors import ConfigError
from siridb_fast.gateway.stream_door import free_socket_path
from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.gateways import ANY_PORT, Running, running, stored

TCP = {"tcp": {"listen": ANY_PORT}}
LISTEN = {"listen": ANY_PORT}


async def send(address: tuple[str, int], *parts: bytes, **options: Any) -> bytes:
    """Send parts one after the other, and wait until the other side has closed."""
    reader, writer = await asyncio.open_connection(*address, **options)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0)
    if not options:  # TLS has no such thing
        writer.write_eof()
        found = await reader.read()
    else:
        found = b""
    writer.close()
    await writer.wait_closed()
    return found


async def answer_of(address: tuple[str, int], text: bytes, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    try:
        writer.write(text)
        await writer.drain()
        return await reader.read()
    finally:
        writer.transport.abort()


async def until_points(gateway: Running, door: str, points: int, bad: int = 0) -> None:
    def has_come() -> bool:
        figures = gateway.figures(door)
        return figures.points >= points and figures.bad_lines >= bad

    await eventually(has_come)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_lines_over_tcp_are_stored_however_they_are_cut(
    database: Database, size: int
) -> None:
    text = b'\xef\xbb\xbfm v=1 1\r\nm t="a\nb" 2\n\nbad\nm v=3 3\n'
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    async with running(database, influx=TCP) as gateway:
        assert await send(gateway.address("influx.tcp"), *parts) == b""
        figures = gateway.figures("influx.tcp")
        assert (figures.points, figures.bad_lines, figures.bytes) == (3, 1, len(text))
    assert await stored(database) == {"m:v": [[1, 1.0], [3, 3.0]], "m:t": [[2, "a\nb"]]}


async def test_lines_that_come_one_byte_at_a_time(database: Database) -> None:
    async with running(database, influx=TCP) as gateway:
        reader, writer = await asyncio.open_connection(*gateway.address("influx.tcp"))
        for byte in b"\xef\xbb\xbfm v=1 1\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.03)  # longer than the door waits for more
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert await stored(database) == {"m:v": [[1, 1.0]]}


async def test_a_line_that_was_cut_off_is_refused(database: Database, tmp_path: Path) -> None:
    letters = str(tmp_path / "letters.ndjson")
    async with running(database, influx=TCP, dead_letters=letters) as gateway:
        await send(gateway.address("influx.tcp"), b"m v=1 1\nm v=12345")
        assert gateway.figures("influx.tcp").bad_lines == 1
    assert await stored(database) == {"m:v": [[1, 1.0]]}
    (letter,) = map(json.loads, (tmp_path / "lines-letters.ndjson").read_text().splitlines())
    assert (letter["door"], letter["number"], letter["line"]) == ("influx.tcp", 2, "m v=12345")
    assert "ended within the line" in letter["reason"]


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        (b"m v=1 1\n" + b"x" * 5_000 + b"\nm v=2 2\n", 1),
        (b'm v=1 1\nm t="' + b"x" * 600 + b"\nm v=2 2\n" + b"# x\n" * 300, 1),
        (b"m v=1 1\nb\0d v=1\n\xff\nm v=2 2\n", 2),
    ],
)
async def test_what_follows_a_line_without_end_is_read(
    database: Database, text: bytes, bad: int
) -> None:
    parts = [text[start : start + 100] for start in range(0, len(text), 100)]
    async with running(database, influx=TCP, max_line=1_000) as gateway:
        await send(gateway.address("influx.tcp"), *parts)
        figures = gateway.figures("influx.tcp")
        assert (figures.points, figures.bad_lines) == (2, bad)
    assert await stored(database) == {"m:v": [[1, 1.0], [2, 2.0]]}


async def test_unit_and_dialect_of_a_door(database: Database) -> None:
    door = {"tcp": {"listen": ANY_PORT, "precision": "s", "dialect": "questdb"}}
    async with running(database, influx=door) as gateway:
        await send(gateway.address("influx.tcp"), b"m,s=a\\\nb at=5t 7\n")
    assert await stored(database) == {"m,s=a\nb:at": [[7_000_000_000, 5]]}


async def test_a_sender_without_room_is_held_back(own_database: Database) -> None:
    options = {"max_buffered": 1_048_576, "package_bytes": 10_000}
    text = b"".join(b"m v=%d %d\n" % (n, n) for n in range(400_000))
    async with running(own_database, influx=TCP, writer=options) as gateway:
        await send(gateway.address("influx.tcp"), b"m v=0 0\n")
        own_database.server.pause()
        try:
            sending = asyncio.create_task(send(gateway.address("influx.tcp"), text))
            facts = gateway.gateway.facts
            await eventually(lambda: facts().databases[0].stats.room < 100_000)
            await asyncio.wait([sending], timeout=0.5)
            assert not sending.done()
            stats = facts().databases[0].stats
            assert stats.buffered_bytes <= stats.max_buffered
            assert gateway.figures("influx.tcp").points < 200_000
        finally:
            own_database.server.resume()
        await sending
        assert gateway.figures("influx.tcp").points == 400_001
    points = (await stored(own_database))["m:v"]
    assert len(points) == 400_000  # the first one was sent twice
    assert points[-1] == [399_999, 399_999.0]


async def test_too_many_connections_are_closed(database: Database) -> None:
    async with running(database, influx=TCP, max_connections=1) as gateway:
        address = gateway.address("influx.tcp")
        _, first = await asyncio.open_connection(*address)
        await eventually(lambda: gateway.figures("influx.tcp").connections == 1)
        reader, second = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        for writer in (first, second):
            writer.close()
            await writer.wait_closed()
        await eventually(lambda: gateway.figures("influx.tcp").connections == 0)
        await send(address, b"m v=1 1\n")
    assert await stored(database) == {"m:v": [[1, 1.0]]}


async def test_too_many_connections_of_http_are_told_to_come_later(database: Database) -> None:
    async with running(database, max_connections=1) as gateway:
        address = gateway.address("influx")
        _, first = await asyncio.open_connection(*address)
        await eventually(lambda: gateway.figures("influx").connections == 1)
        found = await send(address)
        assert found.startswith(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n")
        first.close()
        await first.wait_closed()


async def test_what_was_received_is_taken_when_the_gateway_ends(database: Database) -> None:
    async with running(database, influx=TCP) as gateway:
        _, writer = await asyncio.open_connection(*gateway.address("influx.tcp"))
        writer.write(b"m v=1 1\nm v=2")
        await eventually(lambda: gateway.figures("influx.tcp").connections == 1)
        await until_points(gateway, "influx.tcp", 1)
        await gateway.end()
        writer.close()
        await writer.wait_closed()
    assert await stored(database) == {"m:v": [[1, 1.0]]}


async def test_graphite_and_lines_of_json_over_tcp(database: Database) -> None:
    doors: dict[str, Any] = {"graphite": LISTEN, "ndjson": TCP, "influx": {}}
    async with running(database, **doors) as gateway:
        lines = b"a.b;x=1 20 5\na.b nan 5\na.c 20.5 5.5\nbad\n"
        await send(gateway.address("graphite.tcp"), lines)
        more = b'{"series": "j", "timestamp": 5, "value": 20}\n{"series": "j", "timestamp": 6, '
        await send(gateway.address("ndjson.tcp"), more, b'"value": 20.5}\n')
        assert gateway.figures("graphite.tcp").bad_lines == 1
    assert await stored(database) == {
        "a.b;x=1": [[5_000_000_000, 20.0]],
        "a.c": [[5_500_000_000, 20.5]],
        "j": [[5, 20.0], [6, 20.5]],
    }


async def test_graphite_in_a_database_of_seconds(make_database: Any) -> None:
    database = make_database(time_precision="s")
    rules = [{"match": "n.*", "type": "integer"}, {"match": "tmp.*", "drop": True}]
    async with running(database, influx={}, graphite=LISTEN, rules=rules) as gateway:
        await send(gateway.address("graphite.tcp"), b"a 1.5 7\nn.a 3 7\ntmp.a 1 7\na 1 7.5\n")
        figures = gateway.figures("graphite.tcp")
        assert (figures.points, figures.left_out, figures.bad_lines) == (2, 1, 1)
    found = await stored(database)
    assert found == {"a": [[7, 1.5]], "n.a": [[7, 3]]}
    assert isinstance(found["n.a"][0][1], int)


async def test_a_template_and_a_rule_name_series(database: Database) -> None:
    doors: dict[str, Any] = {
        "influx": {**TCP, "series": "{host}.{measurement}.{field}"},
        "rules": [{"match": "a.*", "rename": "b.*"}],
    }
    async with running(database, **doors) as gateway:
        await send(gateway.address("influx.tcp"), b"m,host=a v=1 1\nm v=1 1\n")
        assert gateway.figures("influx.tcp").bad_lines == 1
    assert await stored(database) == {"b.m.v": [[1, 1.0]]}


async def test_datagrams_are_stored(database: Database) -> None:
    udp = {"udp": {"listen": ANY_PORT, "precision": "ms"}}
    async with running(database, influx=udp) as gateway:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
            to.connect(gateway.address("influx.udp"))
            for text in (b"m v=1 1\nm v=2 2", b'bad "', b"m v=3 3\n"):
                to.send(text)
            await until_points(gateway, "influx.udp", 3, bad=1)
        figures = gateway.figures("influx.udp")
        assert (figures.requests, figures.dropped) == (3, 0)
    assert await stored(database) == {"m:v": [[n * 10**6, float(n)] for n in (1, 2, 3)]}


async def test_datagrams_without_room_are_dropped_and_counted(own_database: Database) -> None:
    options = {"max_buffered": 1_048_576, "package_bytes": 10_000}
    udp = {"udp": LISTEN}
    async with running(own_database, influx=udp, writer=options) as gateway:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as to:
            to.connect(gateway.address("influx.udp"))
            to.send(b"m v=0 0")
            await until_points(gateway, "influx.udp", 1)
            own_database.server.pause()
            try:
                sent = 1
                while not gateway.figures("influx.udp").dropped:
                    to.send(b"".join(b"m v=1 %d\n" % (sent + n) for n in range(1_000)))
                    sent += 1_000
                    await asyncio.sleep(0.001)
            finally:
                own_database.server.resume()
        figures = gateway.figures("influx.udp")
        assert figures.last_refusal is not None
        assert "dropped" in figures.last_refusal.reason
        await asyncio.sleep(0.05)
        taken = figures.points
    assert len((await stored(own_database))["m:v"]) == taken


async def test_a_unix_socket_takes_http_and_bare_lines(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    async with running(database, tmp_path, influx={"unix": {"path": "gateway.sock"}}) as gateway:
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession(connector=connector) as session:
            for _ in range(2):
                async with session.post("http://x/write?db=y", data=b"m v=1 1") as answer:
                    assert answer.status == 204
        reader, writer = await asyncio.open_unix_connection(str(path))
        for part in (b"P", b"OST v=2 2\nm v=3 3\n"):
            writer.write(part)
            await asyncio.sleep(0.01)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert gateway.figures("influx.unix").points == 4
    assert not path.exists()
    assert await stored(database) == {"m:v": [[1, 1.0], [3, 3.0]], "POST:v": [[2, 2.0]]}


def test_a_socket_that_nobody_listens_at_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(ConfigError, match="somebody listens there already"):
            free_socket_path(path)
    free_socket_path(path)
    assert not path.exists()
    free_socket_path(path)
    path.write_text("")
    with pytest.raises(ConfigError, match="is no socket"):
        free_socket_path(path)


async def test_an_address_that_is_taken_is_named(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"graphite.tcp: cannot listen at {place}"):
            async with running(database, graphite={"listen": place}):
                pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


async def test_doors_speak_tls(database: Database, certificate: Path) -> None:
    files = {"tls_certificate": "cert.pem", "tls_key": "key.pem"}
    door = {"listen": ANY_PORT, **files, "tcp": {"listen": ANY_PORT, **files}}
    context = ssl.create_default_context(cafile=str(certificate))
    async with running(database, certificate.parent, influx=door) as gateway:
        url = gateway.url("/write").replace("http:", "https:")
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=b"m v=1 1", ssl=context) as answer,
        ):
            assert answer.status == 204
        await send(gateway.address("influx.tcp"), b"m v=2 2\n", ssl=context)
        await until_points(gateway, "influx.tcp", 1)
    assert await stored(database) == {"m:v": [[1, 1.0], [2, 2.0]]}


async def test_a_door_of_tls_lets_in_only_whom_its_authority_has_signed(
    database: Database, certificate: Path
) -> None:
    files = {"tls_certificate": "cert.pem", "tls_key": "key.pem", "tls_client_ca": "cert.pem"}
    context = ssl.create_default_context(cafile=str(certificate))
    async with running(
        database, certificate.parent, influx={"tcp": {"listen": ANY_PORT, **files}}
    ) as gateway:
        address = gateway.address("influx.tcp")
        with suppress(ssl.SSLError, ConnectionError):  # TLS 1.3 may tell it behind the handshake
            assert await answer_of(address, b"m v=1 1\n", context) == b""
        context.load_cert_chain(certificate, certificate.parent / "key.pem")
        await send(address, b"m v=2 2\n", ssl=context)
        await until_points(gateway, "influx.tcp", 1)
    assert await stored(database) == {"m:v": [[2, 2.0]]}

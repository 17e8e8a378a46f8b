"""A broker that is gone, comes back, lets nobody in, or remembers more than it should."""

import asyncio
import json
import ssl
from pathlib import Path

import pytest

from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.brokers import Broker, a_broker, program
from tests.gateway.gateways import ANY_PORT, running, stored
from tests.gateway.http_calls import get
from tests.gateway.mqtt_doors import (
    ALL,
    AT,
    VERSIONS,
    acknowledged,
    came,
    connected,
    mqtt,
    run_program,
)

pytestmark = pytest.mark.one_loop


@pytest.mark.parametrize("kills", [False, True])
async def test_the_broker_is_restarted(
    database: Database, own_broker: Broker, kills: bool, caplog: pytest.LogCaptureFixture
) -> None:
    door = mqtt(own_broker, "restart")
    async with running(database, mqtt=door) as gateway:
        await connected(gateway)
        own_broker.publish("json/m", json.dumps({"timestamp": AT, "v": 1}))
        await came(gateway, 1)
        own_broker.stop(kills=kills)
        await eventually(lambda: bool(gateway.figures("mqtt").trouble))
        figures = gateway.figures("mqtt")
        assert figures.connections == 0
        status, body, _ = await get(gateway, "/ready")  # the door of HTTP takes points
        assert (status, body) == (200, f"OK\nmqtt: {figures.trouble}\n".encode())
        assert f"<li>mqtt: {figures.trouble}</li>" in (await get(gateway, "/"))[1].decode()
        metrics = (await get(gateway, "/metrics"))[1]
        assert b'siridb_fast_gateway_in_trouble{door="mqtt"} 1.0' in metrics
        own_broker.start()
        await connected(gateway)
        own_broker.publish("json/m", json.dumps({"timestamp": AT + 1, "v": 2}))
        await came(gateway, 2)
        assert gateway.figures("mqtt").reconnects == 1
        assert gateway.figures("mqtt").connections == 1
    assert await stored(database) == {"m:v": [[AT, 1.0], [AT + 1, 2.0]]}
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert 1 <= len([line for line in said if line.startswith("mqtt: ")]) <= 3


async def test_messages_that_were_not_acknowledged_come_again_and_are_stored_once(
    own_database: Database, own_broker: Broker
) -> None:
    door = mqtt(own_broker, "again")
    async with running(own_database, influx={}, mqtt=door, acknowledge="delivered") as gateway:
        await connected(gateway)
        own_broker.publish("json/m", json.dumps({"timestamp": AT, "v": 0}))
        await eventually(lambda: acknowledged(own_broker, "again") == 1)
        own_database.server.pause()
        lines = [json.dumps({"timestamp": AT + n, "v": n}) for n in range(1, 20)]
        own_broker.publish_lines("json/m", lines)
        await came(gateway, 20)
        own_broker.stop()
        await eventually(lambda: bool(gateway.figures("mqtt").trouble))
        own_broker.start()
        await came(gateway, 39)  # the same, to another connection
        own_database.server.resume()
        await eventually(lambda: acknowledged(own_broker, "again") == 20, timeout=60)
    assert await stored(own_database) == {"m:v": [[AT + n, float(n)] for n in range(20)]}


async def test_a_broker_that_is_not_there_yet(
    database: Database, own_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    own_broker.stop()
    caplog.set_level("INFO")
    door = mqtt(own_broker, "early")
    async with running(database, influx={}, mqtt=door, status={"listen": ANY_PORT}) as gateway:
        await eventually(lambda: "refused" in gateway.figures("mqtt").trouble.lower())
        status, body, _ = await get(gateway, "/ready", gateway.gateway.figures[-1].name)
        assert status == 503
        assert body.decode() == f"mqtt: {own_broker.url}: Connection refused\n"
        own_broker.start()
        await connected(gateway)
        assert (await get(gateway, "/ready", gateway.gateway.figures[-1].name))[0] == 200
    assert "mqtt: connected to" in caplog.text


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wrong_password_is_told_and_may_be_mended(
    database: Database, tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = tmp_path / "passwords"
    run_program(program("mosquitto_passwd"), "-c", "-b", str(passwords), "me", "right")
    options = ("allow_anonymous false", f"password_file {passwords}")
    with a_broker(tmp_path, *options) as broker:
        url = broker.url.replace("//", "//me:wr0ng@")
        door = mqtt(broker, "password", version=version, url=url)
        async with running(database, influx={}, mqtt=door) as gateway:
            await eventually(lambda: "lets nobody in" in gateway.figures("mqtt").trouble)
            assert "uthori" in gateway.figures("mqtt").trouble
        door["url"] = url.replace("wr0ng", "right")
        async with running(database, influx={}, mqtt=door) as gateway:
            await connected(gateway)
    assert "wr0ng" not in caplog.text


async def test_a_version_that_the_broker_does_not_speak(database: Database) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # As brokers from before MQTT 5 do it.
        await reader.read(1000)
        writer.write(bytes.fromhex("20 02 00 01"))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as old:
        port = old.sockets[0].getsockname()[1]
        url = f"mqtt://127.0.0.1:{port}"
        door = {"url": url, "version": "5", "topics": ALL}
        async with running(database, influx={}, mqtt=door) as gateway:
            await eventually(lambda: 'try version = "3.1.1"' in gateway.figures("mqtt").trouble)


async def test_a_broker_that_talks_nonsense(database: Database) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        door = {"url": f"mqtt://127.0.0.1:{port}", "topics": ALL}
        async with running(database, influx={}, mqtt=door) as gateway:
            await eventually(lambda: "not connected yet" not in gateway.figures("mqtt").trouble)
            assert gateway.figures("mqtt").trouble


async def test_an_earlier_filter_that_is_still_subscribed(
    database: Database, broker: Broker
) -> None:
    async with running(database, influx={}, mqtt=mqtt(broker, "old", {"filter": "old/#"})) as one:
        await connected(one)
    async with running(database, influx={}, mqtt=mqtt(broker, "old")) as gateway:
        await connected(gateway)
        broker.publish("old/x", "1")
        await eventually(lambda: acknowledged(broker, "old") == 1)
        refusal = gateway.figures("mqtt").last_refusal
        assert refusal is not None
        assert refusal.reason.startswith("no filter of the gateway is for its topic")
        assert refusal.line == "old/x 1"
    door = mqtt(broker, "old", unsubscribe=["old/#"])
    async with running(database, influx={}, mqtt=door) as gateway:
        await connected(gateway)
        await eventually(lambda: broker.count("Sending UNSUBACK to old") == 1)
        broker.publish("old/x", "2")
        broker.publish("plant/m/1/t", "3")
        await came(gateway, 1)
        assert gateway.figures("mqtt").bad_lines == 0


async def test_two_gateways_of_one_client_id(database: Database, broker: Broker) -> None:
    door = mqtt(broker, "twin")
    async with (
        running(database, influx={}, mqtt=door) as one,
        running(database, influx={}, mqtt=door) as other,
    ):
        hint = "has another client the client_id 'twin'?"
        await eventually(
            lambda: any(hint in each.figures("mqtt").trouble for each in (one, other)), timeout=60
        )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see below
async def test_tls(database: Database, tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    run_program(*command.split(), cwd=tmp_path)
    (tmp_path / "key.pem").chmod(0o644)
    ssl.create_default_context(cafile=tmp_path / "cert.pem")
    broker = Broker(tmp_path)
    port = broker.add_listener(f"certfile {tmp_path}/cert.pem", f"keyfile {tmp_path}/key.pem")
    broker.start()
    try:
        url = f"mqtts://127.0.0.1:{port}"
        door = mqtt(broker, "tls", url=url, tls_ca="cert.pem")
        async with running(database, tmp_path, influx={}, mqtt=door) as gateway:
            await connected(gateway)
            lines = [json.dumps({"timestamp": AT + n, "v": n}) for n in range(500)]
            broker.publish_lines("json/tls", lines)
            await eventually(lambda: acknowledged(broker, "tls") == 500, timeout=60)
        door = mqtt(broker, "tls", url=url)  # paho leaves such a socket to the collector
        async with running(database, tmp_path, influx={}, mqtt=door) as gateway:
            await eventually(lambda: "certificate" in gateway.figures("mqtt").trouble.lower())
    finally:
        broker.stop()
    assert await stored(database) == {"tls:v": [[AT + n, float(n)] for n in range(500)]}

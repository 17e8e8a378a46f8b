"""MQTT from a real mosquitto: what is published is in SiriDB, and acknowledged once it is safe."""

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.brokers import Broker, a_broker, program
from tests.gateway.gateways import ANY_PORT, Running, running, stored
from tests.gateway.http_calls import get

AT = 1_700_000_000_000_000_000  # ns
NUMBERS = {"filter": "plant/{measurement}/{id}/{field}"}
JSON = {"filter": "json/{measurement}", "payload": "json"}
LINES = {"filter": "line/#", "payload": "line"}
ALL = [NUMBERS, JSON, LINES]
VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}

pytestmark = pytest.mark.one_loop


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run a broker for all tests that do not stop it; each has topics of its own client_id."""
    with a_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker that may be stopped."""
    with a_broker(tmp_path) as broker:
        yield broker


def mqtt(broker: Broker, name: str, *topics: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"url": broker.url, "client_id": name, "topics": [*topics] or ALL, **keys}


async def came(gateway: Running, messages: int) -> None:
    await eventually(lambda: gateway.figures("mqtt").requests >= messages, timeout=60)


async def connected(gateway: Running) -> None:
    await eventually(lambda: not gateway.figures("mqtt").trouble, timeout=60)


def acknowledged(broker: Broker, client: str) -> int:
    return broker.count(f"Received PUBACK from {client} ")


def run_program(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=60)


def values(found: dict[str, list[list[Any]]], name: str) -> list[Any]:
    return [value for _, value in found[name]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_mosquitto_pub_sends(
    database: Database, broker: Broker, version: str, qos: int
) -> None:
    name = f"pub-{version}-{qos}"
    async with running(database, influx={}, mqtt=mqtt(broker, name, version=version)) as gateway:
        await connected(gateway)
        before = time.time_ns()
        of_qos = ("-q", str(qos))
        broker.publish("plant/oven/7/°C x", "20", *of_qos)
        broker.publish("plant/oven/7/°C x", "20.5", *of_qos)
        broker.publish("json/x", json.dumps({"timestamp": AT, "a": {"b": 1}}), *of_qos)
        broker.publish("line/any", f"m,t=1 n=1i,f=2 {AT}\nm,t=1 n=2i {AT + 1}", *of_qos)
        await came(gateway, 4)
    found = await stored(database)
    points = found.pop("oven,id=7:°C x")
    assert [value for _, value in points] == [20.0, 20.5]
    assert all(before <= at <= time.time_ns() for at, _ in points)
    assert found == {
        "x:a.b": [[AT, 1.0]],
        "m,t=1:n": [[AT, 1], [AT + 1, 2]],
        "m,t=1:f": [[AT, 2.0]],
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_paho_sends(database: Database, broker: Broker, version: str) -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=VERSIONS[version])

    def send() -> None:
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        sent = [
            client.publish("json/paho", json.dumps({"timestamp": AT + n, "v": n / 8}), qos=n % 3)
            for n in range(600)
        ]
        for one in sent:
            one.wait_for_publish(60)
        client.disconnect()
        client.loop_stop()

    name = f"paho-{version}"
    async with running(database, influx={}, mqtt=mqtt(broker, name, version=version)) as gateway:
        await connected(gateway)
        await asyncio.to_thread(send)
        await came(gateway, 600)
        await eventually(lambda: acknowledged(broker, name) == 400)
    assert await stored(database) == {"paho:v": [[AT + n, n / 8] for n in range(600)]}


@pytest.mark.parametrize("version", VERSIONS)
async def test_delivered_is_acknowledged_late(
    own_database: Database, broker: Broker, version: str
) -> None:
    name = f"late-{version}"
    door = mqtt(broker, name, version=version)
    async with running(own_database, influx={}, mqtt=door, acknowledge="delivered") as gateway:
        await connected(gateway)
        broker.publish("plant/m/1/t", "1")
        await eventually(lambda: acknowledged(broker, name) == 1)
        own_database.server.pause()
        broker.publish_lines("plant/m/1/t", [str(n) for n in range(2, 101)])
        in_flight = 20 if version == "3.1.1" else 99  # of MQTT 5 it is for the gateway to say
        await came(gateway, 1 + in_flight)
        await asyncio.sleep(0.3)  # in which it might be
        assert acknowledged(broker, name) == 1
        assert gateway.figures("mqtt").requests == 1 + in_flight
        own_database.server.resume()
        await eventually(lambda: acknowledged(broker, name) == 100, timeout=60)
    assert values(await stored(own_database), "m,id=1:t") == [float(n) for n in range(1, 101)]


async def test_acknowledgements_go_out_in_order(database: Database, broker: Broker) -> None:
    door = mqtt(broker, "order")
    async with running(database, influx={}, mqtt=door, acknowledge="delivered") as gateway:
        await connected(gateway)
        broker.publish_lines("plant/m/1/t", [str(n) for n in range(300)])
        await eventually(lambda: acknowledged(broker, "order") == 300, timeout=60)
    lines = [line for line in broker.log if "PUBACK from order " in line]
    numbers = [int(line.partition("Mid: ")[2].partition(",")[0]) for line in lines]
    assert numbers == list(range(1, 301))


async def test_journaled_is_on_disk_first(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"journal": "gateway.journal", "linger": 60, "influx": {}}
    async with running(database, tmp_path, mqtt=mqtt(broker, "disk"), **options) as gateway:
        await connected(gateway)
        broker.publish_lines("plant/m/1/t", [str(n) for n in range(100)])
        await eventually(lambda: acknowledged(broker, "disk") == 100)
        stats = gateway.gateway._writer.stats()
        assert stats.journal is not None
        assert (stats.journal.persisted, stats.delivered) == (100, 0)
    assert values(await stored(database), "m,id=1:t") == [float(n) for n in range(100)]


async def test_a_session_brings_what_came_while_the_gateway_was_away(
    database: Database, broker: Broker
) -> None:
    for number in range(3):
        async with running(database, influx={}, mqtt=mqtt(broker, "away")) as gateway:
            await connected(gateway)
            await came(gateway, 50 if number else 0)
            await eventually(lambda: acknowledged(broker, "away") == 50 * number)  # noqa: B023
        lines = [json.dumps({"timestamp": AT + 50 * number + n, "v": n}) for n in range(50)]
        broker.publish_lines("json/away", lines)
    assert len((await stored(database))["away:v"]) == 100


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


async def test_bad_payloads_are_acknowledged_and_kept(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    bad = {
        "plant/m/1/t": ["ON", "nan", "20,5", "\x01\x02"],
        "plant/m//t": ["1"],
        "json/m": ['{"state": "ON"}', "{", '{"v": 1e999}'],
        "line/x": ["m v="],
    }
    options: dict[str, Any] = {"dead_letters": "letters.ndjson", "influx": {}}
    async with running(database, tmp_path, mqtt=mqtt(broker, "bad"), **options) as gateway:
        await connected(gateway)
        for topic, payloads in bad.items():
            for payload in payloads:
                broker.publish(topic, payload)
        broker.publish("plant/m/1/t", b"")
        broker.publish("plant/m/1/t", "5")
        await eventually(lambda: acknowledged(broker, "bad") == 11)
        figures = gateway.figures("mqtt")
        assert (figures.bad_lines, figures.points, figures.left_out) == (9, 1, 1)
        assert figures.last_refusal is not None
        assert figures.last_refusal.line == "line/x m v="
    letters = (tmp_path / "lines-letters.ndjson").read_text()
    kept = [json.loads(line) for line in letters.splitlines()]
    assert [one["door"] for one in kept] == ["mqtt"] * 9
    assert kept[0]["line"] == "plant/m/1/t ON"
    assert kept[0]["reason"] == "expected a number, got 'ON'"
    assert values(await stored(database), "m,id=1:t") == [5.0]


async def test_a_payload_that_is_too_long(database: Database, broker: Broker) -> None:
    door = mqtt(broker, "long")
    async with running(database, influx={}, mqtt=door, max_line=1000) as gateway:
        await connected(gateway)
        broker.publish("json/m", "[" + "1," * 1000 + "1]")
        broker.publish("json/m", json.dumps({"timestamp": AT, "v": 1}))
        await eventually(lambda: acknowledged(broker, "long") == 2)
        refusal = gateway.figures("mqtt").last_refusal
        assert refusal is not None
        assert refusal.reason == "a payload is longer than 1,000 bytes (max_line)"
    assert await stored(database) == {"m:v": [[AT, 1.0]]}


RETAINED = {"with_time": {"timed:v"}, "all": {"timed:v", "alone:v"}, "none": set()}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("which", RETAINED)
async def test_messages_that_the_broker_has_kept(
    database: Database, broker: Broker, which: str, version: str
) -> None:
    root = f"kept-{which}-{version}"
    broker.publish(f"{root}/timed", json.dumps({"timestamp": AT, "v": 1}), "-r", "-q", "1")
    broker.publish(f"{root}/alone", json.dumps({"v": 1}), "-r", "-q", "1")
    topic = {"filter": f"{root}/{{measurement}}", "payload": "json", "retained": which}
    for _ in range(2):
        door = mqtt(broker, root, topic, version=version)
        async with running(database, influx={}, mqtt=door) as gateway:
            await connected(gateway)
            await came(gateway, 2)
    found = await stored(database)
    assert set(found) == RETAINED[which]
    assert found.get("timed:v", [[AT, 1.0]]) == [[AT, 1.0]]


async def test_kept_messages_do_not_come_again_with_the_connection(
    database: Database, own_broker: Broker
) -> None:
    own_broker.publish("plant/m/1/t", "1", "-r", "-q", "1")
    door = mqtt(own_broker, "kept", {**NUMBERS, "retained": "all"})
    async with running(database, influx={}, mqtt=door) as gateway:
        await eventually(lambda: acknowledged(own_broker, "kept") == 1)
        await connected(gateway)
        own_broker.stop()
        await eventually(lambda: bool(gateway.figures("mqtt").trouble))
        own_broker.start()
        await connected(gateway)
        own_broker.publish("plant/m/1/t", "2")
        await came(gateway, 2)
    assert values(await stored(database), "m,id=1:t") == [1.0, 2.0]


async def test_a_live_message_is_taken_though_the_broker_keeps_it(
    database: Database, broker: Broker
) -> None:
    door = mqtt(broker, "live", {"filter": "live/{measurement}"})
    async with running(database, influx={}, mqtt=door) as gateway:
        await connected(gateway)
        broker.publish("live/m", "1", "-r", "-q", "1")
        await came(gateway, 1)
    assert values(await stored(database), "m:value") == [1.0]


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


async def test_the_first_filter_decides(database: Database, broker: Broker) -> None:
    topics = [{"filter": "two/x/{measurement}"}, {"filter": "two/#", "payload": "json"}]
    async with running(database, influx={}, mqtt=mqtt(broker, "two", *topics)) as gateway:
        await connected(gateway)
        broker.publish("two/x/m", "1")
        broker.publish("two/y", json.dumps({"timestamp": AT, "v": 1}))
        await came(gateway, 2)
    found = await stored(database)
    assert set(found) == {"m:value", "two/y:v"}
    assert values(found, "m:value")[0] == 1.0


async def test_figures_of_the_broker_itself(database: Database, broker: Broker) -> None:
    topic = {"filter": "$SYS/broker/messages/{measurement}"}
    door = mqtt(broker, "sys", {**topic, "retained": "all"})
    async with running(database, influx={}, mqtt=door) as gateway:
        await eventually(lambda: gateway.figures("mqtt").points >= 2)
    assert {"received:value", "sent:value"} <= set(await stored(database))


async def test_two_gateways_share_topics(database: Database, broker: Broker) -> None:
    topic = {"filter": "$share/both/shared/{measurement}", "payload": "json"}
    async with (
        running(database, influx={}, mqtt=mqtt(broker, "share-1", topic)) as one,
        running(database, influx={}, mqtt=mqtt(broker, "share-2", topic)) as other,
    ):
        await connected(one)
        await connected(other)
        lines = [json.dumps({"timestamp": AT + n, "v": n}) for n in range(100)]
        broker.publish_lines("shared/m", lines)
        await eventually(lambda: sum(g.figures("mqtt").requests for g in (one, other)) == 100)
        assert one.figures("mqtt").requests > 0
        assert other.figures("mqtt").requests > 0
    assert await stored(database) == {"m:v": [[AT + n, float(n)] for n in range(100)]}


async def test_messages_of_qos_0_are_dropped_where_there_is_no_room(
    own_database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.gateway.mqtt_door.MOST", 20_000)
    door = mqtt(broker, "drop", {"filter": "drop/{measurement}"})
    async with running(own_database, influx={}, mqtt=door) as gateway:
        await connected(gateway)
        own_database.server.pause()  # so the type of the series is not told
        broker.publish_lines("drop/m", [str(n) for n in range(200)], "-q", "0")
        await came(gateway, 200)
        figures = gateway.figures("mqtt")
        assert 100 < figures.dropped < 200
        own_database.server.resume()
    assert len((await stored(own_database))["m:value"]) == 200 - figures.dropped


async def test_a_broker_is_not_read_where_there_is_no_room(
    own_database: Database, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siridb_fast.gateway.mqtt_door.FULL", 10_000)
    door = mqtt(broker, "full", {"filter": "full/{measurement}", "payload": "json"})
    async with running(own_database, influx={}, mqtt=door) as gateway:
        await connected(gateway)
        own_database.server.pause()
        lines = [json.dumps({"timestamp": AT + n, "v": n, "x": "x" * 3000}) for n in range(60)]
        broker.publish_lines("full/m", lines)
        await eventually(lambda: gateway.figures("mqtt").requests >= 3)
        await asyncio.sleep(0.2)  # in which more might come
        assert gateway.figures("mqtt").requests <= 5
        own_database.server.resume()
        await eventually(lambda: acknowledged(broker, "full") == 60, timeout=60)
    assert await stored(own_database) == {"m:v": [[AT + n, float(n)] for n in range(60)]}


async def test_what_the_database_refuses_is_acknowledged_all_the_same(
    database: Database, broker: Broker
) -> None:
    async with database.client() as client:
        await client.insert({"m,id=1:t": [[1, "a text"]]})
    door = mqtt(broker, "type")
    async with running(database, influx={}, mqtt=door, acknowledge="delivered") as gateway:
        await connected(gateway)
        broker.publish("plant/m/1/t", "5")
        await eventually(lambda: acknowledged(broker, "type") == 1)
        refusal = gateway.figures("mqtt").last_refusal
        assert refusal is not None
        assert "is of type string" in refusal.reason


async def test_a_stopping_gateway_takes_what_it_has_read(
    database: Database, broker: Broker
) -> None:
    door = mqtt(broker, "stop")
    async with running(database, influx={}, mqtt=door) as gateway:
        await connected(gateway)
        lines = [json.dumps({"timestamp": AT + n, "v": n}) for n in range(500)]
        await asyncio.to_thread(broker.publish_lines, "json/stop", lines)
        await came(gateway, 20)
    async with running(database, influx={}, mqtt=door) as gateway:
        await eventually(lambda: acknowledged(broker, "stop") >= 500, timeout=60)
    assert await stored(database) == {"stop:v": [[AT + n, float(n)] for n in range(500)]}


async def test_a_server_that_dies_and_comes_back(own_database: Database, broker: Broker) -> None:
    # A server that is killed forgets what it acknowledged last; "safe" waits until it cannot.
    options: dict[str, Any] = {"acknowledge": "delivered", "writer": {"durability": "safe"}}
    door = mqtt(broker, "dies")
    async with running(own_database, influx={}, mqtt=door, **options) as gateway:
        await connected(gateway)
        for part in range(3):
            first = 100 * part
            lines = [json.dumps({"timestamp": AT + n, "v": n}) for n in range(first, first + 100)]
            broker.publish_lines("json/dies", lines)
            await came(gateway, first + 5)
            own_database.server.kill()
            own_database.server.start()
        await eventually(lambda: acknowledged(broker, "dies") == 300, timeout=120)
    found = await stored(own_database)
    assert found["dies:v"] == [[AT + n, float(n)] for n in range(300)]


async def test_what_could_not_be_delivered_comes_to_the_next_gateway(
    own_database: Database, broker: Broker
) -> None:
    door = mqtt(broker, "next")
    options: dict[str, Any] = {"acknowledge": "delivered", "influx": {}, "mqtt": door}
    lines = [json.dumps({"timestamp": AT + n, "v": n}) for n in range(50)]
    async with running(own_database, drain_timeout=0.3, **options) as gateway:
        await connected(gateway)
        broker.publish_lines("json/next", lines[:10])
        await eventually(lambda: acknowledged(broker, "next") == 10)
        own_database.server.pause()
        broker.publish_lines("json/next", lines[10:])
        await came(gateway, 30)
    assert acknowledged(broker, "next") == 10
    own_database.server.resume()
    async with running(own_database, **options) as gateway:
        await eventually(lambda: acknowledged(broker, "next") == 50, timeout=60)
    assert await stored(own_database) == {"next:v": [[AT + n, float(n)] for n in range(50)]}


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

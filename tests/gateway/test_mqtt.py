"""MQTT from a real mosquitto: what is published is in SiriDB, and acknowledged once it is safe."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.brokers import Broker
from tests.gateway.gateways import running, stored
from tests.gateway.mqtt_doors import (
    AT,
    VERSIONS,
    acknowledged,
    came,
    connected,
    mqtt,
    values,
)

pytestmark = pytest.mark.one_loop


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
        stats = gateway.gateway.facts().databases[0].stats
        assert stats.journal is not None
        assert (stats.journal.persisted, stats.delivered) == (100, 0)
    assert values(await stored(database), "m,id=1:t") == [float(n) for n in range(100)]


async def test_journaled_goes_on_without_a_server(
    own_database: Database, broker: Broker, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"journal": "gateway.journal", "influx": {}}
    door = mqtt(broker, "without")
    async with running(own_database, tmp_path, mqtt=door, **options) as gateway:
        await connected(gateway)
        broker.publish("plant/m/1/t", "0")
        await eventually(lambda: acknowledged(broker, "without") == 1)
        own_database.server.pause()
        broker.publish_lines("plant/m/1/t", [str(n) for n in range(1, 500)])
        await eventually(lambda: acknowledged(broker, "without") == 500)
        own_database.server.resume()
    assert values(await stored(own_database), "m,id=1:t") == [float(n) for n in range(500)]


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

"""Messages that are bad, too long, kept from before, or too many."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.brokers import Broker
from tests.gateway.gateways import running, stored
from tests.gateway.mqtt_doors import (
    AT,
    NUMBERS,
    VERSIONS,
    acknowledged,
    came,
    connected,
    mqtt,
    values,
)

pytestmark = pytest.mark.one_loop


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


async def test_topics_of_any_length_and_letters(database: Database, broker: Broker) -> None:
    topics = ["any/a b/°C/ü", "any//", "any/" + "x" * 65_000, "any/" + "x" * 65_531]
    async with running(
        database, influx={}, mqtt=mqtt(broker, "any", {"filter": "any/#"})
    ) as gateway:
        await connected(gateway)
        for topic in topics:
            broker.publish(topic, "1")
        await eventually(lambda: acknowledged(broker, "any") == 4)
        refusal = gateway.figures("mqtt").last_refusal
        assert refusal is not None
        assert refusal.reason == "the name of its series has 65,541 bytes"
    assert set(await stored(database)) == {f"{topic}:value" for topic in topics[:3]}


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


async def test_a_gateway_without_room_does_not_come_back(
    own_database: Database, own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each connection would bring the same messages once more, and fill the memory.
    monkeypatch.setattr("siridb_fast.gateway.mqtt_door.FULL", 10_000)
    door = mqtt(own_broker, "room", {"filter": "full/{measurement}", "payload": "json"})
    async with running(own_database, influx={}, mqtt=door) as gateway:
        await connected(gateway)
        own_database.server.pause()
        lines = [json.dumps({"timestamp": AT + n, "v": n, "x": "x" * 3000}) for n in range(20)]
        own_broker.publish_lines("full/m", lines)
        await eventually(lambda: gateway.figures("mqtt").requests >= 3)
        for _ in range(2):
            own_broker.stop()
            own_broker.start()
            await asyncio.sleep(1.0)  # in which it might
        assert gateway.figures("mqtt").requests <= 5
        own_database.server.resume()
        await eventually(lambda: acknowledged(own_broker, "room") == 20, timeout=60)
    assert await stored(own_database) == {"m:v": [[AT + n, float(n)] for n in range(20)]}


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

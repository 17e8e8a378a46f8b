"""What devices and programs send by MQTT, through a real broker: each gives what one would expect.

The payloads are of the forms that the makers' documentation shows.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fix_loop import eventually
from tests.fix_server import Database
from tests.gateway.brokers import a_broker
from tests.gateway.gateways import running, stored

pytestmark = pytest.mark.one_loop

Expected = dict[str, tuple[int | None, float]]

AT = 1_795_773_600 * 10**9  # 2026-11-27T10:00:00Z
TOPICS: list[dict[str, Any]] = [
    {"filter": "zigbee2mqtt/bridge/#", "payload": "skip"},
    {"filter": "zigbee2mqtt/{measurement...}", "payload": "json", "time": "last_seen",
     "words": {"online": 1, "offline": 0}},
    {"filter": "tele/{device}/{measurement}", "payload": "json", "time": "Time",
     "time_zone": "Europe/Berlin", "words": {"ON": 1, "OFF": 0, "Online": 1, "Offline": 0}},
    {"filter": "shellies/{device}/{measurement...}", "words": {"on": 1, "off": 0}},
    {"filter": "{device}/status/{measurement}", "payload": "json"},
    {"filter": "{device}/events/rpc", "payload": "json", "time": "params.ts", "series":
     "{device}:{field}"},
    {"filter": "homeassistant/{domain}/{entity}/state", "payload": "number", "series":
     "{domain}.{entity}"},
    {"filter": "{device}/sensor/{measurement}/state"},
    {"filter": "spBv1.0/{group}/{_}/{edge}/{measurement}", "payload": "json"},
    {"filter": "owntracks/{user}/{measurement}", "payload": "json", "time": "tst"},
    {"filter": "home/{gateway}/BTtoMQTT/{measurement}", "payload": "json"},
    {"filter": "rtl_433/{host}/events", "payload": "json", "time": "time", "time_zone": "UTC",
     "tags": ["model", "id", "channel"], "series": "{model}/{id}:{field}"},
    {"filter": "homie/{device}/{node}/{measurement}"},
    {"filter": "ruuvi/{gw}/{measurement}", "payload": "json", "time": "ts"},
    {"filter": "v3/{app}/devices/{measurement}/up", "payload": "json", "time": "received_at"},
    {"filter": "senml/{measurement}", "payload": "json", "time": "t", "tags": ["n"]},
    {"filter": "telegraf/#", "payload": "line"},
    {"filter": "inverter/{measurement}", "payload": "json", "texts": "number"},
]  # fmt: skip
RPC = {"src": "s2", "method": "NotifyStatus", "params": {
    "ts": 1795773600.25, "switch:0": {"id": 0, "apower": 8.9}}}  # fmt: skip
NEXUS = {"time": "2026-11-27 10:00:00", "model": "Nexus-TH", "temperature_C": 21.5}
UPLINK = {"received_at": "2026-11-27T10:00:00.123456789Z", "uplink_message": {
    "decoded_payload": {"t": 21.5}, "rx_metadata": [{"rssi": -60}]}}  # fmt: skip
SPARKPLUG = bytes.fromhex("08a0a6e3a5d631121d0a0454656d70100118a0a6e3a5d63120096500002041")

# topic, payload → series: (time, value), where a time of None is that of arrival; or the reason.
MESSAGES: list[tuple[str, Any, Expected | str]] = [
    ("zigbee2mqtt/living room/°C", {"temperature": 21.5, "last_seen": "2026-11-27T10:00:00.5Z",
     "update": {"state": "idle", "version": 7}},
     {"living room/°C:temperature": (AT + 5 * 10**8, 21.5),
      "living room/°C:update.version": (AT + 5 * 10**8, 7.0)}),
    ("zigbee2mqtt/door", {"contact": False, "last_seen": AT // 10**6},
     {"door:contact": (AT, 0.0)}),
    ("zigbee2mqtt/door/availability", {"state": "online"},
     {"door/availability:state": (None, 1.0)}),
    ("zigbee2mqtt/bridge/devices", [{"ieee_address": "0x0", "network_address": 0}], {}),
    ("tele/plug/SENSOR", {"Time": "2026-11-27T11:00:00", "TempUnit": "C",
     "ENERGY": {"Total": 1.25, "Power": 5, "TotalStartTime": "2020-01-01T00:00:00"}},
     {"SENSOR,device=plug:ENERGY.Total": (AT, 1.25), "SENSOR,device=plug:ENERGY.Power": (AT, 5)}),
    ("tele/plug/STATE", {"Time": "2026-11-27T11:00:00", "POWER": "ON", "Wifi": {"RSSI": 80}},
     {"STATE,device=plug:POWER": (AT, 1), "STATE,device=plug:Wifi.RSSI": (AT, 80)}),
    ("tele/plug/LWT", "Online", {"LWT,device=plug:value": (None, 1)}),
    ("shellies/s1/relay/0/power", "12.5", {"relay/0/power,device=s1:value": (None, 12.5)}),
    ("shellies/s1/relay/0", "on", {"relay/0,device=s1:value": (None, 1)}),
    ("s2/status/switch:0", {"id": 0, "output": True, "aenergy": {"by_minute": [0.0, 1.5]}},
     {"switch:0,device=s2:id": (None, 0), "switch:0,device=s2:output": (None, 1),
      "switch:0,device=s2:aenergy.by_minute.0": (None, 0),
      "switch:0,device=s2:aenergy.by_minute.1": (None, 1.5)}),
    ("s2/events/rpc", RPC, {"s2:params.switch:0.id": (AT + 250_000_000, 0),
     "s2:params.switch:0.apower": (AT + 250_000_000, 8.9)}),
    ("living/sensor/t/state", "21.5", {"t,device=living:value": (None, 21.5)}),
    ("living/sensor/h/state", "nan", "expected a number, got 'nan'"),
    ("homeassistant/sensor/flur/state", "20", {"sensor.flur": (None, 20.0)}),
    ("homeassistant/sensor/flur/state", "unavailable", "expected a number, got 'unavailable'"),
    ("spBv1.0/g/DDATA/e/d", SPARKPLUG, "expected JSON, got bytes that are not UTF-8"),
    ("owntracks/me/phone", {"_type": "location", "lat": 52.5, "tst": AT // 10**9, "tid": "p"},
     {"phone,user=me:lat": (AT, 52.5)}),
    ("home/gw/BTtoMQTT/AABB", {"id": "AA:BB", "model": "X", "tempc": 21.1, "batt": 90},
     {"AABB,gateway=gw:tempc": (None, 21.1), "AABB,gateway=gw:batt": (None, 90)}),
    ("rtl_433/h/events", {**NEXUS, "id": 55}, {"Nexus-TH/55:temperature_C": (AT, 21.5)}),
    ("rtl_433/h/events", {**NEXUS, "id": 56}, {"Nexus-TH/56:temperature_C": (AT, 21.5)}),
    ("rtl_433/h/events", NEXUS, "it has no tag 'id', which the template of series names"),
    ("homie/dev/node/temperature", "21.5",
     {"temperature,device=dev,node=node:value": (None, 21.5)}),
    ("ruuvi/gw/tag", {"rssi": -60, "ts": str(AT // 10**9), "data": "0201"},
     {"tag,gw=gw:rssi": (AT, -60)}),
    ("v3/app/devices/d/up", UPLINK,
     {"d,app=app:uplink_message.decoded_payload.t": (AT + 123_456_789, 21.5),
      "d,app=app:uplink_message.rx_metadata.0.rssi": (AT + 123_456_789, -60)}),
    ("senml/m", [{"n": "t", "u": "Cel", "v": 21.5, "t": AT // 10**9}, {"n": "h", "v": 50}],
     {"m,n=t:v": (AT, 21.5), "m,n=h:v": (None, 50)}),
    ("telegraf/host/cpu", f"cpu,host=h usage=5.5,n=3i {AT}",
     {"cpu,host=h:usage": (AT, 5.5), "cpu,host=h:n": (AT, 3)}),
    ("inverter/x", {"P": "510.5", "mode": "eco"}, {"x:P": (None, 510.5)}),
    ("inverter/y", "1.2,3.4", "expected JSON, got '1.2,3.4'"),
    ("inverter/z", {"n": 18446744073709551615}, "does not fit 64 bits with a sign"),
]  # fmt: skip


def bytes_of(payload: Any) -> bytes:
    if isinstance(payload, bytes):
        return payload
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


async def test_each_gives_what_one_would_expect(database: Database, tmp_path: Path) -> None:
    expected: Expected = {}
    reasons: list[str] = []
    with a_broker(tmp_path) as broker:
        door = {"url": broker.url, "topics": TOPICS}
        async with running(
            database, tmp_path, influx={}, mqtt=door, dead_letters="letters.ndjson"
        ) as gateway:
            await eventually(lambda: not gateway.figures("mqtt").trouble)
            for number, (topic, payload, found) in enumerate(MESSAGES, 1):
                broker.publish(topic, bytes_of(payload))
                if isinstance(found, str):
                    reasons.append(found)
                else:
                    expected |= found
                await eventually(lambda: gateway.figures("mqtt").requests == number)  # noqa: B023
            begun = min(gateway.gateway.facts().now * 1e9, 2**62)
    points = await stored(database)
    assert {name: rows[0][1] for name, rows in points.items()} == {
        name: value for name, (_, value) in expected.items()
    }
    for name, (time, _) in expected.items():
        (point,) = points[name]
        if time is None:
            assert begun - 600e9 < point[0] <= begun
        else:
            assert point[0] == time
    letters = (tmp_path / "lines-letters.ndjson").read_text().splitlines()
    told = [json.loads(line)["reason"] for line in letters]
    assert len(told) == len(reasons)
    for reason, of in zip(told, reasons, strict=True):
        assert of in reason
    assert any(json.loads(line)["line"].startswith("spBv1.0/g/DDATA/e/d ") for line in letters)

"""The table [mqtt]: what it says, and what is wrong with it."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from siridb_fast.errors import ConfigError
from siridb_fast.gateway.config_file import config_from, read_gateway_config
from siridb_fast.gateway.mqtt_config import MqttConfig, TopicConfig
from siridb_fast.gateway.mqtt_topics import TopicFilter
from siridb_fast.gateway.secret import Secret
from tests.commands import run_command

URL = "siridb://iris:siri@localhost:9000/dbtest"
BROKER = "mqtt://localhost:1883"
TOPIC = {"filter": "plant/{measurement}"}
WHOLE = """
url = "siridb://iris:siri@localhost:9000/dbtest"
[mqtt]
url = "mqtt://me:s%20cret@broker.example:1884"
client_id = "gateway-1"
version = "5"
keepalive = 20
unsubscribe = ["old/{x}/{y...}"]
series = "{measurement}.{field}"
[[mqtt.topics]]
filter = "plant/{measurement}/{id}/{field}"
words = { ON = 1, OFF = 0 }
retained = "all"
[[mqtt.topics]]
filter = "json/{measurement}"
payload = "json"
series = "{topic}:{field}"
time = "params.ts"
time_zone = "Europe/Berlin"
precision = "ms"
texts = "store"
tags = ["id", "params.name"]
[[mqtt.topics]]
filter = "line/#"
payload = "line"
"""


def mqtt_of(**keys: Any) -> MqttConfig:
    table = {"url": BROKER, "topics": [TOPIC], **keys}
    (door,) = config_from({"url": URL, "mqtt": table}, Path("/nowhere")).doors
    assert door.mqtt is not None
    return door.mqtt


def test_the_whole_table(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(WHOLE)
    (door,) = read_gateway_config(path).doors
    assert (door.name, door.place) == ("mqtt", "mqtt://broker.example:1884")
    series = "{measurement}.{field}"
    assert door.mqtt == MqttConfig(
        host="broker.example",
        port=1884,
        client_id="gateway-1",
        version="5",
        username="me",
        password=Secret("s cret"),
        keepalive=20,
        forgotten=("old/+/#",),
        topics=(
            TopicConfig(
                filter=TopicFilter.of("plant/{measurement}/{id}/{field}"),
                payload="number",
                series=series,
                words={"ON": 1, "OFF": 0},
                retained="all",
            ),
            TopicConfig(
                filter=TopicFilter.of("json/{measurement}", names_topic=True),
                payload="json",
                series="{topic}:{field}",
                time="params.ts",
                zone=ZoneInfo("Europe/Berlin"),
                unit="ms",
                texts="store",
                tags=("id", "params.name"),
            ),
            TopicConfig(filter=TopicFilter.of("line/#"), payload="line", series=series),
        ),
    )
    assert "s cret" not in repr(door)


def test_what_is_not_said() -> None:
    found = mqtt_of()
    assert (found.version, found.client_id) == ("3.1.1", "siridb-fast-gateway")
    assert (found.username, found.password, found.tls, found.keepalive) == (None, None, None, 60)
    (topic,) = found.topics
    assert topic.series == "{measurement},{tags}:{field}"
    assert (topic.payload, topic.retained, topic.time) == ("number", "with_time", "timestamp")


def test_the_password_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", "secret")
    (tmp_path / "password").write_text("secret\n")
    for key in (
        {"password_env": "BROKER_PASSWORD"},
        {"password_file": str(tmp_path / "password")},
    ):
        assert mqtt_of(url="mqtt://me@broker", **key).password == Secret("secret")


def test_ports_and_tls() -> None:
    assert mqtt_of(url="mqtt://broker").port == 1883
    assert mqtt_of(url="mqtts://[::1]").place == "mqtts://[::1]:8883"


def bad_topic(**keys: Any) -> dict[str, Any]:
    return {"topics": [{**TOPIC, **keys}]}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"url": None}, "mqtt.url: expected mqtt://"),
    ({"url": "localhost:1883"}, "mqtt.url: expected mqtt://"),
    ({"url": "http://localhost"}, "mqtt.url: expected mqtt://"),
    ({"url": "mqtt://localhost:x"}, "mqtt.url: expected mqtt://"),
    ({"url": "mqtt://localhost:0"}, "mqtt.url: expected a port"),
    ({"url": "mqtt://localhost/x"}, "mqtt.url: expected mqtt://"),
    ({"topics": None}, r"mqtt.topics: expected \[\[mqtt.topics\]\]"),
    ({"version": "3.1"}, "mqtt.version: expected one of 3.1.1, 5"),
    ({"client_id": ""}, "mqtt.client_id: expected a text"),
    ({"unsubscribe": ["a/#/b"]}, "mqtt.unsubscribe: what stands for"),
    ({"keepalive": 0}, "mqtt.keepalive: expected an integer from 5"),
    ({"password": "x"}, "mqtt.username: a password needs a username"),
    ({"url": "mqtt://a:b@localhost", "password": "x"}, "mqtt.password: the URL has one"),
    ({"url": "mqtt://a@localhost", "username": "x"}, "mqtt.username: the URL says one"),
    ({"tls_ca": "ca.pem"}, "mqtt.tls_ca: it needs a url that begins with mqtts"),
    ({"url": "mqtts://localhost", "tls_ca": "ca.pem"}, "a certificate of MQTT: "),
    ({"url": "mqtts://localhost", "tls_key": "key.pem"}, "mqtt.tls_certificate: "),
    ({"topics": [TOPIC, TOPIC]}, "two filters are 'plant/[+]' for the broker"),
    (bad_topic(filter=None), r"mqtt.topics\[1\].filter: expected a text"),
    (bad_topic(filter="a/#/b"), r"mqtt.topics\[1\].filter: "),
    (bad_topic(payload="xml"), "payload: expected one of number, json, line, skip"),
    (bad_topic(series="x"), "series: a template has a part"),
    (bad_topic(retained="some"), "retained: expected one of with_time, all, none"),
    (bad_topic(time="ts"), 'time: it needs payload = "json"'),
    (bad_topic(payload="json", time=""), "time: expected the name"),
    (bad_topic(precision="s"), "precision: it needs payload"),
    (bad_topic(tags=["id"]), "tags: it needs payload"),
    (bad_topic(payload="json", tags=[1]), r"tags: expected texts such as .*, got \[1\]"),
    (bad_topic(payload="json", tags=[""]), "tags: expected names"),
    (bad_topic(payload="skip", filter="a/#"), "topics: all of them are skipped"),
    (bad_topic(payload="skip"), "payload skip has no use for names"),
    (bad_topic(payload="json", precision="x"), "precision: expected one of"),
    (bad_topic(payload="json", time_zone="Mars/Base"), "time_zone: expected one as"),
    (bad_topic(payload="json", texts="all"), "texts: expected one of skip, store, number"),
    (bad_topic(words={"ON": "1"}), "words.ON: expected a number, got '1'"),
    (bad_topic(payload="line"), "payload line has no use for names"),
    (bad_topic(payload="line", filter="a/#", words={"ON": 1}), "words: it needs payload"),
    (bad_topic(colour="red"), "colour: there is no such key"),
]


@pytest.mark.parametrize(("keys", "error"), BAD, ids=[one[1][:40] for one in BAD])
def test_a_table_is_refused(keys: dict[str, Any], error: str) -> None:
    table = {"url": BROKER, "topics": [TOPIC], **keys}
    table = {name: value for name, value in table.items() if value is not None}
    for topic in table.get("topics", ()):
        for name in [name for name, value in topic.items() if value is None]:
            del topic[name]
    with pytest.raises(ConfigError, match=error):
        config_from({"url": URL, "mqtt": table}, Path("/nowhere"))


def test_check_says_what_would_run(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(WHOLE)
    done = run_command("gateway", "--config", path, "--check")
    assert done.stdout.splitlines()[2:6] == [
        "mqtt at mqtt://broker.example:1884 as 'me', version 5, client_id 'gateway-1'",
        "mqtt topics 'plant/+/+/+': payload number, series {measurement}.{field}, retained all",
        "mqtt topics 'json/+': payload json, series {topic}:{field}, retained with_time",
        "mqtt topics 'line/#': payload line, series {measurement}.{field}, retained with_time",
    ]
    assert "cret" not in done.stdout

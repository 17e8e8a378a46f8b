"""Messages → points: any bytes are read or refused, and what is refused leaves nothing behind."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.formats.points import PointKey
from siridb_fast.gateway.config_file import config_from
from siridb_fast.gateway.mqtt_payloads import Message, MqttPayloads

NOW = 1_800_000_000_123_456_789
URL = "siridb://iris:siri@localhost/dbtest"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def payloads_of(**topic: Any) -> MqttPayloads:
    topic = {"filter": "a/{measurement}", **topic}
    keys = {"url": URL, "mqtt": {"url": "mqtt://h", "topics": [topic]}}
    (door,) = config_from(keys, Path("/nowhere")).doors
    assert door.mqtt is not None
    return MqttPayloads(door.mqtt.topics[0])


def message(payload: bytes, topic: str = "a/m", **more: Any) -> Message:
    return Message(topic, payload, NOW, **more)


def test_messages_are_lines() -> None:
    parser = payloads_of(payload="json", tags=["id"], texts="store")
    found = parser.parse(
        [
            message(b'{"v": 1, "s": "x", "id": 7}'),
            message(b"{"),
            message(b""),
            message(b'[{"v": 2, "timestamp": 1700000000}, {"s": "y", "big": 1e999}, {"s": "z"}]'),
        ],
        1_000_000,
    )
    points = found.points
    arrived = NOW // 1_000_000 * 1_000_000
    assert points.lines.tolist() == [1, 1, 3, 5]
    assert points.times.tolist() == [arrived, arrived, 1_700_000_000 * 10**9, arrived]
    assert points.texts == [b"x", b"z"]
    assert points.values.tolist() == [1, 0, 2, 1]
    assert [bad.line for bad in points.bad] == [2, 4]
    assert found.left_out == 1
    assert [one.shown for one in found.messages[:2]] == [
        b'a/m {"v": 1, "s": "x", "id": 7}',
        b"a/m {",
    ]
    assert [parser.series[code] for code in points.series.tolist()] == [
        PointKey("m", (("id", "7"),), "v"),
        PointKey("m", (("id", "7"),), "s"),
        PointKey("m", (), "v"),
        PointKey("m", (), "s"),
    ]


@given(st.lists(st.binary(max_size=40)), st.sampled_from(["number", "json"]))
def test_any_bytes(payloads: list[bytes], kind: str) -> None:
    found = payloads_of(payload=kind).parse([message(one) for one in payloads], 1)
    assert_whole(found.points, len(found.messages))


@given(st.lists(JSON, max_size=4), st.booleans())
def test_any_json(values: list[Any], is_retained: bool) -> None:
    parser = payloads_of(payload="json", tags=["0"], texts="store", time="a")
    messages = [message(json.dumps(one).encode(), is_retained=is_retained) for one in values]
    found = parser.parse(messages, 1)
    assert_whole(found.points, len(found.messages))


def assert_whole(points: Any, lines: int) -> None:
    bad = {one.line for one in points.bad}
    assert bad.isdisjoint(points.lines.tolist())
    assert all(1 <= line <= lines for line in bad | set(points.lines.tolist()))
    texts = points.values[points.kinds == 2]
    assert texts.tolist() == list(range(len(points.texts)))
    assert np.all(np.diff(points.lines) >= 0)

"""Filters of topics: what a broker is asked for, and what a topic's levels mean."""

import pytest

from siridb_fast.errors import ConfigError
from siridb_fast.formats.points import LineError, PointKey
from siridb_fast.gateway.mqtt_topics import TopicFilter

SUBSCRIPTIONS = {
    "plant/{measurement}/{id}/{field}": "plant/+/+/+",
    "plant/{measurement}/{rest...}": "plant/+/#",
    "plant/{_}/{measurement}": "plant/+/+",
    "{measurement...}": "#",
    "plant/#": "plant/#",
    "+/sensor/+/state": "+/sensor/+/state",
    "$SYS/broker/load/#": "$SYS/broker/load/#",
    "$share/group/plant/{measurement}": "$share/group/plant/+",
    "/leading//empty/": "/leading//empty/",
    "with blank/°C": "with blank/°C",
}
KEYS: list[tuple[str, str, PointKey | None]] = [
    ("plant/{measurement}/{id}/{field}", "plant/m/7/t", PointKey("m", (("id", "7"),), "t")),
    ("plant/{measurement}/{id}/{field}", "plant/m/7/t/x", None),
    ("plant/{measurement}/{id}/{field}", "plant/m/7", None),
    ("plant/{measurement}/{id}/{field}", "other/m/7/t", None),
    ("{b}/{a}/{measurement}", "2/1/m", PointKey("m", (("a", "1"), ("b", "2")))),
    ("plant/{measurement}/{rest...}", "plant/m/a/b c", PointKey("m", (("rest", "a/b c"),))),
    ("plant/{_}/{measurement}", "plant/x/m", PointKey("m", ())),
    ("{measurement...}", "a/b", PointKey("a/b", ())),
    ("plant/#", "plant/a/b", PointKey("plant/a/b", ())),
    ("plant/#", "plant", PointKey("plant", ())),
    ("plant/#", "plants", None),
    ("+/+", "a/°C x", PointKey("a/°C x", ())),
    ("+/+", "$SYS/x", None),
    ("#", "$SYS/x", None),
    ("$SYS/#", "$SYS/x", PointKey("$SYS/x", ())),
    ("$share/g/plant/{measurement}", "plant/m", PointKey("m", ())),
    ("room/{field}", "room/t", PointKey("room/t", (), "t")),
]
BAD = {
    "": "1 to 65,535 bytes",
    "a" * 65_536: "1 to 65,535 bytes",
    "a\0": "no NUL",
    "a/#/b": "comes last",
    "a/{rest...}/b": "comes last",
    "a/x+": "a whole level each",
    "a/x{id}": "a whole level each",
    "a/{}": "a whole level each",
    "a/{id}/{id}": "twice",
    "a/{topic}": "the whole topic",
    "a/{id}/+": "two topics would become one series",
    "a/{id}/#": "two topics would become one series",
    "$share/g": "a shared filter is",
    "$share/+/a": "a shared filter is",
}


@pytest.mark.parametrize("text", SUBSCRIPTIONS)
def test_a_broker_is_asked_for(text: str) -> None:
    assert TopicFilter.of(text).subscription == SUBSCRIPTIONS[text]


@pytest.mark.parametrize(("text", "topic", "key"), KEYS)
def test_levels_are_measurement_tags_and_field(
    text: str, topic: str, key: PointKey | None
) -> None:
    assert TopicFilter.of(text).key(topic) == key


def test_the_whole_topic_is_a_tag_where_it_is_named() -> None:
    found = TopicFilter.of("plant/{measurement}", names_topic=True).key("plant/m")
    assert found == PointKey("m", (("topic", "plant/m"),))


@pytest.mark.parametrize("text", BAD, ids=[one[:20] for one in BAD])
def test_a_filter_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=BAD[text]):
        TopicFilter.of(text)


@pytest.mark.parametrize("topic", ["plant//t", "plant/m/"])
def test_an_empty_level_names_nothing(topic: str) -> None:
    with pytest.raises(LineError, match="the topic has nothing at"):
        TopicFilter.of("plant/{measurement}/{field}").key(topic)

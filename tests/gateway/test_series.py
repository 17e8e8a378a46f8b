"""What series are called, which rules there are, and how many new ones are let in."""

import pytest

from siridb_fast.errors import ConfigError
from siridb_fast.formats._line_protocol import LineProtocol
from siridb_fast.formats.points import LineError, PointKey
from siridb_fast.gateway.naming import SeriesTemplate
from siridb_fast.gateway.new_series import NewSeriesGuard
from siridb_fast.gateway.rules import Rule, RuledName, ruled
from siridb_fast.gateway.series_table import SeriesTable, SeriesTables

KEY = PointKey("cpu", (("host", "a"), ("rack", "7")), "load")
BARE = PointKey("cpu", (), "load")
WHOLE = "{measurement},{tags}:{field}"


@pytest.mark.parametrize(
    ("template", "key", "name"),
    [
        (WHOLE, KEY, "cpu,host=a,rack=7:load"),
        (WHOLE, BARE, "cpu:load"),
        ("{field}", KEY, "load"),
        ("x-{host}/{measurement}", KEY, "x-a/cpu"),
        ("{tags}", KEY, "host=a,rack=7"),
        ("a {measurement} b", KEY, "a cpu b"),
    ],
)
def test_a_template_makes_names(template: str, key: PointKey, name: str) -> None:
    assert SeriesTemplate(template, "influx").name(key) == name


def test_tags_of_graphite_stand_as_graphite_writes_them() -> None:
    template = SeriesTemplate("{path};{tags}", "graphite")
    assert template.name(PointKey("a.b", (("x", "1"), ("y", "2")))) == "a.b;x=1;y=2"
    assert template.name(PointKey("a.b", ())) == "a.b"


@pytest.mark.parametrize("template", ["", "x", "{", "}", "{}", "a{b}c}"])
def test_a_template_that_makes_no_sense_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="a template has"):
        SeriesTemplate(template, "influx")


def test_a_tag_that_is_not_there_and_a_long_name_are_told() -> None:
    with pytest.raises(LineError, match="no tag 'host'"):
        SeriesTemplate("{host}", "influx").name(BARE)
    with pytest.raises(LineError, match="has 65,535 bytes"):
        SeriesTemplate("{measurement}", "influx").name(PointKey("m" * 65_535, (), "f"))


RULES = (
    Rule(match="tmp.*", drop=True),
    Rule(match="count.*", type="integer"),
    Rule(match="*old*x", rename="*new*"),
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tmp.a", RuledName(None)),
        ("tmp", RuledName("tmp")),
        ("count.a", RuledName("count.a", "integer")),
        ("count.old.1.x", RuledName("count.new.1.", "integer")),
        ("a.old.b", RuledName("a.old.b")),
    ],
)
def test_the_first_rule_that_matches_decides(name: str, found: RuledName) -> None:
    assert ruled(name, RULES) == found


def test_with_allow_all_others_are_left_out() -> None:
    rules = (Rule(match="cpu*", allow=True), Rule(match="mem*", rename="memory*"))
    assert [ruled(one, rules).name for one in ("cpu1", "mem2", "disk")] == [
        "cpu1",
        "memory2",
        None,
    ]


def table(text: str, *rules: Rule) -> SeriesTable:
    template = SeriesTemplate(text, "influx")
    return SeriesTable(LineProtocol(keeps_types=True), template, rules, numbers_are_floats=False)


def test_two_series_of_one_name_are_told_apart() -> None:
    found = table(WHOLE)
    found.parse(b"m,a=1\\,b\\=2 v=1\nm,a=1,b=2 v=1\n", line=1, is_last=True)
    assert found.names == ["m,a=1,b=2:v", ""]
    assert "another series has the name 'm,a=1,b=2:v' too" in found.refused[1]


def test_a_template_without_the_tags_brings_series_together() -> None:
    found = table("{measurement}")
    found.parse(b"m,a=1 v=1\nm,a=2 v=1\n", line=1, is_last=True)
    assert found.names == ["m", "m"]


def test_a_table_grows_and_is_made_anew() -> None:
    tables = SeriesTables(lambda: table(WHOLE), max_series=5_000)
    first = tables.current
    text = b"".join(b"m,a=%d v=1\n" % n for n in range(5_001))
    first.parse(text, line=1, is_last=True)
    assert len(first.names) == 5_001
    assert first.names[-1] == "m,a=5000:v"
    assert tables.current is not first
    assert tables.current is tables.current


def test_the_guard_names_where_new_series_come_from() -> None:
    now = [0.0]
    guard = NewSeriesGuard(3, lambda: now[0])
    assert guard.admit("b", (("id", "0"),)) is None
    found = [guard.admit("a", (("id", str(n)), ("host", "x"))) for n in range(5)]
    assert found[:2] == [None, None]
    assert found[4] is not None
    assert "more than 3 new series in a minute (max_new_series); 5 are of 'a'" in found[4]
    assert "whose tag 'id' has 5 different values" in found[4]
    now[0] = 60.0
    assert guard.admit("a", ()) is None

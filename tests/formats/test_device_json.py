"""What devices send in JSON: the numbers with their names, the time, and what is refused."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.device_json import DeviceJson, Reading, plain_number
from siridb_fast.formats.points import LineError

S = 1_000_000_000
AT = 1_700_000_000 * S


def readings(payload: str | bytes, **options: Any) -> list[Reading | LineError]:
    data = payload.encode() if isinstance(payload, str) else payload
    return DeviceJson(**options).readings(data, S)


VALUES: dict[str, dict[str, Any]] = {
    "20.5": {"": 20.5},
    "true": {"": True},
    '{"a": 1, "b": {"c": 2.5, "d": {"e": -1}}}': {"a": 1, "b.c": 2.5, "b.d.e": -1},
    '{"a": [1, 2, {"b": 3}]}': {"a.0": 1, "a.1": 2, "a.2.b": 3},
    '{"a": 1, "unit": "°C", "none": null}': {"a": 1},
    '{"a": true, "b": false}': {"a": True, "b": False},
    '{"a": {}, "b": [], "c": 7}': {"c": 7},
    '{"timestamp": 5, "value": 20}': {"value": 20},
}


@pytest.mark.parametrize("payload", VALUES)
def test_numbers_have_the_names_of_where_they_lie(payload: str) -> None:
    (found,) = readings(payload)
    assert isinstance(found, Reading)
    assert dict(found.values) == VALUES[payload]


def test_a_list_is_so_many_readings() -> None:
    found = readings('[{"a": 1, "timestamp": 1}, {"a": "x"}, {"a": 2, "timestamp": 2}]')
    first, second, third = found
    assert first == Reading([("a", 1)], 1 * S)
    assert isinstance(second, LineError)
    assert third == Reading([("a", 2)], 2 * S)


TIMES: list[tuple[str, int, dict[str, Any]]] = [
    ("1700000000", S, {}),
    ("1700000000000", 1_000_000, {}),
    ("1700000000.25", S, {}),
    ('"1700000000"', S, {}),
    ('"1700000000.25"', S, {}),
    ('"2023-11-14T22:13:20Z"', S, {}),
    ('"2023-11-14T22:13:20.25Z"', S, {}),
    ('"2023-11-14T22:13:20.250000001+00:00"', S, {}),
    ('"2023-11-14 23:13:20+0100"', S, {}),
    ('"2023-11-14T23:13:20"', S, {"zone": ZoneInfo("Europe/Berlin")}),
    ("null", S, {}),
]


@pytest.mark.parametrize(("text", "unit", "options"), TIMES, ids=[one[0] for one in TIMES])
def test_times_are_exact(text: str, unit: int, options: dict[str, Any]) -> None:
    (found,) = readings(f'{{"v": 1, "at": {text}}}', time="at", unit_ns=unit, **options)
    assert isinstance(found, Reading)
    fraction = 250_000_000 if ".25" in text else 0
    nano = 1 if ".250000001" in text else 0
    assert found.time_ns == (NO_TIME if text == "null" else AT + fraction + nano)


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000, 1_000_000_000])
def test_the_size_of_a_time_says_its_unit(factor: int) -> None:
    for second in (1_000_000_000, 1_700_000_000, 9_000_000_000):
        (found,) = readings(f'{{"v": 1, "timestamp": {second * factor}}}')
        assert found == Reading([("v", 1)], second * S)
    (small,) = readings('{"v": 1, "timestamp": 5}')
    assert small == Reading([("v", 1)], 5 * S)  # of the database
    (said,) = readings(f'{{"v": 1, "timestamp": {1_700_000_000 * factor}}}', unit_ns=1)
    assert said == Reading([("v", 1)], 1_700_000_000 * factor)


def test_tags_tell_devices_of_one_topic_apart() -> None:
    payload = '{"model": "N-1", "id": 55, "sub": {"ok": true}, "none": null, "t": 21.5, "x": ""}'
    tags = ("model", "id", "sub.ok", "none", "x", "absent")
    (found,) = readings(payload, tags=tags)
    assert found == Reading(
        [("t", 21.5)], tags=(("model", "N-1"), ("id", "55"), ("sub.ok", "true"))
    )


def test_texts_may_be_numbers() -> None:
    (found,) = readings('{"t": "21.5", "n": "7", "s": "x"}', texts="number")
    assert found == Reading([("t", 21.5), ("n", 7)], left_out=1)


def test_a_word_may_stand_alone() -> None:
    assert readings("Online\n", words={"Online": 1}) == [Reading([("", 1)])]


def test_a_time_may_lie_within() -> None:
    (found,) = readings('{"params": {"ts": 5, "v": 1}}', time="params.ts")
    assert found == Reading([("params.v", 1)], 5 * S)


BAD: dict[str | bytes, str] = {
    "{": "expected JSON, got '{'",
    "": "expected JSON",
    "ON": "expected JSON, got 'ON'",
    b"\xff\xfe\x00\x01": "not UTF-8",
    "NaN": "NaN is no number in JSON",
    '{"a": Infinity}': "Infinity is no number in JSON",
    '"ON"': 'there is no number in "ON"; words',
    '{"state": "ON"}': 'there is no number in {"state": "ON"}; words',
    "{}": "there is no number in {}",
    "[]": r"there is no number in \[\]",
    '{"timestamp": "soon", "v": 1}': "is ISO 8601 or a number",
    '{"timestamp": "2023-11-14T22:13:20", "v": 1}': "has no zone; time_zone",
    '{"timestamp": "2023-13-14T22:13:20Z", "v": 1}': "month must be in 1..12",
    '{"timestamp": true, "v": 1}': "is a number or a text, got true",
    '{"timestamp": 1e300, "v": 1}': "does not fit",
    "[" * 100_000: "expected JSON",
    '{"a":' * 3_000 + "1" + "}" * 3_000: "expected JSON|nested too deep|there is no",
}


@pytest.mark.parametrize("payload", BAD, ids=[str(one)[:30] for one in BAD])
def test_what_is_wrong_is_told(payload: str | bytes) -> None:
    (found,) = readings(payload)
    if isinstance(found, Reading):  # this Python goes as deep as that
        assert len(payload) > 3_000
        return
    with pytest.raises(LineError, match=BAD[payload]):
        raise found


def test_words_are_numbers_and_texts_may_be_kept() -> None:
    payload = '{"state": "ON", "mode": "auto", "v": 1}'
    (found,) = readings(payload, words={"ON": 1})
    assert found == Reading([("state", 1), ("v", 1)], left_out=1)
    (found,) = readings(payload, texts="store", words={"ON": 1})
    assert found == Reading([("state", 1), ("mode", "auto"), ("v", 1)])


NUMBERS: dict[bytes, float] = {
    b"20": 20,
    b" -20.5\r\n": -20.5,
    b"+.5": 0.5,
    b"5.": 5.0,
    b"1e3": 1000.0,
    b"9223372036854775807": 2**63 - 1,
}


@pytest.mark.parametrize("payload", NUMBERS)
def test_a_number_alone(payload: bytes) -> None:
    found = plain_number(payload)
    assert found == NUMBERS[payload]
    assert type(found) is type(NUMBERS[payload])


NO_NUMBERS = [b"", b"ON", b"true", b"nan", b"inf", b"1_000", b"20,5", b"21.5 C", b"0x10", b"1 2"]
NO_NUMBERS += ["²".encode(), "١".encode(), b"\xff", b"9" * 5000, b".", b"e5"]


@pytest.mark.parametrize("payload", NO_NUMBERS)
def test_what_is_no_number(payload: bytes) -> None:
    with pytest.raises(LineError, match="expected a number, got "):
        plain_number(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    for found in DeviceJson().readings(payload, S):
        assert isinstance(found, (Reading, LineError))

"""Messages of one filter → points: a number each, or what JSON says.

Every message, and every reading of a list, is a line of its own: it is taken or refused as a
whole. Line protocol has its own parser. Knows nothing of brokers and databases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.device_json import DeviceJson, Reading, Tags, plain_number
from siridb_fast.formats.json_values import bits_of, checked_text
from siridb_fast.formats.points import BadLine, LineError, ParsedPoints, PointKey
from siridb_fast.gateway.mqtt_config import TopicConfig
from siridb_fast.gateway.mqtt_topics import VALUE
from siridb_fast.gateway.times import UNITS

__all__ = ["Message", "MqttPayloads"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came.

    Attributes:
        topic: Its topic.
        payload: Its bytes.
        arrived_ns: Unix time.
        is_retained: The broker has kept it from before.
        qos: 0 or 1; 1 has to be acknowledged.
        number: With which.
        connection: Which has brought it; by another one it cannot be acknowledged.
    """

    topic: str
    payload: bytes
    arrived_ns: int
    is_retained: bool = False
    qos: int = 0
    number: int = 0
    connection: int = 0

    @property
    def shown(self) -> bytes:
        """Topic and payload in one line, for people."""
        return b"%s %s" % (self.topic.encode(), self.payload)


@dataclass(frozen=True, slots=True)
class MessagePoints:
    """What messages gave: points, the message of each line, from 1, and what was left out."""

    points: ParsedPoints
    messages: list[Message]
    left_out: int


class MqttPayloads:
    """Reads messages of one filter.

    Args:
        topic: Says how.
    """

    def __init__(self, topic: TopicConfig) -> None:
        self.series: list[PointKey] = []
        self._topic = topic
        self._keys: dict[str, PointKey] = {}
        self._numbers: dict[tuple[str, str, Tags], int] = {}
        self._json = DeviceJson(
            time=topic.time,
            unit_ns=None if topic.unit is None else UNITS[topic.unit],
            zone=topic.zone,
            tags=topic.tags,
            words=topic.words,
            texts=topic.texts,
        )

    def parse(self, messages: Sequence[Message], precision_ns: int) -> MessagePoints:
        """Return the points of messages; their times are nanoseconds.

        Args:
            messages: All of them are of the filter.
            precision_ns: Of the database; the time of arrival is rounded down to it.
        """
        rows = _Rows(precision_ns, self._topic.retained)
        for message in messages:
            if not message.payload:  # clears what the broker has kept, and says nothing
                rows.left_out += 1
                continue
            for reading in self._readings(message, precision_ns):
                rows.messages.append(message)
                line = len(rows.messages)
                count = len(rows.texts)
                try:
                    self._add(rows, message, reading, line)
                except LineError as exc:
                    rows.cut(line, count)
                    rows.bad.append(BadLine(line, str(exc)))
        return MessagePoints(rows.parsed(), rows.messages, rows.left_out)

    # ---- inside

    def _readings(self, message: Message, precision_ns: int) -> list[Reading | LineError]:
        payload = message.payload
        if self._topic.payload == "json":
            return self._json.readings(payload, precision_ns)
        words = self._topic.words
        if words and (text := payload.strip().decode("utf-8", "replace")) in words:
            return [Reading([("", words[text])])]
        try:
            return [Reading([("", plain_number(payload))])]
        except LineError as exc:
            return [exc]

    def _add(self, rows: _Rows, message: Message, reading: Reading | LineError, line: int) -> None:
        if isinstance(reading, LineError):
            raise reading
        rows.left_out += reading.left_out
        if not rows.takes(message, reading):
            rows.left_out += len(reading.values)
            return
        time = rows.time(message, reading)
        for name, value in reading.values:
            kind, bits = bits_of(value, rows.texts)
            rows.series.append(self._number(message.topic, name, reading.tags))
            rows.times.append(time)
            rows.values.append(bits)
            rows.lines.append(line)
            rows.kinds.append(kind)

    def _number(self, topic: str, name: str, tags: Tags) -> int:
        number = self._numbers.get((topic, name, tags))
        if number is None:
            key = self._key(topic)
            field = ".".join(filter(None, (key.field, name))) or VALUE
            for text in (field, *(text for _, text in tags)):
                checked_text(text)
            all_tags = tuple(sorted({**dict(key.tags), **dict(tags)}.items()))
            number = self._numbers[topic, name, tags] = len(self.series)
            self.series.append(PointKey(key.measurement, all_tags, field))
        return number

    def _key(self, topic: str) -> PointKey:
        key = self._keys.get(topic)
        if key is None:
            checked_text(topic)
            found = self._topic.filter.key(topic)
            if found is None:
                raise LineError("the topic is not of the filter")
            key = self._keys[topic] = found
        return key


class _Rows:
    # The points of some messages, a list for each column.

    def __init__(self, precision_ns: int, retained: str) -> None:
        self._precision_ns = precision_ns
        self._retained = retained
        self.series: list[int] = []
        self.times: list[int] = []
        self.values: list[int] = []
        self.lines: list[int] = []
        self.kinds: list[int] = []
        self.texts: list[bytes] = []
        self.bad: list[BadLine] = []
        self.messages: list[Message] = []
        self.left_out = 0

    def takes(self, message: Message, reading: Reading) -> bool:
        # A kept message may be of any age: only its own time says it.
        if not message.is_retained or self._retained == "all":
            return True
        return self._retained == "with_time" and reading.time_ns != NO_TIME

    def time(self, message: Message, reading: Reading) -> int:
        if reading.time_ns != NO_TIME:
            return reading.time_ns
        return message.arrived_ns - message.arrived_ns % self._precision_ns

    def cut(self, line: int, texts: int) -> None:
        # Forget what a line has given that is wrong.
        while self.lines and self.lines[-1] == line:
            for column in (self.series, self.times, self.values, self.lines, self.kinds):
                column.pop()
        del self.texts[texts:]

    def parsed(self) -> ParsedPoints:
        def array(column: list[int], dtype: Any) -> Any:
            return np.array(column, dtype)

        return ParsedPoints(
            array(self.series, np.int32),
            array(self.times, np.int64),
            array(self.values, np.int64),
            array(self.lines, np.int64),
            array(self.kinds, np.uint8),
            self.texts,
            self.bad,
            0,
        )

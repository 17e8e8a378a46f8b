"""Messages that came together → rows for the intake, by filters. Knows nothing of brokers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.points import BadLine, LineError
from siridb_fast.gateway.desk import Desk
from siridb_fast.gateway.mqtt_config import TopicConfig
from siridb_fast.gateway.mqtt_payloads import Message, MqttPayloads
from siridb_fast.gateway.naming import SeriesTemplate
from siridb_fast.gateway.rows import Rows, joined
from siridb_fast.gateway.rules import Rule
from siridb_fast.gateway.series_table import SeriesTable, SeriesTables
from siridb_fast.gateway.times import UNITS

__all__ = ["MessageReader", "ReadLines"]

CACHED = 100_000  # topics
NO_FILTER = (
    "no filter of the gateway is for its topic; an earlier one is still subscribed with the "
    'broker, under the same client_id: unsubscribe = ["…"] names it'
)


@dataclass(frozen=True, slots=True)
class ReadLines:
    """Rows, and the text of each of their lines, from 1."""

    rows: Rows
    texts: list[bytes]


class MessageReader:
    """Reads messages of all filters of a door.

    Args:
        desk: Of the door.
        topics: Its filters; the first that a topic is of decides.
    """

    def __init__(self, desk: Desk, topics: Sequence[TopicConfig]) -> None:
        self._desk = desk
        self._topics = topics
        self._by_topic: dict[str, int] = {}
        rules = desk.kiosk.config.rules
        self._tables = [SeriesTables(partial(_new_table, one, rules)) for one in topics]

    def read(self, messages: Sequence[Message]) -> Iterator[ReadLines]:
        """Yield the lines of messages, filter by filter; refuse those of none."""
        groups: dict[int, list[Message]] = {}
        strangers: list[Message] = []
        for message in messages:
            number = self._filter_of(message.topic)
            (strangers if number < 0 else groups.setdefault(number, [])).append(message)
        figures = self._desk.figures
        if strangers:
            figures.lines += len(strangers)
            self._desk.refuse_lines([(BadLine(1, NO_FILTER), one.shown) for one in strangers])
        for number, group in groups.items():
            topic = self._topics[number]
            if topic.payload == "skip":
                figures.left_out += len(group)
                continue
            read = self._read_lines if topic.payload == "line" else self._read_payloads
            found = read(number, self._short_enough(group))
            figures.lines += len(found.texts)
            yield found

    # ---- inside

    def _filter_of(self, topic: str) -> int:
        number = self._by_topic.get(topic)
        if number is None:
            if len(self._by_topic) >= CACHED:
                self._by_topic.clear()
            number = self._by_topic[topic] = self._found(topic)
        return number

    def _found(self, topic: str) -> int:
        for number, one in enumerate(self._topics):
            try:
                if one.filter.key(topic) is not None:
                    return number
            except LineError:  # it is of this filter, and has nothing at a name
                return number
        return -1

    def _short_enough(self, messages: list[Message]) -> list[Message]:
        most = self._desk.kiosk.limits.max_line
        if all(len(one.payload) <= most for one in messages):
            return messages
        reason = f"a payload is longer than {most:,} bytes (max_line)"
        long = [one for one in messages if len(one.payload) > most]
        self._desk.refuse_lines([(BadLine(1, reason), one.shown) for one in long])
        return [one for one in messages if len(one.payload) <= most]

    def _read_payloads(self, number: int, messages: list[Message]) -> ReadLines:
        precision_ns = self._desk.kiosk.precision_ns()
        table = self._tables[number].current
        parser = table.parser
        assert isinstance(parser, MqttPayloads)  # noqa: S101 - `_new_table` makes it
        found = parser.parse(messages, precision_ns)
        table.learn()
        rows = self._desk.intake.rows(found.points, table, 1)
        rows = replace(rows, left_out=rows.left_out + found.left_out)
        return ReadLines(rows, [one.shown for one in found.messages])

    def _read_lines(self, number: int, messages: list[Message]) -> ReadLines:
        topic = self._topics[number]
        table = self._desk.kiosk.tables("influx", topic.series, "influx").current
        unit_ns = UNITS[topic.unit or "n"]
        parts: list[Rows] = []
        texts: list[bytes] = []
        for message in messages:
            points = table.parse(message.payload, line=len(texts) + 1, is_last=True)
            left_out = 0
            if message.is_retained and topic.retained != "all":
                has_time = points.times != NO_TIME
                kept = has_time & (topic.retained == "with_time")
                left_out = int(np.count_nonzero(~kept))
                points = points.where(kept)
            rows = self._desk.intake.rows(points, table, unit_ns, message.arrived_ns)
            parts.append(replace(rows, left_out=rows.left_out + left_out))
            of = message.topic.encode()
            texts += [b"%s %s" % (of, line) for line in message.payload.split(b"\n")]
        if not parts:
            parts = [self._desk.intake.rows(table.parse(b"", line=1, is_last=True), table, 1)]
        return ReadLines(joined(parts), texts)


def _new_table(topic: TopicConfig, rules: Sequence[Rule]) -> SeriesTable:
    template = SeriesTemplate(topic.series, "mqtt")
    return SeriesTable(MqttPayloads(topic), template, rules, numbers_are_floats=True)

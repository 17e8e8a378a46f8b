"""What devices send in JSON → numbers with names: ``{"ENERGY": {"Power": 5}}`` → ENERGY.Power.

Names of what lies within are joined by dots; a list has the numbers of its items, from 0, but that
a list as the whole is so many readings. Knows nothing of topics, series and arrays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.json_values import INT64, SHOWN, refuse_constant, shown
from siridb_fast.formats.points import LineError

__all__ = ["DeviceJson", "Reading", "Tags", "Texts", "plain_number"]

SECOND = 1_000_000_000  # ns
NUMBER = re.compile(rb"\s*([+-]?(?:\d+(\.\d*)?|(\.\d+))([eE][+-]?\d+)?)\s*")
UNIX = re.compile(r"\d{1,20}(\.\d{1,20})?")
ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
LONGEST_NUMBER = 400  # characters; of more Python makes no integer

Number = int | float
Tags = tuple[tuple[str, str], ...]
Texts = Literal["skip", "store", "number"]


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of one time.

    Attributes:
        values: With their names; the name of what stands alone is empty.
        time_ns: Unix time; ``NO_TIME`` if the payload says none.
        left_out: Texts and nulls.
        tags: What tells this device from others of the topic.
    """

    values: list[tuple[str, Any]]
    time_ns: int = NO_TIME
    left_out: int = 0
    tags: Tags = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceJson:
    """How payloads of JSON are read.

    Attributes:
        time: The name of what says the time, in the whole or in each item of a list.
        unit_ns: Nanoseconds of a time that is a number; None: its size says it.
        zone: Of times without one; None refuses these.
        tags: Names of what is no value, and tells the device from others.
        words: Texts that stand for numbers.
        texts: What other texts are: left out, values, or numbers where they can be.
    """

    time: str = "timestamp"
    unit_ns: int | None = None
    zone: ZoneInfo | None = None
    tags: Sequence[str] = ()
    words: Mapping[str, Number] = field(default_factory=dict)
    texts: Texts = "skip"

    def readings(self, payload: bytes, database_ns: int) -> list[Reading | LineError]:
        """Return what a payload says, or what is wrong with each reading.

        Args:
            payload: JSON.
            database_ns: Nanoseconds of a time whose size does not say its unit.
        """
        if self.words and (word := payload.strip().decode("utf-8", "replace")) in self.words:
            return [Reading([("", self.words[word])])]
        try:
            text = payload.decode("utf-8-sig")
            found = json.loads(text, parse_constant=refuse_constant)
        except LineError as exc:
            return [exc]
        except UnicodeDecodeError:
            return [LineError(f"expected JSON, got bytes that are not UTF-8: {payload[:20]!r}")]
        except (ValueError, RecursionError):
            text = payload[:SHOWN].decode("utf-8", "replace")
            return [LineError(f"expected JSON, got {text!r}")]
        wholes = found if type(found) is list and found else [found]
        return [self._reading(one, database_ns) for one in wholes]

    def _reading(self, found: Any, database_ns: int) -> Reading | LineError:
        time_ns, values, left_out = NO_TIME, [], 0
        tags: dict[str, str] = {}
        try:
            for name, value in _flat("", found):
                if name == self.time and name:
                    time_ns = self._time(value, database_ns)
                elif name in self.tags and name:
                    tags[name] = _tag(value)
                elif (kept := self._value(value)) is None:
                    left_out += 1
                else:
                    values.append((name, kept))
        except LineError as exc:
            return exc
        except RecursionError:
            return LineError("the JSON is nested too deep")
        if not values:
            return LineError(self._nothing(found))
        named = tuple((name, text) for name, text in tags.items() if text)
        return Reading(values, time_ns, left_out, named)

    def _value(self, value: Any) -> Any:
        # None: it is left out.
        if type(value) is not str:
            return value  # of null, too
        if value in self.words:
            return self.words[value]
        if self.texts == "number":
            with suppress(LineError):
                return plain_number(value.encode("utf-8", "replace"))
        return value if self.texts == "store" else None

    def _nothing(self, found: Any) -> str:
        text = f"there is no number in {shown(found)}"
        if self.texts == "store":
            return text
        return f'{text}; words = {{ … }} gives texts numbers, texts = "store" stores them'

    def _time(self, value: Any, database_ns: int) -> int:
        if value is None:
            return NO_TIME
        if type(value) is str and not UNIX.fullmatch(value):
            found = self._time_of_text(value)
        elif type(value) in (int, str) or (type(value) is float and value - value == 0):
            number = Decimal(value if type(value) is str else repr(value))
            found = int(number * self._unit(number, database_ns))
        else:
            raise LineError(f"the time {self.time!r} is a number or a text, got {shown(value)}")
        if found not in INT64 or found == NO_TIME:
            raise LineError(f"the time {shown(value)} does not fit 64 bits of nanoseconds")
        return found

    def _unit(self, number: Decimal, database_ns: int) -> int:
        # From 2001 to 2286 seconds, milli-, micro- and nanoseconds cannot be taken for each other.
        if self.unit_ns is not None:
            return self.unit_ns
        for unit_ns in (SECOND, 1_000_000, 1_000, 1):
            if SECOND <= number * unit_ns / SECOND < 10 * SECOND:
                return unit_ns
        return database_ns

    def _time_of_text(self, text: str) -> int:
        parts = ISO.fullmatch(text.strip())
        if parts is None:
            raise LineError(f"the time {self.time!r} is ISO 8601 or a number, got {shown(text)}")
        day, clock, fraction, zone = parts.groups()
        try:
            at = datetime.fromisoformat(f"{day}T{clock}{zone or ''}")
        except ValueError as exc:
            raise LineError(f"the time {shown(text)}: {exc}") from None
        if at.tzinfo is None:
            if self.zone is None:
                raise LineError(
                    f"the time {shown(text)} has no zone; time_zone says the zone of its clock"
                )
            at = at.replace(tzinfo=self.zone)
        return int(at.timestamp()) * SECOND + int((fraction or "0").ljust(9, "0"))


def plain_number(payload: bytes) -> Number:
    """Return the number that a payload is, as an integer if it has neither point nor exponent.

    Raises:
        LineError: It is something else.
    """
    found = NUMBER.fullmatch(payload) if len(payload) <= LONGEST_NUMBER else None
    if found is None:
        text = payload[:SHOWN].decode("utf-8", "backslashreplace")
        raise LineError(f"expected a number, got {text!r}")
    number, *fractions = found.groups()
    return float(number) if any(fractions) else int(number)


def _tag(value: Any) -> str:
    if value is None:
        return ""
    return value if type(value) is str else json.dumps(value)


def _flat(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    # Whatever has no parts, by its name.
    if type(found) is dict:
        items: Any = found.items()
    elif type(found) is list:
        items = enumerate(found)
    else:
        yield name, found
        return
    for key, value in items:
        yield from _flat(f"{name}.{key}" if name else str(key), value)

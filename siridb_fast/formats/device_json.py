"""What devices send in JSON → numbers with names: ``{"ENERGY": {"Power": 5}}`` → ENERGY.Power.

Names of what lies within are joined by dots; a list has the numbers of its items, from 0, but that
a list as the whole is so many readings. Knows nothing of topics, series and arrays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from siridb_fast.formats._point_rows import NO_TIME
from siridb_fast.formats.json_values import INT64, SHOWN, refuse_constant, shown
from siridb_fast.formats.points import LineError

__all__ = ["DeviceJson", "Reading", "plain_number"]

SECOND = 1_000_000_000  # ns
NUMBER = re.compile(rb"\s*([+-]?(?:\d+(\.\d*)?|(\.\d+))([eE][+-]?\d+)?)\s*")
UNIX = re.compile(r"\d+(\.\d+)?")
ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)
LONGEST_NUMBER = 400  # characters; of more Python makes no integer

Number = int | float


@dataclass(frozen=True, slots=True)
class Reading:
    """Values of one time.

    Attributes:
        values: With their names; the name of what stands alone is empty.
        time_ns: Unix time; ``NO_TIME`` if the payload says none.
        left_out: Texts and nulls.
    """

    values: list[tuple[str, Any]]
    time_ns: int = NO_TIME
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceJson:
    """How payloads of JSON are read.

    Attributes:
        time: The name of what says the time, in the whole or in each item of a list.
        zone: Of times without one; None refuses these.
        words: Texts that stand for numbers.
        keeps_texts: Other texts are values, not left out.
    """

    time: str = "timestamp"
    zone: ZoneInfo | None = None
    words: Mapping[str, Number] = field(default_factory=dict)
    keeps_texts: bool = False

    def readings(self, payload: bytes, unit_ns: int) -> list[Reading | LineError]:
        """Return what a payload says, or what is wrong with each reading.

        Args:
            payload: JSON.
            unit_ns: Nanoseconds of a time that is a number.
        """
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
        return [self._reading(one, unit_ns) for one in wholes]

    def _reading(self, found: Any, unit_ns: int) -> Reading | LineError:
        time_ns, values, left_out = NO_TIME, [], 0
        try:
            for name, value in _flat("", found):
                if name == self.time and name:
                    time_ns = self._time(value, unit_ns)
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
        return Reading(values, time_ns, left_out)

    def _value(self, value: Any) -> Any:
        # None: it is left out.
        if type(value) is not str:
            return value  # of null, too
        return self.words.get(value, value if self.keeps_texts else None)

    def _nothing(self, found: Any) -> str:
        text = f"there is no number in {shown(found)}"
        if self.keeps_texts:
            return text
        return f'{text}; words = {{ … }} gives texts numbers, texts = "store" stores them'

    def _time(self, value: Any, unit_ns: int) -> int:
        if value is None:
            return NO_TIME
        if type(value) is str and UNIX.fullmatch(value):
            found = int(Decimal(value) * unit_ns)
        elif type(value) is str:
            found = self._time_of_text(value)
        elif type(value) is int:
            found = value * unit_ns
        elif type(value) is float and value - value == 0:
            found = int(Decimal(repr(value)) * unit_ns)
        else:
            raise LineError(f"the time {self.time!r} is a number or a text, got {shown(value)}")
        if found not in INT64 or found == NO_TIME:
            raise LineError(f"the time {shown(value)} does not fit 64 bits of nanoseconds")
        return found

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

"""The names of series, by a template: ``{measurement},{tags}:{field}``.

A part in braces is ``measurement`` (of Graphite ``path``, of JSON ``series``, of Prometheus
``__name__``), ``tags``, sorted (of Prometheus ``labels``), ``field``, or the name of a tag. Where
there are no tags, the sign before ``{tags}`` goes too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from siridb_fast.errors import ConfigError
from siridb_fast.formats.points import LineError, PointKey

__all__ = ["SeriesTemplate"]

PART = re.compile(r"([,;:./|_ -]?)\{([^{}]*)\}|([^{}]+)")
SUBJECTS = {
    "influx": "measurement",
    "graphite": "path",
    "ndjson": "series",
    "prometheus": "__name__",
    "mqtt": "measurement",
}
TAGS = {"prometheus": "labels"}
LONGEST_NAME = 65_534  # bytes (server-facts 2)


@dataclass(frozen=True, slots=True)
class _Part:
    # A name in braces with the sign before it; or, without a name, a text.
    sign: str
    name: str | None = None


class SeriesTemplate:
    """One template.

    Args:
        text: Of it.
        protocol: Whose points it names.

    Raises:
        ConfigError: It makes no sense.
    """

    def __init__(self, text: str, protocol: str) -> None:
        self.text = text
        self._subject, self._tags = SUBJECTS[protocol], TAGS.get(protocol, "tags")
        self._between = ";" if protocol == "graphite" else ","
        self._parts = _parsed(text)
        names = {part.name for part in self._parts}
        if not names - {None}:
            raise ConfigError(f"a template has a part such as {{{self._subject}}}, got {text!r}")
        # Other keys may have no name in common, for else two series would become one by mistake.
        self.tells_apart = {self._subject, self._tags} <= names and (
            protocol not in ("influx", "mqtt") or "field" in names
        )

    def name(self, key: PointKey) -> str:
        """Return the name of a series.

        Raises:
            LineError: A tag is not there, or the name is too long or empty.
        """
        name = "".join(self._shown(part, key) for part in self._parts)
        if not 0 < len(name.encode()) <= LONGEST_NAME:
            raise LineError(f"the name of its series has {len(name.encode()):,} bytes")
        return name

    def _shown(self, part: _Part, key: PointKey) -> str:
        if part.name is None:
            return part.sign
        if part.name == self._subject:
            return part.sign + key.measurement
        if part.name == "field":
            return part.sign + key.field
        if part.name == self._tags:
            tags = self._between.join(f"{name}={value}" for name, value in key.tags)
            return part.sign + tags if tags else ""
        for name, value in key.tags:
            if name == part.name:
                return part.sign + value
        raise LineError(f"it has no tag {part.name!r}, which the template of series names")


def _parsed(text: str) -> tuple[_Part, ...]:
    parts, end = [], 0
    while end < len(text):
        found = PART.match(text, end)
        if found is None or found[2] == "":
            raise ConfigError(f"a template has names in braces, as {{tags}}, got {text!r}")
        end = found.end()
        if found[3] is None:
            parts.append(_Part(found[1], found[2]))
            continue
        plain = found[3]
        if end < len(text) and plain[-1] in ",;:./|_ -":  # it belongs to the part behind it
            end, plain = end - 1, plain[:-1]
        if plain:
            parts.append(_Part(plain))
    return tuple(parts)

"""Filters of topics whose levels have names: ``plant/{measurement}/{id}/{field}``.

A name in braces is one level, ``{name...}`` at the end all that follow, ``{_}`` is passed over. Of
a filter without names the whole topic is the measurement. Pure; knows nothing of brokers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from siridb_fast.errors import ConfigError
from siridb_fast.formats.points import LineError, PointKey

__all__ = ["TopicFilter"]

NAMED = re.compile(r"\{([^{}.]+)(\.\.\.)?\}")
LONGEST = 65_535  # bytes
SHARED = "$share"
PASSED_OVER = "_"
VALUE = "value"  # the field of what has no name


@dataclass(frozen=True, slots=True)
class TopicFilter:
    """One filter.

    Attributes:
        text: As it was given.
        subscription: What a broker is asked for.
        levels: What each level is: a text, or None for any.
        names: Of the levels; empty where one has none.
        has_rest: The last level is all that follow.
        names_topic: The whole topic is a tag ``topic`` too.
    """

    text: str
    subscription: str
    levels: tuple[str | None, ...]
    names: tuple[str, ...]
    has_rest: bool
    names_topic: bool = False

    @classmethod
    def of(cls, text: str, *, names_topic: bool = False) -> TopicFilter:
        """Read a filter.

        Raises:
            ConfigError: No broker takes it, or two topics would become one series by mistake.
        """
        if not 0 < len(text.encode()) <= LONGEST or "\0" in text:
            raise ConfigError(
                f"a filter has 1 to {LONGEST:,} bytes, and no NUL, got {text[:40]!r}"
            )
        parts = text.split("/")
        shared = parts[:2] if parts[0] == SHARED else []
        if shared and (len(parts) < 3 or not parts[1] or set(parts[1]) & set("+#{}")):
            raise ConfigError(f"a shared filter is {SHARED}/group/filter, got {text!r}")
        found = [_level(one, text) for one in parts[len(shared) :]]
        names = tuple(name for _, name, _ in found)
        rests = [rest for _, _, rest in found]
        if any(rests[:-1]):
            raise ConfigError(f"what stands for all further levels comes last, got {text!r}")
        _check_names(names, [level for level, _, _ in found], text)
        wild = ["+" if level is None else level for level, _, _ in found]
        if rests[-1]:
            wild[-1] = "#"
        levels = tuple(level for level, _, _ in found)
        return cls(text, "/".join([*shared, *wild]), levels, names, rests[-1], names_topic)

    def key(self, topic: str) -> PointKey | None:
        """Return measurement, tags and field of a topic; None if it is not of this filter.

        Raises:
            LineError: It is, and a level with a name is empty.
        """
        found = self._found(topic)
        if found is None:
            return None
        measurement = found.pop("measurement", topic)
        field = found.pop("field", "")
        if self.names_topic:
            found["topic"] = topic
        return PointKey(measurement, tuple(sorted(found.items())), field)

    def _found(self, topic: str) -> dict[str, str] | None:
        # The texts of the levels that have names.
        parts = topic.split("/")
        count = len(self.levels)
        if self.has_rest:
            parts = [*parts[: count - 1], "/".join(parts[count - 1 :])]
        if len(parts) != count:
            return None
        if topic.startswith("$") and self.levels[0] is None:
            return None
        found: dict[str, str] = {}
        for level, name, part in zip(self.levels, self.names, parts, strict=True):
            if level is not None and level != part:
                return None
            if name and name != PASSED_OVER:
                found[name] = part
        for name, part in found.items():
            if not part:
                raise LineError(f"the topic has nothing at {{{name}}} of {self.text!r}")
        return found

    @property
    def fields(self) -> Sequence[str]:
        """Which names it gives."""
        return [name for name in self.names if name and name != PASSED_OVER]


def _level(part: str, text: str) -> tuple[str | None, str, bool]:
    # (what it is, its name, whether it is all that follow)
    if part in ("+", "#"):
        return None, "", part == "#"
    named = NAMED.fullmatch(part)
    if named is not None:
        return None, named[1], named[2] is not None
    if set(part) & set("+#{}"):
        raise ConfigError(f"a name in braces, + and # are a whole level each, got {text!r}")
    return part, "", False


def _check_names(names: Sequence[str], levels: Sequence[str | None], text: str) -> None:
    given = [name for name in names if name and name != PASSED_OVER]
    if len(given) != len(set(given)):
        raise ConfigError(f"a name is there twice in {text!r}")
    if "topic" in given:
        raise ConfigError(f"{{topic}} is the whole topic, and no level of {text!r}")
    is_bare = any(level is None and not name for level, name in zip(levels, names, strict=True))
    if is_bare and any(names):
        raise ConfigError(
            f"two topics would become one series: give + and # of {text!r} names too, or {{_}} to "
            "pass a level over"
        )

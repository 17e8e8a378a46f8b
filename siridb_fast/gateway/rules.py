"""Rules about series, by their names: rename, drop, allow, and fix a type.

The first rule whose pattern matches a name decides what becomes of it; ``type`` may stand beside.
Pure; knows nothing of points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from siridb_fast.errors import ConfigError

__all__ = ["TYPES", "Rule", "RuledName", "ruled"]

SeriesType = Literal["float", "integer", "string"]
TYPES: tuple[SeriesType, ...] = ("float", "integer", "string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What becomes of the series that a pattern matches.

    Attributes:
        match: A name in which each ``*`` stands for any text.
        rename: The new name, in which each ``*`` stands for what the same one stood for.
        drop: Their points are left out, and counted as such.
        allow: They stay as they are; whatever no later rule takes is then dropped.
        type: Of those that are new.
    """

    match: str
    rename: str | None = None
    drop: bool = False
    allow: bool = False
    type: SeriesType | None = None

    def __post_init__(self) -> None:
        if not self.match:
            raise ConfigError('match is a pattern such as "old*", got nothing')
        acts = [self.rename is not None, self.drop, self.allow, self.type is not None]
        if not any(acts):
            raise ConfigError("a rule has one of rename, drop, allow and type")
        if sum(acts[:3]) > 1 or (self.drop and self.type is not None):
            raise ConfigError("a rule has one of rename, drop, allow; type stands with these")
        if self.rename is not None and self.rename.count("*") > self.match.count("*"):
            raise ConfigError(f"rename {self.rename!r} has more * than match {self.match!r}")

    def renamed(self, name: str) -> str | None:
        """Return the name that a series gets; None if the rule is not about it."""
        pattern = "(.*)".join(map(re.escape, self.match.split("*")))
        found = re.fullmatch(pattern, name, re.DOTALL)
        if found is None:
            return None
        if self.rename is None:
            return name
        first, *others = self.rename.split("*")
        return first + "".join(
            part + other for part, other in zip(found.groups(), others, strict=False)
        )


@dataclass(frozen=True, slots=True)
class RuledName:
    """What the rules make of a name; None: its points are left out."""

    name: str | None
    type: SeriesType | None = None


def ruled(name: str, rules: Sequence[Rule]) -> RuledName:
    """Return what the rules make of the name of a series."""
    type_: SeriesType | None = None
    for rule in rules:
        renamed = rule.renamed(name)
        if renamed is None:
            continue
        type_ = type_ or rule.type
        if rule.drop:
            return RuledName(None)
        if rule.rename is not None or rule.allow:
            return RuledName(renamed, type_)
    return RuledName(None if any(rule.allow for rule in rules) else name, type_)

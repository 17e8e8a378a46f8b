"""What is pending of one series, in plain lists: what the coalescer is tested beside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from siridb_fast.batching._series import Series

TICKING = ("t0", "t1", "t2")
NAMES = {
    "f0": "float",
    "f1": "float",
    "i0": "integer",
    "i1": "integer",
    "x0": "string",
} | dict.fromkeys(TICKING, "float")
MAKE: dict[str, Callable[[int], Any]] = {
    "float": lambda i: i + 0.5,
    "integer": lambda i: i,
    "string": lambda i: f"text {i}",
}
Point = tuple[int, Any]


@dataclass
class Model:
    """What is pending of one series, and who waits for it."""

    name: str
    type: str
    series: Series
    is_resolved: bool = False
    since: float = inf
    begun: int = 0
    points: list[Point] = field(default_factory=list)
    waiting: list[str | None] = field(default_factory=list)


def class_of(model: Model, points: int) -> int:
    """Return the class of runs of this length; a text counts like 8 points."""
    return (points * (8 if model.type == "string" else 1)).bit_length() - 6

"""What doors count: plain numbers, read by the metrics and by the page for people."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

__all__ = ["DoorFigures", "Refusal"]

RATE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last line that a door refused, or body, and why."""

    at: float  # Unix time
    reason: str
    line: str  # its beginning; empty if it was no line


@dataclass(slots=True)
class DoorFigures:
    """Those of one door."""

    name: str
    place: str
    connections: int = 0
    requests: int = 0
    lines: int = 0
    points: int = 0
    left_out: int = 0  # points, by rules
    bad_lines: int = 0
    bytes: int = 0
    overloads: int = 0  # bodies that were not taken, because there was no room
    dropped: int = 0  # datagrams, and messages of QoS 0
    reconnects: int = 0  # to a broker
    takes_points: bool = True  # or it is the page for people alone
    trouble: str = ""  # why nothing comes in; empty if it may
    last_refusal: Refusal | None = None
    _marks: deque[tuple[float, int]] = field(default_factory=deque, repr=False)

    def mark(self, now: float) -> None:
        """Note how many points there are, once a second or so, for the rate."""
        self._marks.append((now, self.points))
        while now - self._marks[0][0] > RATE_SECONDS and len(self._marks) > 1:
            self._marks.popleft()

    def rate(self, now: float) -> float:
        """Return the points a second of the last minute."""
        if not self._marks or now <= self._marks[0][0]:
            return 0.0
        return (self.points - self._marks[0][1]) / (now - self._marks[0][0])

"""What the page for a person tells: facts, and what of them is wrong, in words.

Pure: figures in, sentences out. Knows nothing of HTML.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from siridb_fast.delivery.stats import Stats
from siridb_fast.gateway.figures import DoorFigures

__all__ = ["DatabaseFacts", "PageFacts", "ago", "points", "troubles"]

RECENT = 300.0  # seconds that a refusal is worth a word
LONG = 60.0  # seconds that points may wait, beside what they linger
FULL = 0.8  # of the memory


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """Those of one database: what clients call it, what and where it is, and its writer.

    ``name`` is empty for the database of points that name none.
    """

    name: str
    database: str
    stats: Stats


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What the page tells.

    Attributes:
        acknowledge: The option.
        is_stopping: Nothing is taken any more.
        databases: That of points that name none is the first.
        doors: Of all.
        lost_lines: Refused lines that the disk did not take.
        now: Unix time.
        clock: Seconds, on the clock of the rates.
    """

    acknowledge: str
    is_stopping: bool
    databases: Sequence[DatabaseFacts]
    doors: Sequence[DoorFigures]
    lost_lines: int
    now: float
    clock: float


def troubles(facts: PageFacts) -> list[str]:
    """Return what is wrong, in words, the worst first."""
    found = []
    if facts.is_stopping:
        found.append("The gateway is stopping: it takes nothing more.")
    kinds = (_of_servers, _of_waiting, _of_points)
    for kind in kinds:
        for one in facts.databases:
            about = f"{one.name}: " if one.name else ""
            found += [about + text for text in kind(one.stats)]
    if facts.lost_lines:
        found.append(f"{facts.lost_lines:,} refused lines could not be written to their file.")
    found += [text for door in facts.doors for text in _of_door(door, facts.now)]
    return found


def ago(seconds: float) -> str:
    """Return how long ago something was, for people."""
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"


def points(count: int) -> str:
    """Return so many points, in words."""
    return f"{count:,} point{'' if count == 1 else 's'}"


def _of_servers(stats: Stats) -> Iterator[str]:
    if not stats.connected:
        waits = stats.buffered + stats.in_flight + stats.spooled
        oldest = f", the oldest for {stats.oldest_age:,.0f} s" if waits else ""
        yield f"No server is connected. {points(waits)} wait{'s' * (waits == 1)}{oldest}."
        return
    for one in stats.hosts:
        if one.connected < one.connections:
            yield f"The server {one.host} has {one.connected} of {one.connections} connections."


def _of_waiting(stats: Stats) -> Iterator[str]:
    if stats.connected and stats.oldest_age > LONG:
        yield f"The oldest point has waited for {stats.oldest_age:,.0f} s."
    if stats.buffered_bytes > FULL * stats.max_buffered:
        share = 100 * stats.buffered_bytes / stats.max_buffered
        yield f"{share:.0f} % of the memory for points is taken; then senders have to wait."


def _of_points(stats: Stats) -> Iterator[str]:
    conflicts = 0 if stats.late is None else stats.late.refused
    if stats.rejected:
        of_them = ""
        if conflicts:
            of_them = f" {conflicts:,} of them: another value is stored at the same time."
        yield f"{points(stats.rejected)} refused by the database, or not delivered.{of_them}"
    if stats.in_doubt:
        yield f"{points(stats.in_doubt)} may or may not be stored."


def _of_door(door: DoorFigures, now: float) -> Iterator[str]:
    if door.trouble:
        yield f"{door.name}: {door.trouble}"
    refusal = door.last_refusal
    if refusal is not None and now - refusal.at < RECENT:
        yield f"{door.name} has refused something {ago(now - refusal.at)}: {refusal.reason}"

"""Short files together as one portion: each alone would wait for the server and for the disk.

Knows nothing of formats. Runs in the thread that reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from siridb_fast.delivery.report import Report
from siridb_fast.loading.frame_reader import FramePoints, FrameReader

__all__ = ["FileBatch", "PortionGroup", "grouped"]

ROWS = 20_000  # of all portions of a group
SHORT = 2_000  # rows of one that is put into a group
TOGETHER = 200


class FileBatch(Protocol):
    """A portion of a file, as far as groups know it."""

    maybe_stored: bool

    @property
    def is_whole(self) -> bool:
        """Tell whether it is all of its file."""

    @property
    def rows(self) -> int:
        """How many it has."""

    def read(self, reader: FrameReader) -> FramePoints:
        """Return its points."""

    def on_leaving(self) -> None:
        """Note that its first point is about to leave."""

    def on_delivered(self, report: Report) -> None:
        """Note what became of its points."""


Batch = TypeVar("Batch", bound=FileBatch)


@dataclass(slots=True)
class PortionGroup:
    """Whole files, one after the other.

    Attributes:
        portions: Those that can be read, once it was read.
        error: What was wrong with the next one; it is raised behind those before it.
    """

    portions: list[FileBatch]
    total_rows: int | None = None
    maybe_stored: bool = False
    error: Exception | None = field(default=None, init=False)

    def read(self, reader: FrameReader) -> FramePoints:
        """Return the points of all, or of those before the first that cannot be read."""
        found: list[FramePoints] = []
        for portion in self.portions:
            try:
                found.append(portion.read(reader))
            except Exception as exc:
                if not found:
                    raise
                self.error = exc
                break
        self.portions = self.portions[: len(found)]
        return FramePoints(
            rows=sum(points.rows for points in found),
            columns=[column for points in found for column in points.columns],
            mixed=[mixed for points in found for mixed in points.mixed],
            missing=sum(points.missing for points in found),
            unnamed=sum(points.unnamed for points in found),
        )

    def on_leaving(self) -> None:
        """Note that their points are about to leave."""
        for portion in self.portions:
            portion.on_leaving()

    def on_delivered(self, report: Report) -> None:
        """Note what became of their points."""
        for portion in self.portions:
            portion.on_delivered(report)


def grouped(portions: Iterable[Batch]) -> Iterator[Batch | PortionGroup]:
    """Yield portions, the short files among them in groups.

    What is wrong with one is raised behind those before it.
    """
    group: list[Batch] = []
    rows = 0
    iterator = iter(portions)
    while True:
        try:
            portion = next(iterator, None)
        except Exception:
            yield from _as_one(group)
            raise
        is_short = portion is not None and _is_short(portion)
        if portion is None or not is_short or rows + portion.rows > ROWS or len(group) == TOGETHER:
            yield from _as_one(group)
            group, rows = [], 0
        if portion is None:
            return
        if is_short:
            group.append(portion)
            rows += portion.rows
        else:
            yield portion


def _is_short(portion: FileBatch) -> bool:
    return portion.is_whole and not portion.maybe_stored and portion.rows <= SHORT


def _as_one(portions: list[Batch]) -> Iterator[Batch | PortionGroup]:
    if len(portions) == 1:
        yield portions[0]
    elif portions:
        group = PortionGroup([*portions])
        yield group
        if group.error is not None:
            raise group.error

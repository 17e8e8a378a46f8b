"""What a `DeliveryError` tells of points, whatever makes its report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["DeliveryReport", "UndeliveredPoints"]


class UndeliveredPoints(Protocol):
    """Points of one series in a `DeliveryReport`; a `siridb_fast.Failure` is this."""

    @property
    def series(self) -> str:
        """The name of the series."""

    @property
    def points(self) -> int:
        """How many points."""

    @property
    def error(self) -> BaseException:
        """Why they were not delivered."""


class DeliveryReport(Protocol):
    """What the report of a `DeliveryError` tells; a `siridb_fast.Report` is this."""

    @property
    def points(self) -> int:
        """How many points were delivered."""

    @property
    def spooled(self) -> int:
        """How many points are in the spool, and will be delivered later."""

    @property
    def rejected(self) -> Sequence[UndeliveredPoints]:
        """Points that were not delivered and will not be; the first 1,000 of them."""

    @property
    def rejected_points(self) -> int:
        """How many points were not delivered and will not be."""

    @property
    def in_doubt(self) -> Sequence[UndeliveredPoints]:
        """Points that may or may not be stored; the first 1,000 of them."""

    @property
    def in_doubt_points(self) -> int:
        """How many points may or may not be stored."""

    @property
    def changed(self) -> Sequence[UndeliveredPoints]:
        """Points that the server has stored as values of another type; the first 1,000 of them."""

    @property
    def changed_points(self) -> int:
        """How many points the server has stored as values of another type."""

"""What a door is told when it has to tell its sender; how, the door knows."""

from __future__ import annotations

from siridb_fast.delivery.report import Report
from siridb_fast.errors import SiriDBError

__all__ = ["NotDeliveredError", "OverloadedError"]


class OverloadedError(SiriDBError):
    """Nothing was taken, and the same may be taken in ``retry_after`` seconds."""

    def __init__(self, text: str, retry_after: int = 1) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class NotDeliveredError(SiriDBError):
    """Points were taken, and are not known to be stored; without a ``report`` they still wait."""

    def __init__(self, text: str, report: Report | None = None) -> None:
        super().__init__(text)
        self.report = report

    @property
    def may_help_again(self) -> bool:
        """Tell whether some of them may be stored if they are written again."""
        if self.report is None:
            return False
        failures = (*self.report.rejected, *self.report.in_doubt)
        return any(getattr(one.error, "retriable", True) for one in failures)

"""One database that a gateway writes into: its writer, and the way of points into that.

Knows nothing of doors, and of how many databases there are.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.config import describe
from siridb_fast.delivery.dead_letters import DeadLetters
from siridb_fast.delivery.report import Report
from siridb_fast.errors import SiriDBError
from siridb_fast.gateway.config import DatabaseConfig, GatewayConfig
from siridb_fast.gateway.desk import Kiosk
from siridb_fast.gateway.intake import Intake
from siridb_fast.gateway.page_facts import DatabaseFacts
from siridb_fast.gateway.refusals import BadLineFile
from siridb_fast.writer.gateway_writer import GatewayWriter

__all__ = ["Destination", "report_of_all"]

logger = logging.getLogger("siridb_fast")


class Destination:
    """That of one database.

    Args:
        gateway: The configuration of the whole.
        database: That of this one.
        bad_lines: Where lines go that are refused.
    """

    def __init__(
        self, gateway: GatewayConfig, database: DatabaseConfig, bad_lines: BadLineFile
    ) -> None:
        self.config = database
        self.writer = GatewayWriter(database.target, **database.writer)
        self.intake = Intake(
            self.writer,
            gateway.acknowledge,
            max_new_series=gateway.limits.max_new_series,
            floors_times=gateway.floors_times,
        )
        self.kiosk = Kiosk(gateway, self.intake, self._precision_ns, bad_lines)

    async def open(self) -> None:
        """Connect.

        Raises:
            SiriDBError, OSError: The database cannot be reached, or a file not be used.
        """
        try:
            await self.writer.open()
        except SiriDBError as exc:
            if not self.config.is_main:
                names, where = ", ".join(self.config.names), describe(self.config.target)
                logger.error("[influx.databases] %s: %s: %s", names, where, exc)
            raise

    async def close(self, timeout: float) -> Report:
        """Deliver what is in, and close its files."""
        report = await self.writer.close(timeout)
        letters = self.config.writer.get("on_error")
        if isinstance(letters, DeadLetters):
            letters.close()
        return report

    def facts(self) -> DatabaseFacts:
        """Return what the page for people tells of it."""
        name = "" if self.config.is_main else ", ".join(self.config.names)
        return DatabaseFacts(name, describe(self.config.target), self.writer.stats())

    def _precision_ns(self) -> int:
        precision = self.writer.time_precision
        return TimePrecision(
            TimePrecision.NANOSECOND if precision is None else precision
        ).nanoseconds


def report_of_all(reports: Sequence[Report]) -> Report:
    """Return what became of the points of several writers, as one report."""
    if len(reports) == 1:
        return reports[0]
    return Report(
        points=sum(one.points for one in reports),
        packages=sum(one.packages for one in reports),
        bytes=sum(one.bytes for one in reports),
        seconds=max(one.seconds for one in reports),
        rejected=tuple(failure for one in reports for failure in one.rejected),
        in_doubt=tuple(failure for one in reports for failure in one.in_doubt),
        changed=tuple(failure for one in reports for failure in one.changed),
        rejected_points=sum(one.rejected_points for one in reports),
        in_doubt_points=sum(one.in_doubt_points for one in reports),
        changed_points=sum(one.changed_points for one in reports),
        spooled=sum(one.spooled for one in reports),
    )

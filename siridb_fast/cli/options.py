"""The options that several commands take.

Rule: no value of ``SIRIDB_URL`` is ever a default of an option, because help shows defaults, and
the URL has a password.
"""

import math
from enum import Enum
from typing import Annotated

import typer

from siridb_fast.cli.connect import URL_FORM
from siridb_fast.client.create_database import BUFFER_STEP
from siridb_fast.columns.time_units import TimePrecision

__all__ = [
    "BUFFER_STEP",
    "JsonOption",
    "MaxRateOption",
    "Precision",
    "RawTimesOption",
    "TimeoutOption",
    "UrlOption",
]

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        "-u",
        metavar="URL",
        help=f"The database: {URL_FORM}. Without it, what the environment variable SIRIDB_URL "
        "says; other users of the machine cannot see that one.",
        show_default=False,
    ),
]


def _checked_seconds(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"expected a number of seconds over 0, got {value:g}")
    return value


TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=_checked_seconds,
        help="How long to wait for the connection (else 10, or what the URL says), and for each "
        "answer (else 60).",
        show_default=False,
    ),
]

MaxRateOption = Annotated[
    float | None,
    typer.Option(
        "--max-rate",
        metavar="POINTS",
        min=1,
        help="Points a second at most, so that the server has time for others too.",
        show_default=False,
    ),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]

RawTimesOption = Annotated[
    bool, typer.Option("--raw-times", help="Timestamps as integers, not as ISO 8601 in UTC.")
]


class Precision(Enum):
    """A unit of time, as an option has it."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"

    @property
    def code(self) -> int:
        """Return SECOND … NANOSECOND."""
        return TimePrecision.of_unit(self.value).value

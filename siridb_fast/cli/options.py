"""What the commands share: the options for the database, and the way to it.

Knows nothing of what the commands do with it. Rule: no value of ``SIRIDB_URL`` is ever a default
of an option, because help shows defaults, and the URL has a password.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Annotated

import typer

from siridb_fast.cli.errors import UsageFault, reason_of, warn
from siridb_fast.client.client import SiriDBClient
from siridb_fast.columns.time_units import TimePrecision
from siridb_fast.connection.config import Config, parse_url
from siridb_fast.errors import ConfigError, ConnectionLost, SiriDBError

__all__ = [
    "ANSWER_TIMEOUT",
    "Precision",
    "Target",
    "TimeoutOption",
    "UrlOption",
    "connected",
    "target_of",
]

ANSWER_TIMEOUT = 60.0
URL_FORM = "siridb://user:password@host/database"

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


@dataclass(frozen=True, slots=True)
class Target:
    """The database, and how long to wait for it."""

    url: str | None
    config: Config
    connect_timeout: float | None
    timeout: float


def target_of(url: str | None, timeout: float | None) -> Target:
    """Return whom to talk to.

    Raises:
        UsageFault: There is no URL, or something is wrong with it.
    """
    try:
        config = parse_url(url)
    except ConfigError as exc:
        raise UsageFault(f"{exc} (expected --url {URL_FORM}, or SIRIDB_URL)") from None
    return Target(url, config, timeout, ANSWER_TIMEOUT if timeout is None else timeout)


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[SiriDBClient]:
    """Connect to the database; warn of servers that cannot be reached if there are others.

    Raises:
        SiriDBError: No server lets us in; says of each why.
    """
    client = SiriDBClient.from_url(target.url)
    try:
        results = await client.connect(target.connect_timeout)
        failures = [
            _described(str(host), result)
            for host, result in zip(target.config.hosts, results, strict=True)
            if result is not None
        ]
        if not client.connected:
            if len(results) == 1 and isinstance(results[0], SiriDBError):
                raise results[0]
            raise ConnectionLost("; ".join(failures) or "the server hung up at once")
        for failure in failures:
            warn(failure)
        yield client
    finally:
        client.close()
        await client.wait_closed()


def _described(host: str, failure: BaseException) -> str:
    reason = reason_of(failure)
    return reason if host in reason else f"no connection to {host}: {reason}"

"""`create_database`: a database on a server that is there, by the server's HTTP interface.

Knows what a database is asked for; how it is sent is in `connection.http_api`.
"""

from __future__ import annotations

from typing import Literal, get_args

from siridb_fast.errors import AuthenticationError, ConfigError, ServerMessageError

__all__ = ["BUFFER_STEP", "create_database"]

BUFFER_STEP = 512  # bytes; a buffer_size is a multiple of it
WRONG_ACCOUNT = (401, 403)

Precision = Literal["s", "ms", "us", "ns"]


def create_database(
    name: str,
    *,
    host: str = "127.0.0.1",
    http_port: int = 9020,
    account: str = "sa",
    password: str = "siri",  # noqa: S107 - the public default of every server
    time_precision: Precision = "ms",
    buffer_size: int = 1024,
    duration_num: str = "1w",
    duration_log: str = "1d",
    timeout: float = 30,
) -> None:
    """Create a database; its first user is ``iris``, with the password ``siri``. Blocking.

    >>> siridb_fast.create_database("plant", time_precision="ms")  # doctest: +SKIP
    >>> siri = siridb_fast.connect("siridb://iris:siri@127.0.0.1/plant")  # doctest: +SKIP

    Args:
        name: Of the database.
        host: A server that runs.
        http_port: Its ``http_api_port``, a setting of the server that is off by default.
        account: A service account of the server.
        password: Its password.
        time_precision: The unit of all timestamps, for good: ``"s"``, ``"ms"``, ``"us"``, ``"ns"``
        buffer_size: Bytes in memory for each series, a multiple of 512; 16 a point.
        duration_num: The time span of one shard of numbers: ``"1w"``, ``"2d"``, ``"6h"``.
        duration_log: The time span of one shard of texts.
        timeout: Seconds.

    Raises:
        ConfigError: An argument makes no sense.
        AuthenticationError: Wrong account or password.
        ServerMessageError: The server refuses, as there is a database of this name, for instance.
        OSError: Nothing answers there.
    """
    if time_precision not in get_args(Precision):
        raise ConfigError(f"time_precision is 's', 'ms', 'us' or 'ns', got {time_precision!r}")
    if not isinstance(buffer_size, int) or buffer_size < 1 or buffer_size % BUFFER_STEP:
        raise ConfigError(f"buffer_size is a multiple of {BUFFER_STEP} bytes, got {buffer_size!r}")
    from urllib.error import URLError  # both are slow to import, and seldom used

    from siridb_fast.connection.http_api import HttpApi, HttpApiError

    try:
        HttpApi(host, http_port).create_database(
            name,
            time_precision=time_precision,
            buffer_size=buffer_size,
            duration_num=duration_num,
            duration_log=duration_log,
            account=(account, password),
            timeout=timeout,
        )
    except HttpApiError as exc:
        if exc.status in WRONG_ACCOUNT:
            raise AuthenticationError(
                f"the server lets no service account {account!r} in with this password"
            ) from None
        raise ServerMessageError(f"the server refuses the database {name!r}: {exc.text}") from None
    except URLError as exc:
        raise OSError(
            f"no HTTP interface at {host}:{http_port}: {exc.reason}; the setting http_api_port of "
            "the server turns it on"
        ) from exc

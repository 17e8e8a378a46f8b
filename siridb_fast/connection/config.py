"""A URL, an environment variable or keyword arguments → one `Config`.

``siridb://user:password@host[:port][,host[:port]…]/dbname?weight=3,1&backup=0,1&timeout=10``

``?socket=/path`` stands for a server's unix socket, instead of hosts or beside them, and
``?password_file=/path`` for a password that is read at each log-in. User, password and database
are percent-decoded. A password is never part of a repr or of an error's text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from siridb_fast.connection.hosts import DEFAULT_PORT, Host, check_hosts
from siridb_fast.connection.password import Password, PasswordFile, check_text
from siridb_fast.errors import ConfigError

if TYPE_CHECKING:
    import ssl as tls

__all__ = [
    "URL_VARIABLE",
    "Config",
    "HasConfig",
    "OnDoubt",
    "Target",
    "config_of",
    "describe",
    "is_url",
    "parse_url",
]

URL_VARIABLE = "SIRIDB_URL"
SCHEME = "siridb"
OnDoubt = Literal["verify", "report", "resend"]
SECONDS = ("keepalive_interval", "timeout", "inactive_time", "max_wait_retry")
PARSERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(SECONDS, float),
    "window": int,
    "max_answer": int,
    "on_doubt": str,
    "keepalive": {"0": False, "1": True}.__getitem__,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that a client needs to know before it connects. Times are seconds."""

    username: str
    password: Password = field(repr=False)
    dbname: str
    hosts: tuple[Host, ...]
    keepalive: bool = True
    keepalive_interval: float = 45.0
    timeout: float = 10.0
    inactive_time: float = 30.0
    max_wait_retry: float = 90.0
    window: int = 128
    max_answer: int = 512 * 1024 * 1024
    on_doubt: OnDoubt | None = None  # what suits the caller
    ssl: tls.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("username", "dbname"):
            check_text(name, getattr(self, name))
        if not callable(self.password):
            check_text("password", self.password)
        check_hosts(self.hosts)
        if self.keepalive not in (False, True):
            raise ConfigError(f"keepalive is True or False, got {self.keepalive!r}")
        for name in SECONDS:
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                raise ConfigError(f"{name} is a number of seconds over 0, got {value!r}")
        if not isinstance(self.window, int) or not 1 <= self.window <= 4096:
            raise ConfigError(f"window is 1..4096 requests, got {self.window!r}")
        if not isinstance(self.max_answer, int) or self.max_answer < 65_536:
            raise ConfigError(f"max_answer is at least 65536 bytes, got {self.max_answer!r}")
        if self.on_doubt not in (None, *get_args(OnDoubt)):
            raise ConfigError(f"on_doubt is 'verify', 'report' or 'resend', got {self.on_doubt!r}")


class HasConfig(Protocol):
    """What is needed of a client."""

    @property
    def config(self) -> Config:
        """Where the database is."""


Target: TypeAlias = str | Config | HasConfig | None


def config_of(target: Target) -> Config:
    """Return the configuration that a URL, a client or a configuration stands for.

    None stands for the variable ``SIRIDB_URL``.

    Raises:
        ConfigError: It is none of these, or the URL is wrong.
    """
    if isinstance(target, Config):
        return target
    if target is None or isinstance(target, str):
        return parse_url(target)
    config = getattr(target, "config", None)
    if not isinstance(config, Config):
        raise ConfigError(f"expected a URL or a client, got {type(target).__name__}")
    return config


def describe(config: Config) -> str:
    """Return what a repr shows of a database: its name and its hosts."""
    return f"{config.dbname!r} at {', '.join(map(str, config.hosts))}"


def is_url(text: object) -> bool:
    """Tell whether ``text`` is meant as a URL of this package."""
    return isinstance(text, str) and text.startswith(f"{SCHEME}://")


def parse_url(
    url: str | None = None,
    *,
    password: Password | None = None,
    ssl: tls.SSLContext | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Return the configuration that ``url``, or else the variable ``SIRIDB_URL``, stands for.

    Options behind the ``?``: ``weight`` and ``backup`` (one for each host, separated by commas),
    ``socket``, ``keepalive`` (0 or 1), ``keepalive_interval``, ``timeout``, ``inactive_time``,
    ``max_wait_retry`` (seconds), ``window`` (requests), ``max_answer`` (bytes), ``on_doubt``, and
    ``password_file`` (a path). A password is in the URL, in that file, or is ``password``.

    Raises:
        ConfigError: Names the part that is wrong; never repeats the URL, which has a password.
    """
    if url is None:
        url = environ.get(URL_VARIABLE)
        if url is None:
            raise ConfigError(f"no URL is given and {URL_VARIABLE} is not set")
    if not is_url(url):
        raise ConfigError(f"a URL starts with {SCHEME}://user:password@host/dbname")
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError("the URL cannot be split into its parts") from None
    options = dict(pairs)
    if len(options) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"the URL gives the option {twice!r} twice")
    credentials, at, hosts = parts.netloc.rpartition("@")
    username, colon, text = credentials.partition(":")
    passwords = _passwords(unquote(text) if colon else None, options, password)
    if not (at and username and passwords):
        raise ConfigError(
            "the URL lacks user:password@ before the host; percent-encode / ? # @ there"
        )
    if len(passwords) > 1:
        raise ConfigError(f"the password is given twice: {' and '.join(passwords)}")
    return Config(
        username=unquote(username),
        password=next(iter(passwords.values())),
        dbname=_database(parts.path, parts.fragment),
        hosts=_hosts(hosts, options),
        ssl=ssl,
        **_typed(options),
    )


def _passwords(
    text: str | None, options: dict[str, str], password: Password | None
) -> dict[str, Password]:
    # Where it is given → the password.
    path = options.pop("password_file", None)
    if path == "":
        raise ConfigError("password_file is a path, got nothing")
    given = {
        "in the URL": text,
        "by password_file": None if path is None else PasswordFile(path),
        "by the argument password": password,
    }
    return {where: one for where, one in given.items() if one is not None}


def _database(path: str, fragment: str) -> str:
    name = unquote(path.removeprefix("/"))
    if not name or "/" in path.removeprefix("/") or fragment:
        raise ConfigError("the URL ends with /dbname; percent-encode / ? # @ in what is before it")
    return name


def _hosts(hosts: str, options: dict[str, str]) -> tuple[Host, ...]:
    addresses = [_address(host) for host in hosts.split(",") if host]
    if "socket" in options:
        addresses.append((options.pop("socket"), DEFAULT_PORT))
        if "/" not in addresses[-1][0]:
            raise ConfigError(f"socket is a path, got {addresses[-1][0]!r}")
    if not addresses:
        raise ConfigError("the URL names neither a host nor ?socket=/path")
    weights = _per_host("weight", options.pop("weight", ""), len(addresses), 1)
    backups = _per_host("backup", options.pop("backup", ""), len(addresses), 0)
    if not set(backups) <= {0, 1}:
        raise ConfigError(f"backup is 0 or 1 for each host, got {backups}")
    return tuple(
        Host(address, port, weight, bool(backup))
        for (address, port), weight, backup in zip(addresses, weights, backups, strict=True)
    )


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ConfigError(f"host {host!r}: an IPv6 address stands in brackets")
    if not port.isascii() or not port.isdigit():
        raise ConfigError(f"host {host!r}: a port is a number, got {port!r}")
    return unquote(host.removeprefix("[").removesuffix("]")), int(port)


def _per_host(name: str, text: str, count: int, default: int) -> list[int]:
    if not text:
        return [default] * count
    values = text.split(",")
    if len(values) != count or not all(value.isascii() and value.isdigit() for value in values):
        raise ConfigError(f"{name}: expected {count} numbers, one for each host, got {text!r}")
    return [int(value) for value in values]


def _typed(options: dict[str, str]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for name, text in options.items():
        if name not in PARSERS:
            raise ConfigError(f"the URL has an unknown option {name!r}")
        try:
            typed[name] = PARSERS[name](text)
        except (ValueError, KeyError):
            raise ConfigError(f"option {name}: {text!r} is not a valid value") from None
    return typed

"""A TOML file → where a writer writes to, and its options.

Knows which keys there are and what they may be in a file; what a value means, and whether it makes
sense, is decided by the options themselves. No error has a password, nor a URL, in its text.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from siridb_fast.columns.time_units import UNITS
from siridb_fast.connection.config import Config, parse_url
from siridb_fast.connection.password import Password, PasswordFile
from siridb_fast.delivery.dead_letters import DeadLetters
from siridb_fast.errors import ConfigError, FileError
from siridb_fast.spool.options import SpoolOptions
from siridb_fast.writer.options import WriterKeywords, WriterOptions

__all__ = ["WriterConfig", "read_config"]

TARGET_KEYS = ("url", "password_file", "password_env")
IN_PROGRAM = ("on_delivery", "on_persisted")  # functions, which no file has
LETTER_KEYS = ("path", "in_doubt")


@dataclass(frozen=True, slots=True)
class WriterConfig:
    """What a file says: the database, and the options of a writer."""

    target: Config
    options: WriterKeywords


def read_config(path: str | os.PathLike[str], given: WriterKeywords) -> WriterConfig:
    """Read the file of a writer.

    Args:
        path: Of the file; paths in it are relative to its folder.
        given: Options that go before those of the file.

    Raises:
        ConfigError: Names the file, the key, and what was expected.
    """
    file = Path(path)
    found = _parsed(file)
    try:
        _check_option_names(found)
        target = _target(found, file.parent)
        options = {name: value for name, value in found.items() if name not in TARGET_KEYS}
        for name, convert in CONVERSIONS.items():
            if name in options and name not in given:
                options[name] = convert(options[name], file.parent)
        merged: WriterKeywords = {**options, **given}  # type: ignore[typeddict-item]
        WriterOptions.of(merged)
    except (ConfigError, FileError) as exc:
        raise ConfigError(f"{file}: {exc}") from None
    return WriterConfig(target, merged)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror}") from None
    except UnicodeDecodeError:  # whose text has the bytes
        raise ConfigError(f"{file}: expected TOML in UTF-8") from None
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{file}: expected TOML: {exc}") from None


def _check_option_names(found: Mapping[str, object]) -> None:
    for name in IN_PROGRAM:
        if name in found:
            raise ConfigError(f"{name} is a function: give it to from_config")
    names = [one.name for one in fields(WriterOptions) if one.name not in IN_PROGRAM]
    _check_keys("a writer", found, [*TARGET_KEYS, *names])


def _check_keys(what: str, table: Mapping[str, object], known: Collection[str]) -> None:
    for name in table:
        if name not in known:
            raise ConfigError(f"{what} has no option {name!r}; there are {', '.join(known)}")


def _target(found: Mapping[str, object], folder: Path) -> Config:
    # The database, by the URL of the file or of the environment.
    for name in TARGET_KEYS:
        if name in found and not isinstance(found[name], str):
            raise ConfigError(f"{name} is a text, got {type(found[name]).__name__}")
    url, password = found.get("url"), _password(found, folder)
    if url is None and password is None:
        return parse_url(None)
    config = parse_url(str(url) if url is not None else None, password=password)
    if url is not None and password is None and isinstance(config.password, str):
        raise ConfigError(
            "url: a password does not stand in the file; password_file is the path of a file that "
            "has it, password_env the name of a variable"
        )
    return config


def _password(found: Mapping[str, object], folder: Path) -> Password | None:
    path, variable = found.get("password_file"), found.get("password_env")
    if path is not None and variable is not None:
        raise ConfigError("the password is given twice: by password_file and password_env")
    if path is not None:
        return PasswordFile(str(folder / str(path)))
    if variable is None:
        return None
    if str(variable) not in os.environ:
        raise ConfigError(f"password_env: the variable {variable!r} is not set")
    return os.environ[str(variable)]


def _spool(value: object, folder: Path) -> object:
    if isinstance(value, str):
        return folder / value if value else value
    names = [one.name for one in fields(SpoolOptions)]
    table = _table("spool", value, names)
    return SpoolOptions(
        **{
            **table,
            "path": folder / table["path"],
            "journal": _journal(table.get("journal"), folder),
        }
    )


def _journal(value: object, folder: Path) -> object:
    return folder / value if isinstance(value, str) and value else value


def _letters(value: object, folder: Path) -> DeadLetters:
    if isinstance(value, str):
        return DeadLetters(folder / value)
    table = _table("on_error", value, LETTER_KEYS)
    return DeadLetters(**{**table, "path": folder / table["path"]})


def _table(name: str, value: object, known: Collection[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        kinds = f"a path, or a table with {', '.join(known)}"
        raise ConfigError(f"{name} is {kinds}, got {value!r}")
    _check_keys(name, value, known)
    if not isinstance(value.get("path"), str) or not value["path"]:
        raise ConfigError(f"{name}: path is the path of a file, got {value.get('path')!r}")
    return value


def _time_precision(value: object, _: Path) -> int:
    if value not in UNITS:
        raise ConfigError(f"time_precision is one of {', '.join(UNITS)}, got {value!r}")
    return [*UNITS].index(value)


CONVERSIONS: dict[str, Callable[[object, Path], object]] = {
    "spool": _spool,
    "journal": _journal,
    "on_error": _letters,
    "time_precision": _time_precision,
}

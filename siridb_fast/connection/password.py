"""The password of a log-in: a text, a function that returns one, or a file that has it.

A function is called, and a file is read, for each log-in: also for those of connections that come
back after months, when the password is another one. Knows nothing of connections.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from siridb_fast.errors import AuthenticationError, ConfigError

__all__ = ["Password", "PasswordFile", "check_text", "password_of"]

Password: TypeAlias = str | Callable[[], str | Awaitable[str]]

LARGEST_FILE = 4096  # bytes; what is larger is some other file


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """Reads the password from a file, as ``?password_file=PATH`` of a URL says.

    One line break at its end is not part of the password.
    """

    path: str

    async def __call__(self) -> str:
        """Read the file, in a thread: it may be on a network."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> str:
        from pathlib import Path  # few have such a file

        path = Path(self.path)
        try:
            if path.exists() and not path.is_file():  # a pipe may be waited for, and is read once
                raise AuthenticationError(f"password file {path}: it is no regular file")
            with path.open("rb") as file:
                content = file.read(LARGEST_FILE + 1)
        except (OSError, ValueError) as exc:  # the path may have a null byte
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise AuthenticationError(f"password file {path}: {why}") from None
        if len(content) > LARGEST_FILE:
            raise AuthenticationError(
                f"password file {self.path}: expected a password, got over {LARGEST_FILE} bytes"
            )
        try:
            text = content.decode()
        except UnicodeDecodeError:  # whose repr has the bytes
            text = None
        if text is None:
            raise AuthenticationError(f"password file {self.path} is not UTF-8")
        return text.removesuffix("\n").removesuffix("\r")


async def password_of(password: Password) -> str:
    """Return the text to log in with.

    Raises:
        AuthenticationError: The file cannot be read, or the function raised or returned something
            else than a text. What it raised is the cause; its words are not repeated, since they
            may tell secrets.
    """
    if isinstance(password, str):
        return password
    try:
        text = password()
        if inspect.isawaitable(text):
            text = await text
    except AuthenticationError:
        raise
    except Exception as exc:
        raise AuthenticationError(
            f"the function that returns the password raised {type(exc).__name__}"
        ) from exc
    try:
        check_text("what the password's function returned", text)
    except ConfigError as exc:
        raise AuthenticationError(str(exc)) from None
    return text


def check_text(name: str, value: object) -> None:
    """Check that it is text that can be sent, without showing it: it may be the password.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value, str):
        raise ConfigError(f"{name} is a str, got {type(value).__name__}")
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ConfigError(f"{name} is not valid text: it holds a lone surrogate")

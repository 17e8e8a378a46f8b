"""A table of a TOML file, read key by key: each is asked for once, and what is left is unknown.

Every error names the key, what was expected and what came; of a secret, not what came.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siridb_fast.errors import ConfigError
from siridb_fast.gateway.secret import Secret

__all__ = ["Table"]

LARGEST_SECRET = 4096  # bytes of a file; what is larger is some other file
KINDS = {str: "a text", bool: "true or false", dict: "a table", list: "a list of tables"}


class Table:
    """One table.

    Args:
        found: What the file has.
        folder: That paths are relative to.
        name: Of the table, with dots; empty for that of the whole file.
    """

    def __init__(self, found: Mapping[str, Any], folder: Path, name: str = "") -> None:
        self.found = dict(found)
        self.folder = folder
        self.name = name
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        self._known[key] = None
        return key in self.found

    def key(self, name: str) -> str:
        """Return the whole name of a key, for errors."""
        return f"{self.name}.{name}" if self.name else name

    def error(self, name: str, text: str) -> ConfigError:
        """Return the error of a key."""
        return ConfigError(f"{self.key(name)}: {text}")

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a text."""
        found: str | None = self._typed(name, str, default)
        return found

    def flag(self, name: str) -> bool:
        """Return true or false, which is the default."""
        return bool(self._typed(name, bool, False))

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number within bounds."""
        value = self._value(name, default)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise self.error(name, f"expected {least:,g} to {most:,g}, got {value!r}")
        return float(value)

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return an integer within bounds."""
        value = self._value(name, default)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if not is_integer or not least <= value <= most:
            raise self.error(
                name, f"expected an integer from {least:,} to {most:,}, got {value!r}"
            )
        return int(value)

    def choice(self, name: str, default: str | None, choices: Sequence[str]) -> str | None:
        """Return one of some words."""
        value = self._value(name, default)
        if value != default and value not in [*choices]:
            raise self.error(name, f"expected one of {', '.join(choices)}, got {value!r}")
        return None if value is None else str(value)

    def path(self, name: str) -> Path | None:
        """Return a path; a relative one is in the folder of the file."""
        text = self.text(name)
        if text == "":
            raise self.error(name, "expected a path, got nothing")
        return None if text is None else self.folder / text

    def secret(self, name: str) -> Secret | None:
        """Return a secret: it is here, in a file (``…_file``) or a variable (``…_env``)."""
        given = [key for key in (name, f"{name}_file", f"{name}_env") if key in self]
        if not given:
            return None
        if len(given) > 1:
            raise self.error(given[0], f"{given[1]} says the same; one of them is enough")
        text = str(self.text(given[0]))
        if given[0] == f"{name}_file":
            text = self._secret_of(given[0], self.folder / text)
        elif given[0] == f"{name}_env":
            if text not in os.environ:
                raise self.error(given[0], f"the variable {text!r} is not set")
            text = os.environ[text]
        if not text:
            raise self.error(given[0], "it is empty")
        return Secret(text)

    def password(self) -> str | None:
        """Return the password of the database, if it is in a file or a variable."""
        secret = self.secret("password")
        return None if secret is None else secret.text

    def table(self, name: str) -> Table | None:
        """Return a table within."""
        found = self._typed(name, dict, None)
        return None if found is None else Table(found, self.folder, self.key(name))

    def tables(self, name: str) -> list[Table]:
        """Return a list of tables."""
        found = self._typed(name, list, None) or []
        if not all(isinstance(one, dict) for one in found):
            raise self.error(name, f"expected {KINDS[list]}, [[{self.key(name)}]]")
        names = [f"{self.key(name)}[{number}]" for number in range(1, len(found) + 1)]
        return [Table(one, self.folder, label) for one, label in zip(found, names, strict=True)]

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        found = self._value(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self.error(name, f'expected texts such as ["a", "b"], got {found!r}')
        return [*found]

    def finish(self) -> None:
        """Refuse what nobody has asked for."""
        for key in self.found:
            if key not in self._known:
                raise self.error(key, f"there is no such key; there are {', '.join(self._known)}")

    # ---- inside

    def _value(self, name: str, default: Any) -> Any:
        self._known[name] = None
        return self.found.get(name, default)

    def _typed(self, name: str, kind: type, default: Any) -> Any:
        value = self._value(name, default)
        if value is not default and not isinstance(value, kind):
            raise self.error(name, f"expected {KINDS[kind]}, got {type(value).__name__}")
        return value

    def _secret_of(self, name: str, path: Path) -> str:
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST_SECRET + 1)
            if len(content) > LARGEST_SECRET:
                raise self.error(name, f"{path} has over {LARGEST_SECRET} bytes")
            return content.decode().removesuffix("\n").removesuffix("\r")
        except OSError as exc:
            raise self.error(name, f"{path}: {exc.strerror}") from None
        except UnicodeDecodeError:  # whose text has the bytes
            raise self.error(name, f"{path} is not UTF-8") from None

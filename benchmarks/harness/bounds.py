"""The ratios that the measurements must keep: ``bounds.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from benchmarks.harness.record import Row

__all__ = ["BOUNDS", "Bounds"]

BOUNDS = Path(__file__).parents[1] / "bounds.toml"


class Bounds:
    """The least ratio of each row that has one, by file and key.

    Args:
        by_file: As the file has it. `ValueError` where a ratio is no positive number.
    """

    def __init__(self, by_file: dict[str, dict[str, float]]) -> None:
        for file, bounds in by_file.items():
            for key, bound in bounds.items():
                if isinstance(bound, bool) or not isinstance(bound, int | float) or bound <= 0:
                    raise ValueError(f"{file}: {key!r} needs a ratio over 0, got {bound!r}")
        self._by_file = by_file

    @classmethod
    def read(cls, path: Path = BOUNDS) -> Self:
        """Read them."""
        return cls(tomllib.loads(path.read_text()))

    def of(self, file: str, key: str) -> float | None:
        """Return the bound of a row, None if it has none."""
        return self._by_file.get(file, {}).get(key)

    def unmet(self, rows: Iterable[Row]) -> list[str]:
        """Return the bounds for which there is no row."""
        found = {(row.file, row.key) for row in rows}
        return [
            f"{file}: {key}"
            for file, bounds in self._by_file.items()
            for key in bounds
            if (file, key) not in found
        ]

"""Inputs that are kept: a file for each target, a line of hex for each input, comments behind #.

Those of the repository are in ``tests/fuzz/corpus``; what a run finds goes to a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["TARGETS", "load", "save"]

TARGETS = ("unpackb", "decode_points", "feed", "influx", "questdb", "graphite")


def load(folder: Path, target: str) -> list[bytes]:
    """Return the inputs of a target in that folder, none if there is no file."""
    path = folder / f"{target}.hex"
    if not path.exists():
        return []
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return [bytes.fromhex(line) for line in lines if line]


def save(folder: Path, target: str, inputs: Iterable[bytes]) -> None:
    """Write the inputs of a target, the shortest first."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [data.hex() for data in sorted(set(inputs), key=lambda data: (len(data), data))]
    (folder / f"{target}.hex").write_text("".join(f"{line}\n" for line in lines))

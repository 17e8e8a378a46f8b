"""Failures to be written as dead letters, and what such files have."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from siridb_fast import MILLISECOND, DeadLetters, Failure, InsertError
from siridb_fast.delivery.kept_points import GivenPoints

__all__ = ["FORMS", "LINE", "START", "failure_of", "rows_of", "run_in_process", "set_clock"]

START = 1_700_000_000_000  # 2023-11-14T22:13:20Z
FORMS = ["letters.ndjson", "letters.jsonl", "letters.parquet"]
LINE = (
    '{"series": "a", "time": "2023-11-14T22:13:20.000Z", "value_float": null, "value_integer": 7, '
    '"value_text": null, "reason": "no", "error": "InsertError", "refused_at": '
    '"2026-01-02T03:04:05.500Z"}\n'
)


def set_clock(patch: pytest.MonkeyPatch, seconds: float) -> None:
    patch.setattr(DeadLetters, "_clock", staticmethod(lambda: seconds))


def failure_of(values: Any, series: str = "a", *, first: int = START, **options: Any) -> Failure:
    kept = GivenPoints(first + np.arange(len(values)), np.asarray(values))
    options = {"fate": "rejected", "time_precision": MILLISECOND, **options}
    return Failure(series, len(values), InsertError("no"), kept, **options)


def rows_of(path: Path) -> list[Any]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_text().splitlines()]


def run_in_process(path: Path, end: str, *, code: int) -> None:
    """Write a letter in a process that ends in some way."""
    program = f"""
import os
from tests.delivery.letters import failure_of
from siridb_fast import DeadLetters
letters = DeadLetters({str(path)!r})
letters(failure_of([7]))
{end}
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=root)
    assert done.returncode == code

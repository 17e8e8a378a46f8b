"""Timestamps as ISO 8601, as they are written into files and shown."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["iso"]


def iso(timestamps: np.ndarray[Any, Any], unit: str) -> list[str]:
    """Return integers of a unit (s, ms, us, ns) as ISO 8601 in UTC: 2026-01-01T00:00:00.000Z."""
    times = timestamps.astype(np.int64).astype(f"datetime64[{unit}]")
    return [f"{text}Z" for text in np.datetime_as_string(times).tolist()]
